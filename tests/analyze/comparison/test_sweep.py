"""Sweeps: gains over the baseline of the same condition, tables by size and model, made worse."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.comparison.compare import compare
from plt.analyze.comparison.entries import Condition, Entry, named
from plt.analyze.comparison.sweep import sweep_tables
from tests.analyze.comparison.test_compare import entry, population


def at(method: str, run: str, accuracy: float, condition: Condition) -> Entry:
    """A run that is right in `accuracy` of the judgements of one population."""
    table = population(0, 12, 20)
    right = np.random.default_rng(sum(run.encode())).random(table.height) < accuracy
    made = entry(run, table, right)
    scores = made.scores.with_columns(method=pl.lit(method))
    return Entry(run, method, run, scores, condition=condition)


def sweep() -> list[Entry]:
    found = []
    for model in ("m1", "m2"):
        for size, of in ((100, "total"), (None, None)):
            condition = Condition(model, "head", size, of, 5.0 if size else 40.0)
            found.append(at("bradley-terry", f"bt {model} {size}", 0.6, condition))
            found.append(at("individual", f"in {model} {size}", 0.8, condition))
    return named([*found, at("length", "length all", 0.5, Condition(rows_a_user=40.0))])


def test_each_run_is_compared_with_the_baseline_of_its_condition() -> None:
    entries = sweep()
    found = compare(entries)
    assert found.baseline == "bradley-terry"
    by_run = {row.entry.run_id: row for row in found.rows}
    for model in ("m1", "m2"):
        for size in (100, None):
            assert by_run[f"bt {model} {size}"].gain is None
            alone = [e for e in entries if e.run_id.endswith(f"{model} {size}")]
            expected = compare(alone).rows[1].gain
            gain = by_run[f"in {model} {size}"].gain
            assert gain is not None
            assert expected is not None
            assert gain.own.interval == expected.own.interval
    assert by_run["length all"].gain is not None  # over a baseline that saw all rows


def test_no_baseline_of_the_same_size_is_no_gain() -> None:
    entries = [e for e in sweep() if e.run_id != "bt m1 100" and "m1" in e.run_id]
    extra = at("bradley-terry", "bt m1 50", 0.6, Condition("m1", "head", 50, "total"))
    found = compare(named([*entries, extra]))
    by_run = {row.entry.run_id: row for row in found.rows}
    assert by_run["in m1 100"].gain is None
    assert by_run["in m1 None"].gain is not None


def test_without_vanilla_the_first_method_is_the_baseline_at_each_size() -> None:
    entries = [replace(e, method=e.method.replace("bradley-terry", "dpl")) for e in sweep()[:4]]
    found = compare(entries)
    assert [row.gain is None for row in found.rows] == [True, False, True, False]


def test_names_say_what_differs() -> None:
    names = [e.name for e in sweep()]
    assert names[:4] == ["bradley-terry, m1, 100", "individual, m1, 100", "bradley-terry, m1, all",
                         "individual, m1, all"]  # fmt: skip
    assert names[-1] == "length"
    per_user = Condition("m1", "head", 30, "user")
    pair = [at("individual", "a" * 10, 0.8, per_user), at("individual", "b" * 10, 0.8, per_user)]
    assert [e.name for e in named(pair)] == ["individual aaaaaa", "individual bbbbbb"]


def test_tables_of_sizes_and_of_models() -> None:
    found = compare(sweep())
    tables = {(table.by, table.held): table for table in sweep_tables(found)}
    held = {by: {h for kind, h in tables if kind == by} for by in ("train-size", "model")}
    assert held == {
        "train-size": {"m1", "m2"},
        "model": {"100 training rows", "all training rows"},
    }
    sizes = tables["train-size", "m1"]
    assert sizes.columns == ("100", "all")
    assert sizes.rows_a_user == (5.0, 40.0)
    rows = dict(sizes.rows)
    assert set(rows) == {"bradley-terry", "individual", "length"}
    assert rows["length"][0] is None
    value = {row.entry.run_id: row.macro.value for row in found.rows}
    cells = [cell.value for cell in rows["individual"] if cell is not None]
    assert cells == [value["in m1 100"], value["in m1 None"]]
    models = dict(tables["model", "all training rows"].rows)
    length = [cell.value for cell in models["length"] if cell is not None]
    assert length == [value["length all"]] * 2
    assert [t.by for t in sweep_tables(found, "model")] == ["model", "model"]
    assert sweep_tables(found, "none") == ()
    assert sweep_tables(compare(sweep()[:2])) == ()


def test_two_runs_in_one_cell_are_two_rows() -> None:
    condition = Condition("m1", "head")
    pair = [at("individual", run * 10, 0.8, condition) for run in "ab"]
    other = at("individual", "c" * 10, 0.8, Condition("m1", "head", 100, "total"))
    (table,) = sweep_tables(compare(named([*pair, other])))
    assert [name for name, _ in table.rows] == [
        "individual aaaaaa", "individual bbbbbb", "individual cccccc"
    ]  # fmt: skip


def test_sizes_are_ordered_as_numbers() -> None:
    entries = [
        at("individual", f"r{n}", 0.7, Condition("m", "head", n, "total" if n else None))
        for n in (None, 10_000, 500, 2_000)
    ]
    (table,) = sweep_tables(compare(named(entries)))
    assert table.columns == ("500", "2,000", "10,000", "all")


def test_shuffled_ids_are_compared_with_the_baseline_too() -> None:
    table = population(3)
    rng = np.random.default_rng(3)
    base = entry("bradley-terry", table, rng.random(table.height) < 0.6)
    personal = entry("personal", table, rng.random(table.height) < 0.8)
    sham = entry("personal", table, rng.random(table.height) < 0.6).scores
    sham = sham.with_columns(control=pl.lit("shuffled-ids")).cast(dict(table.schema))
    both = Entry("personal", "personal", "personal", pl.concat([personal.scores, sham]))
    row = compare([base, both]).rows[1]
    assert row.gain is not None
    assert row.gain.wrong_user is None
    assert row.gain.shuffled_ids is not None
    assert row.gain.shuffled_ids.interval.value == pytest.approx(0.0, abs=0.08)
    assert row.gain.over_shuffled is not None
    assert row.gain.over_shuffled.interval.value == pytest.approx(0.2, abs=0.08)
    assert row.gain.whose == "personal"


def test_novelty_is_counted_where_all_runs_agree() -> None:
    table = population(1, 10, 10)
    kinds = ["new pair" if i % 4 else "new prompt" for i in range(table.height)]
    told = table.with_columns(novelty=pl.Series(kinds))
    ones = np.ones(table.height, dtype=bool)
    same = compare([entry("a", told, ones), entry("b", told, ones)])
    assert same.novelty == {"new pair": 75, "new prompt": 25}
    others = table.with_columns(novelty=pl.lit("new pair"))
    assert compare([entry("a", told, ones), entry("b", others, ones)]).novelty == {}
    assert compare([entry("a", told, ones), entry("b", table, ones)]).novelty == {}
