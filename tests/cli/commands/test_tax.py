"""plt tax as a person types it: bases, users, runs found again, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plt
from plt.cli import main
from plt.data.run import CONFIG, METRICS_FILE, SCORES_FILE, load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import METRICS_TABLE, SCORES
from plt.data.tables.table import read_table
from plt.data.verify import verify
from plt.study.costs.tax import load_tax
from tests.data.made_tables import crossed

Capture = pytest.CaptureFixture[str]
SUBSETS = ("hep-go", "hep-cpp", "math-prm", "donotanswer", "alpacaeval-easy")
N_EACH = 6


def bench_rows() -> list[dict[str, Any]]:
    return [
        {"prompt": f"question {i} of {subset}", "chosen": "yes " * (i + 1) + subset,
         "rejected": "no " * (7 - i) + subset, "subset": subset, "id": i}
        for subset in SUBSETS for i in range(N_EACH)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split table, a benchmark, and runs: blind, personal without a backbone, personal heads."""
    folder = tmp_path_factory.mktemp("tax")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
        write_preferences(prefs, folder / "split.parquet")
        rows = [*bench_rows(), {**bench_rows()[0], "subset": "alpacaeval"}]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "bench.jsonl").write_text(lines, encoding="utf-8")
        small = ["--set", "model=builtin:tiny", "--no-baseline", "--sham", "none"]
        for method, more in (("length", []), ("random", []), ("individual", small)):
            assert main(["train", "split.parquet", "--method", method, *more]) == 0
    return folder


@pytest.fixture(autouse=True)
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def path_of(method: str) -> str:
    (found,) = Path("runs").glob(f"{method}-*")
    return str(found)


def typed(capfd: Capture, *line: str, code: int = 0) -> tuple[str, str]:
    assert main(["tax", *line]) == code
    found = capfd.readouterr()
    return found.out, found.err


def answer(capfd: Capture, *line: str) -> dict[str, Any]:
    out, _ = typed(capfd, *line, "--json")
    (found,) = json.loads(out)["runs"]
    return dict(found)


def test_a_personal_run_against_its_generic_user(capfd: Capture) -> None:
    out, said = typed(capfd, path_of("individual"), "--bench", "bench.jsonl")
    run = load_run(Path(out.strip()))
    assert "base is the generic user of the run itself" in said
    assert "18 of 23 subsets missing" in said
    assert "subset 'alpacaeval' is not RewardBench's" in said
    assert "bench.jsonl in the layout of rewardbench, content" in said
    assert "Safety" in said
    scores, _ = read_table(run.path / SCORES_FILE, SCORES)
    assert scores.height == 7 * len(SUBSETS) * N_EACH  # six users and nobody in particular
    metrics, _ = read_table(run.path / METRICS_FILE, METRICS_TABLE)
    assert set(metrics["metric"]) == {"section_score", "section_change", "worst_user_change"}
    missing = metrics.filter(pl.col("subset") == "Chat Hard", pl.col("metric") == "section_score")
    assert missing["value"].to_list() == [None]
    assert not verify(run.path).problems
    again, told = typed(capfd, path_of("individual"), "--bench", "bench.jsonl")
    assert again == out
    assert "done already" in told
    repeated, _ = typed(capfd, "--config", str(run.path / CONFIG))
    assert repeated == out
    found = load_tax(run.path)
    assert found.tax.missing == tuple(found.benchmark["missing"])
    assert len(found.tax.users) == 6


def test_scores_are_those_of_plt_score(capfd: Capture) -> None:
    out, _ = typed(capfd, path_of("individual"), "--bench", "bench.jsonl")
    mine, _ = read_table(Path(out.strip()) / SCORES_FILE, SCORES)
    prefs = plt.convert("bench.jsonl", source="rewardbench")
    user = mine["scored_as"].drop_nulls()[0]
    theirs = plt.load(path_of("individual")).score(prefs, as_user=user)
    both = mine.filter(pl.col("scored_as") == user).join(theirs, on="pair_id", suffix="_alone")
    assert both.height == len(SUBSETS) * N_EACH
    assert np.allclose(both["margin"], both["margin_alone"], rtol=0, atol=1e-12)


