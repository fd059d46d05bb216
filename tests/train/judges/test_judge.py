"""Reward runs and local models as judges."""

from pathlib import Path

import numpy as np
import pytest

from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.contests import Contests, Side, pair_contests
from plt.data.tables.preferences import pair_id, read_preferences, write_preferences
from plt.train.judges.judge import judge_contests, side
from plt.train.judges.model_judge import ModelJudge
from plt.train.judges.reward_judge import RewardJudge
from plt.train.method import Compute
from plt.train.models.ab_choice import load_judge
from plt.train.runs.fitted_run import FittedRun, load_fitted_run
from tests.data.made_tables import crossed
from tests.data.texts import written


def contests(users: list[str], n: int = 6) -> Contests:
    """System 1 writes i words on prompt i, system 2 three."""
    one = written([(u, f"p{i}", "word " * i) for u in users for i in range(n)])
    two = written([(u, f"p{i}", "w w w") for u in users for i in range(n)], system="two")
    return pair_contests(Side(one, "one"), Side(two, "two"))


@pytest.fixture
def length_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FittedRun:
    """A run of `length` on users who prefer the longer text."""
    from plt.cli import main

    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(4, 60), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    assert main(["train", "t.parquet", "--method", "length", "-o", "run", "-q"]) == 0
    return load_fitted_run(tmp_path / "run")


@pytest.fixture
def personal_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FittedRun:
    from plt.cli import main

    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(4, 60), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:tiny", "-o", "run"]
    assert main([*line, "-q"]) == 0
    return load_fitted_run(tmp_path / "run")


def test_a_reward_run_judges_by_its_own_margins(length_run: FittedRun) -> None:
    """`length` is a log-odds per character: its margins have the sign of the difference."""
    asked = contests(["u00"])
    found = judge_contests(asked, RewardJudge(length_run))
    weight = np.sign(found["score"][-1])
    characters = [
        len(one) - len(two)
        for one, two in asked.frame.select("response_1", "response_2").iter_rows()
    ]
    order = {p: c for p, c in zip(asked.frame["prompt_id"], characters, strict=True)}
    assert len(found) == 6
    assert found["order"].null_count() == 6
    for prompt, verdict, score in found.select("prompt_id", "verdict", "score").iter_rows():
        assert np.sign(score) == weight * np.sign(order[prompt])
        assert verdict == side(score, 0.0)


def test_exchanged_systems_get_the_negated_margin(personal_run: FittedRun) -> None:
    """Also where two people hold the same two texts, the systems exchanged."""
    one = written([("u00", "p", "left 1"), ("u01", "p", "right 1"), ("u02", "p", "")])
    two = written([("u00", "p", "right 1"), ("u01", "p", "left 1"), ("u02", "p", "x")], "two")
    forth = judge_contests(pair_contests(Side(one, "1"), Side(two, "2")), RewardJudge(personal_run))
    back = judge_contests(pair_contests(Side(two, "2"), Side(one, "1")), RewardJudge(personal_run))
    assert forth["score"].to_numpy() == pytest.approx(-back["score"].to_numpy())
    assert forth["score"].null_count() == 0


def test_margins_are_those_of_plt_score(personal_run: FittedRun) -> None:
    prefs = read_preferences(Path("t.parquet"))
    scored = personal_run.score(prefs).frame.sort("user_id", "pair_id")
    wide = prefs.wide().sort("user_id", "pair_id")
    texts = [(u, p[0]["content"], a, b) for u, p, a, b in wide.select(
        "user_id", "prompt", "response_a", "response_b").iter_rows()]  # fmt: skip
    one = written([(u, p, a) for u, p, a, _ in texts])
    two = written([(u, p, b) for u, p, _, b in texts], "two")
    asked = pair_contests(Side(one, "1"), Side(two, "2"))
    found = judge_contests(asked, RewardJudge(personal_run))
    ids = [
        pair_id(*row)
        for row in asked.frame.select("prompt", "response_1", "response_2").iter_rows()
    ]
    margins = dict(zip(zip(found["user_id"], ids, strict=True), found["score"], strict=True))
    for user, pair, margin in scored.select("user_id", "pair_id", "margin").iter_rows():
        assert margins[user, pair] == pytest.approx(margin, abs=1e-9)


def test_a_personal_run_judges_nobody_whom_it_does_not_know(personal_run: FittedRun) -> None:
    found = judge_contests(contests(["stranger", "u00"], 2), RewardJudge(personal_run))
    of = {
        u: set(part["reason"].to_list())
        for (u,), part in found.partition_by("user_id", as_dict=True).items()
    }
    assert of == {"stranger": {"the judge does not know the user"}, "u00": {None}}


def test_small_margins_are_ties_where_that_is_asked_for(length_run: FittedRun) -> None:
    found = judge_contests(contests(["u00"]), RewardJudge(length_run, tie_below=1e9))
    assert found["verdict"].cast(str).to_list() == ["tie"] * 6
    assert [side(score, 0.5) for score in (0.5, -0.5, 0.4)] == ["1", "2", "tie"]
    assert [side(score, 0.0) for score in (1e-9, -9e-7, 2e-6)] == ["tie", "tie", "1"]


def test_a_local_model_reads_both_orders() -> None:
    """The second reading of a contest is the first of the exchanged contest, turned round."""
    judge = ModelJudge(load_judge("builtin:tiny", Compute()), Compute(batch_size=4), {"u": "cats"})
    one = written([("u", "p", "a text"), ("v", "p", "a text"), ("v", "q", "same")])
    two = written([("u", "p", "the other"), ("v", "p", "the other"), ("v", "q", "same")], "two")
    forth = judge_contests(pair_contests(Side(one, "1"), Side(two, "2")), judge)
    back = judge_contests(pair_contests(Side(two, "2"), Side(one, "1")), judge)
    assert forth["order"].to_list().count("1-first") == 2
    scores = forth.filter(forth["order"].is_not_null())["score"].to_numpy()
    turned = back.filter(back["order"].is_not_null())["score"].to_numpy()
    assert scores[[0, 2]] == pytest.approx(-turned[[1, 3]], abs=1e-5)
    assert scores[[1, 3]] == pytest.approx(-turned[[0, 2]], abs=1e-5)
    # The profile of u is part of the question, and v has none.
    assert scores[0] != scores[2]
