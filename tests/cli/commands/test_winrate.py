"""`plt winrate` as a person types it: every judge, what leaves the machine, kill and resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plt.cli import main
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import GENERATIONS, VERDICTS
from plt.data.tables.table import Meta, read_table, write_table
from tests.data.made_tables import crossed
from tests.data.texts import written
from tests.train.loopback_chat import longer_answer, serve

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three persons, four prompts: system one writes i words for person i, system two always one.

    So one wins for u2 (2 words), ties for u1, loses for u0 (nothing written).
    """
    monkeypatch.chdir(tmp_path)
    # A key of one's own would be in the cache of others; here it is this test's.
    monkeypatch.setenv("PLT_CACHE", str(tmp_path / "cache"))
    rows = [(f"u{i}", f"p{p}", " ".join(["word"] * i)) for i in range(3) for p in range(4)]
    write_table(written(rows), GENERATIONS, tmp_path / "one.parquet", Meta(license="MIT"))
    generic = [(None, f"p{p}", "word") for p in range(4)]
    two = written([(None, p, text) for _, p, text in generic], "two", "generic")
    write_table(two, GENERATIONS, tmp_path / "two.parquet", Meta(license="CC0-1.0"))
    return tmp_path


def figures(capfd: pytest.CaptureFixture[str], *line: str) -> dict[str, Any]:
    code = main(["winrate", *line, "--json"])
    found = capfd.readouterr()
    assert code == 0, found.err
    data: dict[str, Any] = json.loads(found.out)
    return data


