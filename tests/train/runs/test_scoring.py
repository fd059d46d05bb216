from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.tables.preferences import Preferences
from plt.data.tables.schema import SCORES, validate
from plt.errors import FailedError, UsageError
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.registry import make_method
from plt.train.runs.fit_and_score import fit_and_score
from plt.train.runs.scoring import Label, score_pairs, wrong_users
from tests.contracts.population import population

LABEL = Label("run-1", "toy", 3)


@dataclass(frozen=True)
class Judge:
    """A pairwise judge that counts what it is asked: user 01 likes long answers, others short."""

    users: tuple[str, ...] = ("user 00", "user 01")
    value: float | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def margin(self, texts: Texts, a: IntArray, b: IntArray, users: list[str | None]) -> FloatArray:
        self.asked.append((len(texts), len(a)))
        length = np.array([len(response) for response in texts.responses], dtype=np.float64)
        sign = np.array([1.0 if user == "user 01" else -1.0 for user in users])
        margin = sign * (length[a] - length[b])
        if self.value is not None:
            margin[1] = self.value
        return margin


@pytest.fixture(scope="module")
def people() -> Preferences:
    return population()


def test_a_pairwise_judge_has_margins_and_no_rewards(people: Preferences) -> None:
    judge = Judge()
    scores = score_pairs(judge, people, replace(LABEL, n_shots=5, draw=2))  # type: ignore[arg-type]
    frame = scores.frame
    assert validate(frame, SCORES) == []
    assert judge.asked == [(60, people.votes.height)]
    assert frame["reward_a"].null_count() == frame.height
    assert frame.select("run_id", "method", "seed", "n_shots", "draw").unique().row(0) == (
        "run-1", "toy", 3, 5, 2,
    )  # fmt: skip
    texts = frame.join(people.pairs, on="pair_id")
    longer = (
        texts["response_a"].str.len_chars().cast(pl.Int64) - texts["response_b"].str.len_chars()
    )
    sign = pl.Series([1 if user == "user 01" else -1 for user in texts["user_id"]])
    assert texts["margin"].to_list() == (longer * sign).to_list()
    known = frame.filter(pl.col("scored_as").is_not_null())
    assert set(known["user_id"]) == {"user 00", "user 01"}


def test_margins_are_differences_of_rewards(people: Preferences, tmp_path: Path) -> None:
    ctx = TrainContext(0, tmp_path)
    method = make_method("random", {}).fit(people, ctx)
    frame = score_pairs(method, people, LABEL).frame
    assert frame["margin"].to_list() == (frame["reward_a"] - frame["reward_b"]).to_list()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_margin_that_is_no_number_stops_everything(people: Preferences, value: float) -> None:
    with pytest.raises(FailedError) as error:
        score_pairs(Judge(value=value), people, LABEL)  # type: ignore[arg-type]
    row = people.votes.row(1, named=True)
    assert "1 of 260 judgements" in error.value.message
    assert error.value.problems == [f"user {row['user_id']!r}, pair {row['pair_id']}: {value}"]


def test_scoring_as_somebody_else(people: Preferences) -> None:
    judge = Judge()
    everybody = dict.fromkeys([None, *people.votes["user_id"].cast(pl.String).unique()], "user 01")
    as_one = score_pairs(judge, people, LABEL, scored_as=everybody).frame  # type: ignore[arg-type]
    assert as_one["scored_as"].unique().to_list() == ["user 01"]
    own = score_pairs(judge, people, LABEL).frame  # type: ignore[arg-type]
    mine = own["user_id"] == "user 01"
    assert (as_one["margin"] == own["margin"]).to_list() == mine.fill_null(False).to_list()
    with pytest.raises(UsageError, match="does not know") as error:
        score_pairs(judge, people, LABEL, scored_as={None: "nobody"})  # type: ignore[arg-type]
    assert error.value.problems == ["unknown user 'nobody'"]


@given(st.sets(st.text(max_size=3), min_size=2, max_size=30), st.integers(0, 2**32))
def test_wrong_users_is_a_derangement_that_only_the_seed_decides(
    users: set[str], seed: int
) -> None:
    wrong = wrong_users(list(users), seed)
    assert set(wrong) == set(wrong.values()) == users
    assert all(user != other for user, other in wrong.items())
    assert wrong == wrong_users(sorted(users), seed)


def test_one_user_has_no_wrong_user(people: Preferences) -> None:
    assert wrong_users(["alone"], 0) == {}
    one = Judge(users=("user 00",))
    scores = score_pairs(one, people, LABEL, control="wrong-user")  # type: ignore[arg-type]
    assert scores.frame.height == 0
    assert scores.dropped == {"no other user to score as": people.votes.height}
    assert scores.notes == ("no wrong-user control: it knows one user only, 'user 00'",)


def test_fit_and_score_accounts_for_every_judgement(people: Preferences, tmp_path: Path) -> None:
    unsplit = pl.col("pair_id") == people.pairs["pair_id"][0]
    votes = people.votes.with_columns(split=pl.when(unsplit).then(None).otherwise("split"))
    method = make_method("popularity", {})
    ctx = TrainContext(3, tmp_path, Compute())
    fitted = fit_and_score(replace(people, votes=votes), method, ctx, LABEL)
    counts = dict(fitted.scores.dropped)
    seen = votes.filter(pl.col("user_split") == "seen")
    assert counts == {
        "unseen user: kept for adaptation": 20,
        "row without a split": seen["split"].null_count(),
        "train row": (seen["split"] == "train").sum(),
    }
    assert fitted.scores.frame.height + sum(counts.values()) == votes.height
    only_test = fit_and_score(people, method, ctx, LABEL, splits=("test",)).scores
    assert only_test.frame["split"].unique().to_list() == ["test"]