def test_a_blind_run_has_no_base_and_still_scores(capfd: Capture) -> None:
    found = answer(capfd, path_of("length"), "--bench", "bench.jsonl")
    assert found["base"]["kind"] == "none"
    assert found["verdict"].startswith("No base")
    by_name = {each["section"]: each for each in found["sections"]}
    assert by_name["Safety"]["score"]["value"] is not None
    assert by_name["Safety"]["change"] is None
    assert by_name["Chat Hard"]["score"]["value"] is None
    assert len(by_name["Chat Hard"]["missing"]) == 6
    assert found["n_users"] == 0
    assert found["accuracy"]["value"] is not None


def test_two_runs_swapped_flip_every_sign(capfd: Capture) -> None:
    one, other = path_of("individual"), path_of("length")
    there = answer(capfd, one, "--base", other, "--bench", "bench.jsonl")
    back = answer(capfd, other, "--base", one, "--bench", "bench.jsonl")
    assert there["base"]["kind"] == back["base"]["kind"] == "run"
    assert there["n_users"] == back["n_users"] == 6
    assert there["base_accuracy"]["value"] == back["accuracy"]["value"]
    for a, b in zip(there["sections"], back["sections"], strict=True):
        if a["change"]["value"] is None:
            assert b["change"]["value"] is None
            continue
        assert a["change"]["value"] == pytest.approx(-b["change"]["value"])
        assert a["spread"] == pytest.approx(b["spread"])
        if a["change"]["adjusted_ci"]:
            low, high = b["change"]["adjusted_ci"]
            assert a["change"]["adjusted_ci"] == pytest.approx([-high, -low])


def test_a_run_that_ignores_users_has_no_spread(capfd: Capture) -> None:
    found = answer(capfd, path_of("length"), "--base", path_of("random"), "--bench", "bench.jsonl")
    swapped = answer(
        capfd, path_of("length"), "--base", path_of("length"), "--bench", "bench.jsonl"
    )
    assert swapped["verdict"].startswith("No tax: the run gives the same answers")
    assert {each["spread"] for each in swapped["sections"]} <= {None, 0.0}
    assert found["n_users"] == 6  # whom the base knows


def test_users_are_drawn_and_that_is_said(capfd: Capture) -> None:
    _, said = typed(capfd, path_of("individual"), "--bench", "bench.jsonl", "--users", "2")
    assert "scored as 2 of 6 users" in said
    assert "Scored as 2 of the 6 users of the run." in said
    everybody = answer(capfd, path_of("individual"), "--bench", "bench.jsonl", "--users", "all")
    assert everybody["n_users"] == 6
    assert {each["user"] for each in everybody["users"]} == set(plt.load(path_of("individual"))
                                                               .fitted.users)  # fmt: skip


def test_several_runs_and_what_is_no_model(capfd: Capture) -> None:
    tax_run, _ = typed(capfd, path_of("length"), "--bench", "bench.jsonl")
    line = [path_of("length"), tax_run.strip(), path_of("random"), "--bench", "bench.jsonl"]
    out, said = typed(capfd, *line, code=2)
    assert len(out.split()) == 2
    assert "is a run of plt tax, and holds no model" in said


def test_report_shows_runs_of_tax_beside_the_others_and_holds_them_to_a_budget(
    capfd: Capture,
) -> None:
    found, _ = typed(capfd, path_of("individual"), "--bench", "bench.jsonl")
    run = found.strip()
    alone = [answer(capfd, path_of("individual"), "--bench", "bench.jsonl")]
    assert main(["report", run, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["tax"]["runs"] == alone
    assert main(["report", path_of("individual"), run, "--json"]) == 0
    both = json.loads(capfd.readouterr().out)
    assert both["tax"]["runs"] == alone
    assert len(both["rows"]) == 1
    # A section without an interval is not passed: what cannot be decided is not within a budget.
    assert main(["report", run, "--max-tax", "100", "--json"]) == 1
    gates = json.loads(capfd.readouterr().out)["gates"]
    assert len(gates) == len(alone[0]["sections"])
    unknown = [each for each in alone[0]["sections"] if each["change"]["adjusted_ci"] is None]
    assert sum("is not known" in gate["says"] for gate in gates) <= len(unknown)
    assert not all(gate["passed"] for gate in gates)
    assert main(["report", path_of("individual"), run, "--format", "html"]) == 0
    page = capfd.readouterr().out
    assert 'id="tax"' in page
    assert "Change of individual on" in page
    assert main(["report", path_of("individual"), "--max-tax", "2"]) == 2
    assert "none is named" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["--bench", "none.jsonl"], "does not exist"),
        (["--bench", "rewardbenc"], "did you mean 'rewardbench'"),
        (["--bench", "bench.jsonl", "--users", "0"], "a number from 1 or all"),
        (["--bench", "bench.jsonl", "--users", "²"], "a number from 1 or all"),
        (["--bench", "bench.jsonl", "--compat", "s2"], "known are official, s0"),
        (["--bench", "bench.jsonl", "--base", "builtin:tiny"], "neither a run nor a reward model"),
        (["--bench", "split.parquet", "--compat", "s0"], "about RewardBench"),
        (["--bench", "bench.jsonl", "--plot", "x.pdf"], "must end in .svg or .png"),
    ],
)
def test_what_cannot_be_done_is_said(line: list[str], says: str, capfd: Capture) -> None:
    _, said = typed(capfd, path_of("length"), *line, code=2)
    assert says in said


