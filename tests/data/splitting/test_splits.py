"""Splits cannot leak: what must stay whole stays whole, whatever the table."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.lint.places import split_findings
from plt.data.splitting.splits import (
    STRADDLING,
    SplitPlan,
    Unit,
    counts,
    default_unit,
    outlooks,
    parse_fractions,
    split,
    warnings,
)
from plt.data.tables.preferences import Preferences, build, prompt_json
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed, judgement_rows, raw_frame, user_turn

UNIT_ABOVE: dict[Unit, list[Unit]] = {
    "group": ["group", "prompt", "pair"],
    "prompt": ["prompt", "pair"],
    "pair": ["pair"],
    "response": ["response", "pair"],
}


def straddling(prefs: Preferences, unit: Unit) -> list[str]:
    """Names of units with judgements in more than one split."""
    prompts = [prompt_json(p) for p in prefs.pairs["prompt"].to_list()]
    pairs = prefs.pairs.with_columns(prompt=pl.Series(prompts, dtype=pl.String))
    table = prefs.votes.select("pair_id", "group", "split").join(pairs, on="pair_id")
    if unit == "response":
        name = table.unpivot(["response_a", "response_b"], index="split", value_name="unit")
    else:
        column = {"pair": "pair_id", "prompt": "prompt", "group": "group"}[unit]
        name = table.select("split", unit=pl.col(column).cast(pl.String))
    parts = name.group_by("unit").agg(pl.col("split").n_unique().alias("n"))
    return parts.filter(pl.col("n") > 1)["unit"].to_list()


@st.composite
def grouped_tables(draw: st.DrawFn) -> Preferences:
    rows = draw(judgement_rows(min_size=4))
    groups = draw(
        st.lists(st.sampled_from(["c1", "c2", "c3", None]), min_size=len(rows), max_size=len(rows))
    )
    rows = [row | {"group": group} for row, group in zip(rows, groups, strict=True)]
    return build(raw_frame(rows), Meta(dataset="toy"))


@given(grouped_tables(), st.sampled_from(list(UNIT_ABOVE)), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_nothing_straddles(prefs: Preferences, unit: Unit, seed: int) -> None:
    try:
        made = split(prefs, SplitPlan(by=unit, seed=seed))
    except DataError:
        return  # fewer units than parts
    for kept_whole in UNIT_ABOVE[unit]:
        assert straddling(made, kept_whole) == []
    assert made.votes["split"].null_count() == 0
    dropped = made.meta.dropped.get(STRADDLING, 0)
    assert made.votes.height + dropped == prefs.votes.height
    assert unit == "response" or dropped == 0
    users = made.votes.select("user_id", "user_split").unique()
    assert users["user_id"].is_unique().all()


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_row_order_changes_nothing(seed: int) -> None:
    prefs = crossed(5, 30)
    shuffled = Preferences(
        prefs.votes.sample(fraction=1, shuffle=True, seed=seed),
        prefs.pairs.sample(fraction=1, shuffle=True, seed=seed),
        prefs.meta,
    )
    key = ["pair_id", "user_id"]
    one = split(prefs, SplitPlan(seed=seed)).votes.sort(key)
    other = split(shuffled, SplitPlan(seed=seed)).votes.sort(key)
    assert one.equals(other)


def test_fractions_are_kept() -> None:
    made = split(crossed(10, 200), SplitPlan(by="prompt", fractions=(70, 20, 10)))
    shares = dict(made.votes.group_by(pl.col("split").cast(pl.String)).len().iter_rows())
    assert shares == {"train": 1400, "val": 400, "test": 200}
    assert made.meta.split == {
        "unit": "prompt",
        "fractions": [70, 20, 10],
        "unseen_users": 0.2,
        "seed": 0,
        "protocol": None,
        "leaks": False,
    }
    users = made.votes.select("user_id", "user_split").unique()
    assert (users["user_split"] == "unseen").sum() == 2


def test_seed_changes_the_split_and_one_user_more_changes_no_other() -> None:
    one = split(crossed(10, 50), SplitPlan())
    other = split(crossed(10, 50), SplitPlan(seed=1))
    assert not one.votes["split"].equals(other.votes["split"])
    more = split(crossed(11, 50), SplitPlan())
    same = more.votes.filter(pl.col("user_id").cast(pl.String) != "u10")
    assert same["split"].equals(one.votes["split"])


class TestDefaultUnit:
    def conversations(self, n: int, *, prompts_each: int) -> Preferences:
        rows = [
            {
                "user_id": f"u{c % 7}",
                "group": f"c{c}",
                "prompt": user_turn(f"p{c}.{p}"),
                "response_1": f"x{c}.{p}",
                "response_2": f"y{c}.{p}",
                "label": 1.0,
            }
            for c in range(n)
            for p in range(prompts_each)
        ]
        return build(raw_frame(rows), Meta(dataset="toy"))

    def test_groups_when_there_are_enough(self) -> None:
        assert (
            default_unit(
                outlooks(self.conversations(200, prompts_each=2), SplitPlan()), SplitPlan()
            )
            == "group"
        )

    def test_prompts_when_groups_are_few(self) -> None:
        assert (
            default_unit(
                outlooks(self.conversations(20, prompts_each=10), SplitPlan()), SplitPlan()
            )
            == "prompt"
        )

    def test_responses_when_prompts_are_few_and_enough_stay_whole(self) -> None:
        rows = [
            {"user_id": "u", "prompt": user_turn("joke"), "response_1": f"j{i:03d}",
             "response_2": f"j{k:03d}", "label": 1.0}
            for i in range(220) for k in range(i)
        ]  # fmt: skip
        prefs = build(raw_frame(rows), Meta(dataset="jokes"))
        assert default_unit(outlooks(prefs, SplitPlan()), SplitPlan()) == "response"
        made = split(prefs, SplitPlan())
        assert made.meta.dropped[STRADDLING] == prefs.votes.height - made.votes.height > 0

    def test_pairs_when_nothing_else_is_left(self) -> None:
        assert default_unit(outlooks(crossed(5, 20), SplitPlan()), SplitPlan()) == "pair"


def test_a_split_that_leaves_hardly_any_test_judgement_is_not_chosen() -> None:
    """300 texts of one prompt, two pairs each: a hundredth of 300 pairs would be tested."""
    rows = [
        {"user_id": "u", "prompt": user_turn("joke"), "response_1": f"j{i:03d}",
         "response_2": f"j{(i * 7 + 1) % 300:03d}", "label": 1.0}
        for i in range(300) if i != (i * 7 + 1) % 300
    ]  # fmt: skip
    prefs = build(raw_frame(rows), Meta(dataset="jokes"))
    by_unit = {found.unit: found for found in outlooks(prefs, SplitPlan())}
    for unit, found in by_unit.items():
        made = split(prefs, SplitPlan(by=unit))
        left = dict(made.votes.group_by(pl.col("split").cast(pl.String)).len().iter_rows())
        assert found.judgements == tuple(left.get(part, 0) for part in ("train", "val", "test"))
        assert found.dropped == prefs.votes.height - made.votes.height
    assert default_unit(outlooks(prefs, SplitPlan()), SplitPlan()) == "pair"
    assert warnings(split(prefs, SplitPlan(by="response")))
    assert warnings(split(crossed(10, 600), SplitPlan())) == []


SPELLINGS: dict[str, Callable[[str], str]] = {
    "case": str.upper,
    "blanks": lambda text: text.replace(" ", "\u00a0\n ") + "  ",
    "Unicode form": lambda text: unicodedata.normalize("NFD", text),
    "width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "invisible": lambda text: "\u200b".join(text),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("unit", ["group", "prompt", "response", "pair"])
def test_another_spelling_is_the_same_unit(unit: Unit, spelling: str) -> None:
    """Each pair stands twice, once respelled; no split may part the two."""
    respelled = SPELLINGS[spelling]
    rows = [
        {"user_id": f"u{way}", "prompt": user_turn(write(f"où est {i}")), "label": 1.0,
         "response_1": write(f"à gauche {i}"), "response_2": write(f"à droite {i}")}
        for i in range(60)
        for way, write in enumerate((lambda text: text, respelled))
    ]  # fmt: skip
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    made = split(prefs, SplitPlan(by=unit, fractions=(50, 25, 25)))
    number = pl.col("prompt").list.first().struct.field("content").str.normalize("NFKC")
    places = made.votes.join(made.pairs, on="pair_id").select(
        "split", place=number.str.replace_all("\u200b", "").str.extract(r"(\d+)")
    )
    assert places["place"].n_unique() > 10
    assert (places.group_by("place").agg(pl.col("split").n_unique())["split"] == 1).all()
    torn = made.votes.with_columns(split=pl.lit("train").cast(made.votes["split"].dtype))
    second = (pl.col("user_id").cast(pl.String) == "u1").fill_null(False)
    torn = torn.with_columns(
        split=pl.when(second).then(pl.lit("test")).otherwise("split").cast(torn["split"].dtype)
    )
    leaking = split_findings(replace(made, votes=torn))
    assert any(found.failed for found in leaking)


def test_groups_that_share_a_prompt_stay_together() -> None:
    rows = [
        {"group": f"c{g}", "prompt": user_turn(p), "response_1": f"x{g}", "response_2": "y",
         "label": 1.0, "user_id": "u"}
        for g, p in enumerate(["p0", "p0", "p1", "p2", "p3"])
    ] + [{"group": "c1", "prompt": user_turn("p1"), "response_1": "z", "response_2": "y",
          "label": 1.0, "user_id": "u"}]  # fmt: skip
    for seed in range(20):
        made = split(build(raw_frame(rows), Meta(dataset="toy")), SplitPlan("group", seed=seed))
        table = made.votes.select(pl.col("group").cast(pl.String), pl.col("split").cast(pl.String))
        linked = table.filter(pl.col("group").is_in(["c0", "c1", "c2"]))["split"]
        assert linked.n_unique() == 1


def test_all_problems_of_a_plan_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        SplitPlan(by="row", fractions=(50.0, 10.0), unseen_users=1.5)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 3
    with pytest.raises(UsageError, match="80,10,10"):
        parse_fractions("80,x,10")


def test_too_few_units() -> None:
    with pytest.raises(DataError, match="2 units cannot be divided into 3 parts"):
        split(crossed(2, 2), SplitPlan())


def test_counts_lists_every_part() -> None:
    rows = counts(split(crossed(10, 100), SplitPlan()))
    assert [(part, kind) for part, kind, *_ in rows] == [
        (part, kind) for part in ("train", "val", "test") for kind in ("seen", "unseen")
    ]
    assert sum(judgements for *_, judgements in rows) == 1000


def test_users_without_a_name_have_no_user_split() -> None:
    rows = [
        {"prompt": user_turn(f"p{i}"), "response_1": "x", "response_2": "y", "label": 1.0}
        for i in range(10)
    ]
    made = split(build(raw_frame(rows), Meta(dataset="toy")), SplitPlan())
    assert made.votes["user_split"].null_count() == 10