def test_an_endpoint_judges_and_is_named_before_anything_leaves(
    tables: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    with serve(longer_answer) as server:
        line = ["winrate", "one.parquet", "two.parquet", "--judge-url", server.url,
                "--judge-model", "big", "--judge-key-env", "MY_KEY", "--price-in", "1",
                "--price-out", "10", "-o", "v.parquet", "--json",
                "--judge-option", "seed=7", "--judge-option", "user=me"]  # fmt: skip
        assert main(line) == 0
        shown = capfd.readouterr()
        assert f"sends 16 questions, each with a prompt and two texts, to {server.url}" in shown.err
        assert "secret" not in shown.err + shown.out
        assert server.log[0][1]["Authorization"] == "Bearer secret"
        assert (server.log[0][0]["seed"], server.log[0][0]["user"]) == (7, "me")
        data = json.loads(shown.out)
    (found,) = data["contests"]
    assert (found["wins"], found["ties"], found["losses"]) == (4, 4, 4)
    assert found["ties_half"]["by_user"]["value"] == 0.5
    assert found["ties_as_wins"]["pooled"] == pytest.approx({"system_1": 2 / 3, "system_2": 2 / 3})
    assert found["ties_as_wins"]["n_users_won"] == {"1": 1, "2": 1, "tie": 1}
    assert [found["users"][u]["win_rate"] for u in ("u0", "u1", "u2")] == [0.0, 0.5, 1.0]
    assert found["order"]["disagreement"] == 0.0
    assert data["spent"]["cost"] == pytest.approx((1600 * 1 + 32 * 10) / 1e6)
    _, meta = read_table(Path("v.parquet"), VERDICTS)
    assert meta.license == "MIT and CC0-1.0"
    again = figures(capfd, "v.parquet")
    assert again["contests"] == data["contests"]


def test_a_judge_that_looks_at_the_place_only_is_found_out(
    tables: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(lambda question: "A") as server:
        line = ["one.parquet", "two.parquet", "--judge-url", server.url, "--judge-model", "m"]
        (found,) = figures(capfd, *line)["contests"]
        assert main(["winrate", *line]) == 0
    warning = found["order"].pop("warning")
    assert found["order"] == {
        "n": 8, "disagreement": 1.0, "share_won_by_the_first": 1.0, "reason": None,
    }  # fmt: skip
    assert found["share_of_ties"] == 1.0
    assert "is no judge of these texts: it answered A in 100 % whatever the order" in warning
    out, err = capfd.readouterr()
    assert f"plt: WARNING: {warning}" in err
    assert out.startswith("WARNING: ")
    assert "In 100 % of the 8 contests read in both orders the two orders differ" in out


def test_a_judge_that_answers_nothing_useful_gives_no_win_rate(
    tables: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = written([(f"u{i}", f"p{p}", f"text {i}") for i in range(3) for p in range(4)])
    write_table(one, GENERATIONS, Path("other.parquet"), Meta())
    with serve(lambda question: "banana") as server:
        line = ["winrate", "other.parquet", "two.parquet", "--judge-url", server.url]
        assert main([*line, "--judge-model", "m"]) == 0
    out = capfd.readouterr().out
    assert "No contest has a verdict: there is no win rate." in out
    assert "Without a verdict, hence left out:" in out
    assert "nobody in particular" not in out


def test_a_reward_run_judges(tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_preferences(crossed(4, 60), tables / "t.parquet")
    assert main(["train", "t.parquet", "--method", "length", "-o", "run", "-q"]) == 0
    capfd.readouterr()
    (found,) = figures(capfd, "one.parquet", "two.parquet", "--judge", "run")["contests"]
    assert (found["n"], found["ties"], found["order"]["n"]) == (12, 4, 0)
    assert found["judge"].startswith("length-")
    assert {found["users"][u]["win_rate"] for u in ("u0", "u2")} == {0.0, 1.0}


def test_a_local_model_judges(tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["one.parquet", "two.parquet", "--judge", "builtin:tiny"]
    (found,) = figures(capfd, *line)["contests"]
    assert (found["judge"], found["order"]["n"]) == ("model:builtin:tiny", 8)


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("builtin:tiny", True),
        ("p-dpo-1 best of 2 by builtin:tiny", True),
        ("my/builtin:tiny-2", False),
    ],
)
def test_a_model_that_judges_itself_is_no_independent_judge(
    tables: Path, system: str, said: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    table = written([(None, f"p{p}", "its own") for p in range(4)], system, "generic")
    write_table(table, GENERATIONS, tables / "own.parquet")
    assert main(["winrate", "one.parquet", "own.parquet", "--judge", "builtin:tiny"]) == 0
    assert ("no independent judge" in capfd.readouterr().err) == said


def test_the_chosen_texts_of_a_table_are_an_opponent(
    tables: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_preferences(crossed(3, 4), tables / "t.parquet")
    rows = [(f"u{u:02d}", f"prompt {p}", "an answer") for u in range(3) for p in range(4)]
    write_table(written(rows), GENERATIONS, tables / "g.parquet")
    (found,) = figures(capfd, "g.parquet", "t.parquet", "--judge", "builtin:tiny")["contests"]
    assert (found["system_2"], found["n"]) == ("chosen", 12)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["one.parquet", "two.parquet"], "nobody judges"),
        (["one.parquet", "two.parquet", "--judge-url", "http://x/v1"], "needs --judge-model"),
        (["one.parquet", "two.parquet", "--judge", "a", "--judge-url", "b"], "two judges"),
        (["one.parquet"], "stands alone"),
        (["one.parquet", "two.parquet", "--judge-url", "http://h", "--judge-model", "m",
          "--judge-option", "seed"], "not KEY=VALUE"),
        (["one.parquet", "gone.parquet", "--judge", "builtin:tiny"], "gone.parquet does not exist"),
        (["one.parquet", "two.parquet", "--judge", "builtin:minilm"], "encoder"),
        (["one.parquet", "two.parquet", "--judge", "builtin:tiny", "--first", "generic"],
         "no generic texts"),
        (["one.parquet", "two.parquet", "--judge-url", "nowhere", "--judge-model", "m"],
         "no address"),
    ],
)  # fmt: skip
def test_wrong_lines(
    tables: Path, line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["winrate", *line]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(tables: Path) -> None:
    """SIGKILL after six of sixteen answers; the second run asks only what is not kept."""

    def slow(question: str) -> str:
        time.sleep(0.15)
        return longer_answer(question)

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with serve(slow) as server:
        line = [sys.executable, "-m", "plt", "winrate", "one.parquet", "two.parquet",
                "--judge-url", server.url, "--judge-model", "m", "--judge-parallel", "1",
                "--json"]  # fmt: skip
        killed = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while len(server.log) < 7 and time.monotonic() < deadline:
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        asked = len(server.log)
        assert 7 <= asked < 16
        done = subprocess.run(line, env=env, check=True, capture_output=True)
        data = json.loads(done.stdout)
        # What was under way when it was killed is asked once more.
        assert len(server.log) in (16, 17)
        assert data["spent"]["cached"] >= asked - 1
        assert data["contests"][0]["n"] == 12


def test_verdicts_go_through_a_pipe(tables: Path) -> None:
    plt = f"{sys.executable} -m plt"
    with serve(longer_answer) as server:
        line = (
            f"{plt} winrate one.parquet two.parquet --judge-url {server.url} --judge-model m -o -"
            f" -q | {plt} winrate - --json"
        )
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["contests"][0]["wins"] == 4
