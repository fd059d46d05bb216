"""A study without a terminal finds what the command finds, and says it to whom it is handed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from tests.data.made_tables import crossed

SCRIPT = """
import json, sys
from pathlib import Path
assert sys.stdout is None and sys.stderr is None
from plt.data.tables.content import input_hashes
from plt.data.tables.preferences import read_preferences
from plt.study.execute import execute
from plt.study.make_run import Session
from plt.study.plan import Asked, plan, split_if_needed
from plt.train.method import Compute
from plt.data.cache import cache_dir

said, steps = [], []
prefs = split_if_needed(read_preferences(Path("t.parquet")), 3, said.append)
asked = Asked("length,individual", "builtin:minilm", {}, (), None, "total", None)
compute = Compute(cache_dir=cache_dir(), progress=lambda *step: steps.append(step))
session = Session(
    prefs, None, compute, 3, Path("runs"), said.append, input_hashes(prefs),
    {"data": "t.parquet"},
)
found = execute(plan(asked, prefs, False), session)
again = execute(plan(asked, prefs, False), session)
assert found.made == tuple(found.made) and not found.failed
answer = {"said": said, "found": found.to_json(), "again": again.to_json(), "steps": len(steps)}
Path("answer.json").write_text(json.dumps(answer))
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """One table in two folders, so that the paths of the runs are the same."""
    for name in ("typed", "called"):
        (tmp_path / name).mkdir()
        write_preferences(crossed(6, 60), tmp_path / name / "t.parquet")
    return tmp_path


def test_with_stdout_and_stderr_closed_it_finds_what_the_command_prints(
    table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(table / "typed")
    # Vectors that another test left behind come from another batch and differ in the last bit.
    monkeypatch.setenv("PLT_CACHE", str(table / "cache_of_the_command"))
    # On a busy machine long steps are told now and then; that is talk of the command alone.
    monkeypatch.setattr("plt.cli.shell.streams.PLAIN_PROGRESS_SECONDS", float("inf"))
    line = ["train", "t.parquet", "--method", "length,individual", "--model", "builtin:minilm",
            "--seed", "3", "--json"]  # fmt: skip
    assert main(line) == 0
    first = capfd.readouterr()
    assert main(line) == 0
    second = capfd.readouterr()
    (table / "study.py").write_text(SCRIPT)
    done = subprocess.run(
        ["bash", "-c", '"$0" "$1" >&- 2>&-', sys.executable, str(table / "study.py")],
        cwd=table / "called",
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PLT_CACHE": str(table / "cache"),
        },
        check=False,
    )
    assert done.returncode == 0
    answer = json.loads((table / "called" / "answer.json").read_text())
    assert answer["found"] == json.loads(first.out)
    assert answer["again"] == json.loads(second.out)
    assert answer["found"]["runs"][1]["gain"]["own"]["value"] is not None
    assert answer["steps"] > 0
    said = [text.removeprefix("plt: ") for text in (first.err + second.err).splitlines()]
    # The second call of the command divides the table anew; the study is handed it divided. Only
    # the command says what to type next.
    divided = "the table had no split"
    heard = [text for text in said if not text.startswith(("next: ", divided))]
    assert [text for text in answer["said"] if not text.startswith(divided)] == heard
    for run in answer["found"]["runs"]:
        for name in ("config.toml", "scores.parquet", "metrics.parquet"):
            typed, called = (table / each / run["run"] / name for each in ("typed", "called"))
            assert typed.read_bytes() == called.read_bytes(), name


def test_a_failure_is_found_and_said_and_stops_no_other(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plt.data.tables.content import input_hashes
    from plt.data.tables.preferences import read_preferences
    from plt.study.execute import execute
    from plt.study.make_run import Session
    from plt.study.plan import Asked, plan
    from plt.train.method import Compute

    monkeypatch.chdir(table / "called")
    prefs = split(read_preferences(Path("t.parquet")), SplitPlan(by="pair", unseen_users=0))
    cells = plan(Asked("length,random", None, {}, (), None, "total", None), prefs, False)
    blocked = Path("runs")
    said: list[str] = []
    session = Session(prefs, None, Compute(), 0, blocked, said.append, input_hashes(prefs), {})
    folder = session.folder(session.identity(cells.cells[0]))
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("not a run")
    found = execute(cells, session)
    assert [made.cell.name for made in found.made] == ["random"]
    ((label, reason, code),) = [(e.label, e.reason, e.exit_code) for e in found.failed]
    assert (label, code, found.exit_code) == ("length", 2, 2)
    assert "holds other files and no run" in reason
    assert f"length: failed: {reason}" in said
    assert found.to_json()["failed"] == [{"run": "length", "reason": reason}]
