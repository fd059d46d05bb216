"""Runs side by side: the same judgements, paired differences, an honest verdict."""

import numpy as np
import polars as pl
import pytest

from plt.analyze.comparison.compare import Entry, compare
from plt.analyze.comparison.majority_reference import LEAVE_ONE_OUT, OWN_VOTE
from plt.errors import DataError
from tests.analyze.score_tables import scores


def population(seed: int, n_users: int = 30, n_pairs: int = 40) -> pl.DataFrame:
    """Everybody judges every pair at random; margins are to be replaced."""
    rng = np.random.default_rng(seed)
    users = [f"u{u:02d}" for u in range(n_users) for _ in range(n_pairs)]
    pairs = [p for _ in range(n_users) for p in range(n_pairs)]
    label = rng.integers(0, 2, len(users)).astype(float)
    return scores(label, np.zeros(len(users)), users, pairs)


def entry(name: str, table: pl.DataFrame, right: np.ndarray) -> Entry:
    """A run that is right exactly where `right` says."""
    side = np.where(table["label"].to_numpy() > 0.5, 1.0, -1.0)
    margin = pl.Series(np.where(right, side, -side))
    made = table.with_columns(margin=margin, run_id=pl.lit(name), method=pl.lit(name))
    return Entry(name, name, name, made)


def test_a_real_gain_is_found_and_a_null_is_not() -> None:
    found, false_alarms = 0, 0
    for seed in range(20):
        table = population(seed)
        rng = np.random.default_rng(1000 + seed)
        base = rng.random(table.height) < 0.6
        same = rng.random(table.height) < 0.6
        better = rng.random(table.height) < 0.7
        result = compare(
            [entry("bradley-terry", table, base), entry("same", table, same),
             entry("better", table, better)]
        )  # fmt: skip
        by_name = {row.entry.name: row for row in result.rows}
        assert result.baseline == "bradley-terry"
        assert by_name["bradley-terry"].gain is None
        found += "better (+" in result.verdict
        same_gain = by_name["same"].gain
        assert same_gain is not None
        assert same_gain.own.p is not None
        false_alarms += same_gain.own.p < 0.05
    assert found >= 18
    assert false_alarms <= 3


def test_the_verdict_says_when_nothing_is_found() -> None:
    table = population(0)
    base = np.random.default_rng(0).random(table.height) < 0.6
    other = base.copy()
    other[np.flatnonzero(base)[:20]] = False
    other[np.flatnonzero(~base)[:21]] = True  # twenty lost and twenty-one won: nothing
    runs = [entry("bradley-terry", table, base), entry("other", table, other)]
    assert compare(runs).verdict.startswith("No detectable gain over bradley-terry")
    assert compare(runs[:1]).verdict == "One run: nothing to compare it with."


def test_only_shared_judgements_are_compared_and_the_rest_is_counted() -> None:
    table = population(1, 5, 10)
    everywhere = np.ones(table.height, dtype=bool)
    one, other = entry("a", table, everywhere), entry("b", table, everywhere)
    other = Entry("b", "b", "b", other.scores.head(30))
    result = compare([one, other])
    assert (result.n_shared, result.n_left_out) == (30, 20)
    assert result.rows[0].pooled.n_rows == 30


def test_tables_that_disagree_about_labels_are_refused() -> None:
    table = population(2, 4, 5)
    right = np.ones(table.height, dtype=bool)
    flipped = table.with_columns(label=1 - pl.col("label"))
    with pytest.raises(DataError, match="disagree about a label"):
        compare([entry("a", table, right), entry("b", flipped, right)])


def test_nothing_in_common_is_said() -> None:
    table = population(2, 4, 5)
    right = np.ones(table.height, dtype=bool)
    elsewhere = table.with_columns(pair_id=pl.col("pair_id") + 100)
    with pytest.raises(DataError, match="share no judgement"):
        compare([entry("a", table, right), entry("b", elsewhere, right)])


def test_an_unknown_baseline_is_refused() -> None:
    table = population(2, 4, 5)
    with pytest.raises(DataError, match="no run 'x' to be the baseline"):
        compare([entry("a", table, np.ones(table.height, dtype=bool))], baseline="x")


def test_wrong_users_are_compared_with_the_baseline_too() -> None:
    table = population(3)
    rng = np.random.default_rng(3)
    base = entry("bradley-terry", table, rng.random(table.height) < 0.6)
    personal = entry("personal", table, rng.random(table.height) < 0.8)
    sham = entry("personal", table, rng.random(table.height) < 0.5).scores
    sham = sham.with_columns(control=pl.lit("wrong-user")).cast(dict(table.schema))
    both = Entry("personal", "personal", "personal", pl.concat([personal.scores, sham]))
    row = compare([base, both]).rows[1]
    assert row.gain is not None
    assert row.gain.wrong_user is not None
    assert row.gain.part is not None
    assert row.gain.own.interval.value == pytest.approx(0.2, abs=0.08)
    assert row.gain.wrong_user.interval.value == pytest.approx(-0.1, abs=0.08)
    assert row.gain.part.interval.value == pytest.approx(0.3, abs=0.08)
    assert row.gain.whose == "personal"


def test_majority_reference_as_worked_in_its_docstring() -> None:
    table = scores([1.0, 1.0, 0.0], [1.0, 1.0, 1.0], ["x", "y", "z"], [7, 7, 7])
    other = scores([1.0], [1.0], ["x"], [8])  # nobody else judged it
    lines = compare([Entry("a", "a", "a", pl.concat([table, other]))]).majority
    assert lines[OWN_VOTE].value == pytest.approx((2 + 1) / 4)
    assert lines[LEAVE_ONE_OUT].value == pytest.approx((0.5 + 0.5 + 0 + 0.5) / 4)


def test_no_user_blind_scorer_passes_the_majority_with_the_own_vote() -> None:
    """Exhaustively: every way of answering 4 pairs, the same for everybody."""
    table = population(5, 5, 4)
    ceiling = compare([Entry("a", "a", "a", table)]).majority[OWN_VOTE].value
    assert ceiling is not None
    best = 0.0
    for answers in range(16):
        signs = pl.Series([1.0 if answers >> p & 1 else -1.0 for p in table["pair_id"].to_list()])
        blind = Entry("a", "a", "a", table.with_columns(margin=signs))
        best = max(best, compare([blind]).rows[0].pooled.value or 0.0)
    assert best == pytest.approx(ceiling, abs=0.5 * 1e-9) or best < ceiling
