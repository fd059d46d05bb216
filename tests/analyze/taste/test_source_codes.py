"""Codes of who wrote what: by commonness, unknown where nobody or several are named."""

import numpy as np
import polars as pl

from plt.analyze.taste.source_codes import MAX_SOURCES, source_codes

PAIR_IDS = pl.Series("pair_id", [10, 20, 30, 40], dtype=pl.UInt64)


def votes(rows: list[tuple[int, str | None, str | None]]) -> pl.DataFrame:
    schema = {"pair_id": pl.UInt64, "source_a": pl.Categorical, "source_b": pl.Categorical}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_commonest_source_of_the_judgements_is_0() -> None:
    table = votes([(20, "x", "y"), (10, "y", "z"), (30, None, "y"), (40, "never judged", "x")])
    found = source_codes(table, PAIR_IDS, np.array([0, 1, 1, 2]))
    assert found is not None
    # y in four judgements, x in two, z in one.
    assert found.tolist() == [[0, 2], [1, 0], [1, 0], [-1, 0]]


def test_rows_of_a_pair_that_contradict_each_other_name_nobody() -> None:
    table = votes(
        [(10, "x", "y"), (10, "z", "y"), (10, "z", None), (20, None, "y"), (20, "x", None)]
    )
    found = source_codes(table, PAIR_IDS, np.array([0, 1]))
    assert found is not None
    assert found.tolist() == [[-1, 0], [1, 0]]


def test_none_where_nobody_is_named() -> None:
    place = np.array([0])
    assert source_codes(votes([(10, None, None)]), PAIR_IDS, place) is None
    assert source_codes(votes([]), PAIR_IDS, place[:0]) is None
    assert source_codes(votes([(10, "x", "y")]).drop("source_a"), PAIR_IDS, place) is None


def test_only_so_many_sources_have_codes() -> None:
    n = 3 * MAX_SOURCES
    table = votes([(i, f"m{i}", "common") for i in range(n)])
    found = source_codes(table, table["pair_id"], np.arange(n))
    assert found is not None
    assert set(found[:, 1]) == {0}
    assert np.unique(found).tolist() == list(range(-1, MAX_SOURCES))