def test_a_table_of_people_is_a_benchmark_too(capfd: Capture) -> None:
    found = answer(capfd, path_of("random"), "--bench", "split.parquet", "--users", "2")
    assert [each["section"] for each in found["sections"]] == ["all"]
    assert any("each is taken as right for everybody" in note for note in found["notes"])


def test_the_way_of_dong_pools_and_leaves_two_subsets_out(capfd: Capture) -> None:
    line = [path_of("length"), "--bench", "bench.jsonl", "--compat", "s0"]
    by_name = {each["section"]: each for each in answer(capfd, *line)["sections"]}
    assert by_name["Safety"]["score"]["value"] is None
    official = answer(capfd, path_of("length"), "--bench", "bench.jsonl")
    theirs = {each["section"]: each["score"]["value"] for each in official["sections"]}
    frame, _ = read_table(Path(official["run"]) / SCORES_FILE, SCORES)
    frame = frame.filter(pl.col("subset").is_in(["hep-go", "hep-cpp", "math-prm"]))
    right = (frame["margin"] > 0) == (frame["label"] > 0.5)
    assert by_name["Reasoning"]["score"]["value"] == pytest.approx(right.mean())
    of_subset = {key[0]: float(np.mean(((part["margin"] > 0) == (part["label"] > 0.5)).to_numpy()))
                 for key, part in frame.partition_by("subset", as_dict=True).items()}  # fmt: skip
    expected = of_subset["math-prm"] * 984 + (of_subset["hep-go"] + of_subset["hep-cpp"]) * 164
    assert theirs["Reasoning"] == pytest.approx(expected / (984 + 328))


def test_in_python(capfd: Capture) -> None:
    found = plt.tax(path_of("individual"), bench="bench.jsonl")
    typed_answer = answer(capfd, path_of("individual"), "--bench", "bench.jsonl")
    assert found.to_json()["runs"] == [typed_answer]
    assert repr(found).startswith("TaxOutcome: ")
    table = plt.convert("bench.jsonl", source="rewardbench")
    by_frame = plt.tax(plt.load(path_of("individual")), bench=table)
    assert by_frame.to_json()["runs"][0]["sections"] == typed_answer["sections"]


def test_a_picture(capfd: Capture, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "tax.svg"
    typed(capfd, path_of("individual"), "--bench", "bench.jsonl", "--plot", str(picture))
    assert b"plt tax" in picture.read_bytes()


@pytest.mark.slow
def test_lora_from_a_reward_model_begins_at_its_head_and_is_measured_against_it(
    capfd: Capture,
) -> None:
    line = ["train", "split.parquet", "--method", "individual", "--model", "builtin:tiny-reward",
            "--tune", "lora", "--no-baseline", "--sham", "none"]  # fmt: skip
    steps = ["--learning-rate", "1e-9", "--epochs", "1", "-o", "tuned"]
    assert main([*line, *steps]) == 0
    capfd.readouterr()
    found = answer(capfd, "tuned", "--bench", "bench.jsonl", "--users", "3")
    assert found["base"]["kind"] == "model"
    assert found["base"]["name"] == "builtin:tiny-reward"
    # Nothing was learnt at that rate: everybody still has the head that the model came with.
    frame, _ = read_table(Path(found["run"]) / SCORES_FILE, SCORES)
    theirs = frame.filter(pl.col("run_id").str.starts_with("model-"))
    own = frame.filter(pl.col("scored_as").is_not_null())
    both = own.join(theirs, on="pair_id", suffix="_base")
    assert both.height == 3 * len(SUBSETS) * N_EACH
    assert float(np.abs(theirs["margin"]).max()) > 1e-3
    assert np.allclose(both["margin"], both["margin_base"], rtol=0, atol=1e-4)
