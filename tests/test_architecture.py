"""The house rules hold, and a fault that is planted in a copy of the house is found and named."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from tests import architecture
from tests.data.made_tables import crossed

PACKAGE = Path(__file__).resolve().parents[1] / "plt"
RULES = (
    architecture.folder_problems,
    architecture.layer_problems,
    architecture.unplaced_rooms,
    architecture.file_circles,
    architecture.room_circles,
    architecture.crowded_rooms,
    architecture.long_parts,
)
HEAVY = {
    "torch", "transformers", "trl", "peft", "datasets", "sentence_transformers", "accelerate",
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_rules_hold(rule: Callable[[Path], list[str]]) -> None:
    problems = rule(PACKAGE)
    assert not problems, "\n".join(problems)


def test_heavy_libraries_are_named_in_train_only() -> None:
    found = {(folder, name) for folder, name in architecture.foreign(PACKAGE) if name in HEAVY}
    assert {folder for folder, _ in found} == {"train"}


def test_study_knows_no_typer_and_no_rich_and_prints_nothing() -> None:
    known = {name for folder, name in architecture.foreign(PACKAGE) if folder == "study"}
    assert not known & {"typer", "rich", "sys", "logging", "warnings"}
    for path in (PACKAGE / "study").rglob("*.py"):
        assert not re.search(r"(?<!\w)print\(", path.read_text(encoding="utf-8")), path


def planted(tmp_path: Path, file: str, line: str) -> Path:
    """A copy of the package with one more line at the end of a file, which may be new."""
    package = tmp_path / "plt"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / file).open("a", encoding="utf-8") as stream:
        stream.write(f"\n\n{line}\n")
    return package


LAZY = "def _planted() -> None:\n    import {}"
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {}"


@pytest.mark.parametrize("form", ["import {}", LAZY, FOR_TYPES], ids=["plain", "lazy", "types"])
@pytest.mark.parametrize(
    ("file", "target", "rule"),
    [
        ("study/gains.py", "plt.cli.shell.streams", architecture.folder_problems),
        ("train/heads/newton.py", "plt.analyze.votes.votes", architecture.folder_problems),
        ("data/run.py", "plt.study.plan", architecture.folder_problems),
        ("train/heads/newton.py", "plt.train.runs.scoring", architecture.layer_problems),
        ("cli/shell/render.py", "plt.cli.pages.comparison", architecture.layer_problems),
    ],
)
def test_a_planted_arrow_is_named(
    form: str, file: str, target: str, rule: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    problems = rule(planted(tmp_path, file, form.format(target)))
    source = "plt." + file.removesuffix(".py").replace("/", ".")
    assert len(problems) == 1
    assert problems[0].startswith(f"{source} -> {target} (plt/{file}:")


@pytest.mark.parametrize("form", ["import {}", LAZY, FOR_TYPES], ids=["plain", "lazy", "types"])
def test_a_planted_circle_of_files_is_named(form: str, tmp_path: Path) -> None:
    """`bootstrap` knows `uncertainty`: the way back is the circle."""
    line = form.format("plt.analyze.intervals.bootstrap")
    package = planted(tmp_path, "analyze/intervals/uncertainty.py", line)
    problems = architecture.file_circles(package)
    assert len(problems) == 1
    assert "intervals.uncertainty -> plt.analyze.intervals.bootstrap (plt/" in problems[0]
    assert "intervals.bootstrap -> plt.analyze.intervals.uncertainty (plt/" in problems[0]
    assert architecture.room_circles(package) == []


def test_a_planted_circle_of_rooms_is_named_where_no_file_is_in_one(tmp_path: Path) -> None:
    package = planted(tmp_path, "train/models/planted.py", "import plt.train.features.planted")
    (package / "train/features/planted.py").write_text('"""Nothing."""\n')
    assert architecture.file_circles(package) == []
    problems = architecture.room_circles(package)
    assert problems
    assert any("plt.train.models.planted -> plt.train.features.planted" in p for p in problems)


def test_a_room_that_nobody_placed_is_named(tmp_path: Path) -> None:
    package = planted(tmp_path, "train/cellar.py", '"""Nothing."""\n')
    (problem,) = architecture.unplaced_rooms(package)
    assert problem.startswith("plt/train/cellar is not in LAYERS")


def test_a_planted_crowd_and_planted_lengths_are_named(tmp_path: Path) -> None:
    package = planted(tmp_path, "errors.py", "def long() -> None:\n" + "    x = 1\n" * 50)
    for number in range(13):
        for name in ("train/people", "data/sources", "train/methods/personal", "study"):
            (package / name / f"planted_{number}.py").write_text('"""Nothing."""\n')
    (package / "study" / "planted_0.py").write_text("x = 1\n" * 401)
    study, people = architecture.crowded_rooms(package)
    assert study.startswith("plt/study has 23 files; at most 12")
    assert people.startswith("plt/train/people has 16 files; at most 12")
    assert architecture.long_parts(package) == [
        "plt/errors.py: long has 51 lines; at most 50",
        "plt/study/planted_0.py has 401 lines; at most 400",
    ]


@pytest.mark.parametrize(
    "module",
    [
        "plt",
        "plt.api",
        "plt.cli",
        "plt.cli.shell.app",
        "plt.data",
        "plt.data.tables.preferences",
        "plt.data.run",
        "plt.analyze",
        "plt.analyze.comparison.compare",
        "plt.analyze.registry",
        "plt.study",
        "plt.study.execute",
        "plt.study.plan",
        "plt.study.entries",
        "plt.train.method",
        "plt.train.registry",
    ],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    script = (
        f"import {module}, sys; "
        "heavy = {'torch', 'transformers', 'scipy.stats', 'pandas', 'pyarrow', 'datasets',"
        " 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_needs_no_model_works_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    from plt.cli import main

    table, cut, run = (str(tmp_path / name) for name in ("t.parquet", "s.parquet", "run"))
    write_preferences(split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0)), Path(cut))
    assert main(["train", cut, "--method", "length", "-o", run, "-q"]) == 0
    raw = tmp_path / "raw.csv"
    raw.write_text("prompt,chosen,rejected,user_id\nwhy?,because,so,u\n")
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "torch.py").write_text("raise ImportError('torch is not here')")
    script = "from plt.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    env = {
        "PYTHONPATH": f"{absent}:{PACKAGE.parent}",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    for line in (
        ["dataset-simulate", "mirrored", "--users", "6", "-o", table],
        ["dataset-convert", "generic", str(raw), "-o", str(tmp_path / "c.parquet")],
        ["dataset-split", table, "-o", str(tmp_path / "cut.parquet"), "--by", "pair"],
        ["dataset-lint", str(tmp_path / "cut.parquet")],
        ["dataset-stats", table],
        ["report", run],
        ["verify", run],
        ["ls", "methods"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *line],
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr
