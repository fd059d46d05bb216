"""Best of N under rewards that can be worked out without the code."""

from pathlib import Path

import numpy as np
import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.errors import UsageError
from plt.train.runs.fitted_run import FittedRun, load_fitted_run
from plt.train.writing.best_of import Pick, best_of, first_best
from tests.data.made_tables import crossed, user_turn


@pytest.fixture
def length_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FittedRun:
    """`length`: the longer the text, the higher its reward, or the lower, as the users are."""
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(4, 60), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    assert main(["train", "t.parquet", "--method", "length", "-o", "run", "-q"]) == 0
    return load_fitted_run(tmp_path / "run")


def test_the_best_is_the_longest_or_the_shortest(length_run: FittedRun) -> None:
    texts = ["aa", "a", "aaaa", "aaaa", "aaa"]
    (pick,) = best_of(length_run, [user_turn("p")], [texts], [None])
    # `right 1` is longer than `left 1` and is preferred in a third of the judgements.
    assert pick.index == 1
    (first,) = best_of(length_run, [user_turn("p")], [["aa", "aa"]], [None])
    assert first.index == 0


def test_what_differs_by_rounding_is_equal_and_the_first_is_taken() -> None:
    assert first_best(np.array([0.2, 0.5, 0.5 + 1e-9])) == Pick(1, 0.5)
    assert first_best(np.array([0.2, 0.5, 0.5 + 1e-5])) == Pick(2, 0.5 + 1e-5)


def test_each_place_has_its_own_candidates(length_run: FittedRun) -> None:
    prompts = [user_turn("p"), user_turn("q"), user_turn("p")]
    found = best_of(length_run, prompts, [["aa", "a"], ["b", "bb", "bbb"], ["aaaa"]], [None] * 3)
    assert [pick.index for pick in found] == [1, 0, 0]
    assert found[0].reward > found[2].reward


def test_a_personal_run_refuses_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(3, 40), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:tiny", "-o", "run"]
    assert main([*line, "-q"]) == 0
    fitted = load_fitted_run(tmp_path / "run")
    with pytest.raises(UsageError, match="does not know these users") as caught:
        best_of(fitted, [user_turn("p")], [["a"]], ["w"])
    assert caught.value.problems == ["'w'"]
    texts = ["left 1", "right 1"]
    picks = best_of(fitted, [user_turn("p")] * 3, [texts] * 3, ["u00", "u01", None])
    assert picks[0].reward != picks[1].reward
