"""The registry of embedded models: listed, found by name, made once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plt.cli import main
from plt.errors import ArtifactError
from plt.train.method import silent
from plt.train.models.embedded.cards import MODELS, make_embedded, what_is_made
from plt.train.models.embedded.kept import kept_folder, made_once
from plt.train.models.source import resolve_model


def test_ls_lists_the_registry(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "models", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["models"]
    assert [row["name"] for row in rows] == [*MODELS, "PATH or hub id"]
    assert {row["name"]: row["what it is"] for row in rows if row["name"] in MODELS} == {
        name: card.summary for name, card in MODELS.items()
    }


def test_the_registry_loads_no_torch() -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from plt.train.models.embedded.cards import MODELS, what_is_made;"
        "[what_is_made(name, Path('nowhere')) for name in MODELS if name != 'builtin:smollm2'];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("builtin:smal", "builtin:small"), ("builtin:tini", "builtin:tiny"),
     ("builtin:mini-lm", "builtin:minilm")],
)  # fmt: skip
def test_an_unknown_name_gets_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(ArtifactError, match=f"did you mean {near}") as caught:
        resolve_model(typed)
    assert caught.value.hint == "plt ls models"
    assert "builtin:tiny-reward" in caught.value.problems[0]


def test_a_name_that_resembles_none_gets_the_list() -> None:
    with pytest.raises(ArtifactError, match=r"there is no model builtin:qqqq\n") as caught:
        resolve_model("builtin:qqqq")
    assert "builtin:small" in caught.value.problems[0]


def test_what_takes_a_minute_is_said_until_it_is_there(tmp_path: Path) -> None:
    from plt.train.policies.small_language_model import folder

    said = what_is_made("builtin:small", tmp_path)
    assert said is not None
    assert said.startswith("builtin:small is fitted once, about a minute, and then kept in")
    folder(tmp_path).mkdir(parents=True)
    assert what_is_made("builtin:small", tmp_path) is None
    assert what_is_made("builtin:tiny", tmp_path) is None
    assert what_is_made("some/model", tmp_path) is None


def test_a_folder_is_made_once_and_another_recipe_is_another(tmp_path: Path) -> None:
    made: list[Path] = []

    def write(empty: Path) -> None:
        made.append(empty)
        (empty / "file").write_text("x")

    first = made_once("kind", [1], tmp_path, write)
    assert made_once("kind", [1], tmp_path, write) == first == kept_folder("kind", [1], tmp_path)
    assert made_once("kind", [2], tmp_path, write) != first
    assert len(made) == 2
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == sorted(
        kept_folder("kind", [n], tmp_path).name for n in (1, 2)
    )


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(empty: Path) -> None:
        (empty / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        made_once("kind", [1], tmp_path, write)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ArtifactError, match=r"cannot write .*builtin-tiny") as caught:
        make_embedded("builtin:tiny", tmp_path, silent)
    assert caught.value.hint == "export PLT_CACHE=FOLDER"
