"""`plt generate` as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import GENERATIONS
from plt.data.tables.table import read_table
from tests.data.made_tables import crossed
from tests.train.tiny_models import save_tiny

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.parquet"
    write_preferences(split(crossed(3, 40), SplitPlan(by="pair", unseen_users=0.0)), path)
    return path


def generate(capfd: pytest.CaptureFixture[str], *line: str) -> tuple[dict[str, Any], pl.DataFrame]:
    given = ["--prompts", "t.parquet", "--n-prompts", "3", "--max-new-tokens", "8"]
    code = main(["generate", *line, *given, "-o", "g.parquet", "--json"])
    found = capfd.readouterr()
    assert code == 0, found.err
    return json.loads(found.out), read_table(Path("g.parquet"), GENERATIONS)[0]


def test_a_model_as_it_is(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, texts = generate(capfd, "builtin:tiny", "--n", "2")
    assert (data["system"], data["n"], data["n_prompts"]) == ("builtin:tiny", 6, 3)
    assert set(texts["control"]) == {"generic"}
    assert texts["user_id"].null_count() == 6
    assert sorted(texts["sample"].to_list()) == [0, 0, 0, 1, 1, 1]
    assert data["lengths"][0]["n"] == 6
    _, meta = read_table(Path("g.parquet"), GENERATIONS)
    assert (meta.dataset, meta.license) == ("toy", "CC0-1.0")
    _, again = generate(capfd, "builtin:tiny", "--n", "2", "--batch-size", "1")
    # The draws are the same; rounding may send one of them to the next token.
    assert again.drop("response", "n_tokens", "ended").equals(
        texts.drop("response", "n_tokens", "ended")
    )
    assert (again["response"] == texts["response"]).sum() >= 5
    _, other = generate(capfd, "builtin:tiny", "--n", "2", "--seed", "1")
    assert other["response"].to_list() != texts["response"].to_list()


def test_of_many_persons_some_are_shown_and_nobody_always(
    table: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plt.cli.pages.text_lengths.MAX_ROWS", 2)
    line = ["train", "t.parquet", "--method", "p-dpo", "--model", "builtin:tiny", "--no-baseline",
            "--set", "max_steps=1", "-o", "run", "-q"]  # fmt: skip
    assert main(line) == 0
    capfd.readouterr()
    given = ["--prompts", "t.parquet", "--n-prompts", "1", "--max-new-tokens", "2", "--reference"]
    assert main(["generate", "run", *given, "-o", "g.parquet"]) == 0
    shown = capfd.readouterr().err
    assert (shown.count("| policy "), shown.count("| generic "), shown.count("| reference")) == (
        2, 2, 1,
    )  # fmt: skip
    assert "... and 1 more persons" in shown


def test_best_of_n_is_chosen_person_by_person(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each person's text is the one of the four drawn ones whose reward is highest."""
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:tiny"]
    assert main([*line, "-o", "run", "-q"]) == 0
    capfd.readouterr()
    data, best = generate(capfd, "builtin:tiny", "--best-of", "4", "--reward", "run")
    assert set(best["control"]) == {"best-of-n"}
    assert sorted(best["user_id"].unique().to_list(), key=str) == [None, "u00", "u01", "u02"]
    assert best["reward"].null_count() == 0
    assert "best of 4 by individual-" in best["system"][0]
    _, drawn = generate(capfd, "builtin:tiny", "--n", "4")
    for row in best.iter_rows(named=True):
        among = drawn.filter(pl.col("prompt_id") == row["prompt_id"])["response"].to_list()
        assert row["response"] in among
    assert main(["winrate", "g.parquet", "g.parquet", "--judge", "run", "--json"]) == 0
    assert data["n"] == 12


def test_the_best_beats_a_draw_in_the_eyes_of_its_own_judge(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:tiny"]
    assert main([*line, "-o", "run", "-q"]) == 0
    capfd.readouterr()
    generate(capfd, "builtin:tiny", "--best-of", "4", "--reward", "run", "--user", "all")
    Path("g.parquet").rename("best.parquet")
    generate(capfd, "builtin:tiny")
    assert main(["winrate", "best.parquet", "g.parquet", "--judge", "run", "--json"]) == 0
    shown = capfd.readouterr()
    assert "itself wrote or chose the texts" in shown.err
    (found,) = json.loads(shown.out)["contests"]
    assert (found["losses"], found["n"]) == (0, 9)
    assert found["wins"] > 0


@pytest.mark.slow
def test_texts_go_through_a_pipe(table: Path) -> None:
    plt = f"{sys.executable} -m plt"
    line = (
        f"{plt} generate builtin:tiny --prompts t.parquet --n-prompts 2 --max-new-tokens 4 -q"
        f" | {plt} winrate - t.parquet --judge builtin:tiny --json"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["contests"]
    assert (found["system_1"], found["system_2"]) == ("builtin:tiny (generic)", "chosen")
    assert found["n"] == 6


def test_a_model_without_chat_template_is_said(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_tiny(table.parent / "plain", chat_template=None)
    line = ["generate", "./plain", "--prompts", "t.parquet", "--n-prompts", "1",
            "--max-new-tokens", "4", "-o", "g.parquet"]  # fmt: skip
    assert main(line) == 0
    assert "no chat template" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["builtin:tiny", "-o", "g"], "no prompts"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--best-of", "2"], "together"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--user", "u00"], "knows nobody"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--user", "all"], "no users"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--reference"], "own reference"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--top-p", "2"], "top-p is 2.0"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--split", "x"], "known are all"),
        (["builtin:tiny", "--prompts", "t.parquet", "-o", "g", "--max-new-tokens", "2040"],
         "leave no room"),
        (["builtin:minilm", "--prompts", "t.parquet", "-o", "g"], "encoder"),
        (["./nothing", "--prompts", "t.parquet", "-o", "g"], "does not exist"),
        (["builtin:tiny", "--prompts", "t.parquet", "--json"], "needs a file or a pipe"),
    ],
)  # fmt: skip
def test_wrong_lines(
    table: Path, line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *line]) == 2
    assert message in capfd.readouterr().err


def test_a_reward_run_writes_nothing(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "t.parquet", "--method", "length", "-o", "run", "-q"]) == 0
    line = ["generate", "run", "--prompts", "t.parquet", "-o", "g.parquet"]
    assert main(line) == 2
    err = capfd.readouterr().err
    assert "run is a reward model (length): it writes no text" in err
    assert "--best-of 8 --reward run" in err
