import math

import polars as pl
import pytest

from plt.analyze.scores.implicit_accuracy import implicit_accuracy
from plt.errors import DataError


def scores(rights: dict[str, str], seen: str = "abc", run: str = "r") -> pl.DataFrame:
    """One row a letter of each user's word: `+` right, `-` wrong, `0` undecided."""
    margin = {"+": 1.0, "-": -1.0, "0": 0.0}
    rows = [
        {
            "run_id": run, "user_id": user, "pair_id": i, "occurrence": 0, "group": f"{user}{i}",
            "label": 1.0, "margin": margin[sign], "control": None,
            "user_split": "seen" if user in seen else "unseen",
        }
        for user, word in rights.items()
        for i, sign in enumerate(word)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"control": pl.String})


def test_pooled_over_rows_and_averaged_over_workers() -> None:
    """Top 6 of 10, generic 1.5 of 4 with one undecided; majority (.75 + .5) / 2, minority 1/2."""
    table = scores({"a": "+++-", "b": "+-", "c": "++--", "x": "+-", "y": "0-"})
    found = implicit_accuracy(table, ["c"])
    assert found.top.value == pytest.approx(0.6)
    assert found.generic.value == pytest.approx(0.375)
    assert found.majority.value == pytest.approx(0.625)
    assert found.majority.se == pytest.approx(0.125 * math.sqrt(2) / math.sqrt(2))
    assert found.minority.value == pytest.approx(0.5)
    assert found.minority.low is None
    assert found.minority.reason


def test_the_papers_table_pools_to_what_it_averages() -> None:
    """Vanilla's 74.82 and 25.10 per cent over 3,371 and 1,550 rows pool to 59.16."""
    share = (74.82 * 3371 + 25.10 * 1550) / (3371 + 1550)
    assert share == pytest.approx(59.16, abs=0.01)
    table = scores({"a": "+" * 75 + "-" * 25, "c": "+" * 10 + "-" * 30})
    found = implicit_accuracy(table, ["c"])
    assert found.majority.value is not None
    assert found.minority.value is not None
    assert found.top.value == pytest.approx(
        (found.majority.value * 100 + found.minority.value * 40) / 140
    )


def test_nobody_is_null_with_a_reason_and_controls_do_not_count() -> None:
    table = scores({"a": "++"})
    sham = table.with_columns(margin=pl.lit(-1.0), control=pl.lit("wrong-user"))
    found = implicit_accuracy(pl.concat([table, sham]), [])
    assert found.top.value == 1
    assert found.generic.value is None
    assert found.minority.value is None
    assert found.generic.reason == found.minority.reason == "no rows"


def test_scores_of_two_runs_are_refused() -> None:
    with pytest.raises(DataError, match="of 2 runs"):
        implicit_accuracy(pl.concat([scores({"a": "+"}), scores({"a": "+"}, run="s")]), [])
