"""Divides a table into train, val and test pairs and into seen and unseen users; nothing leaks.

Which unit goes where is decided by a hash of (seed, unit), so the order of the file, and every
other unit, change nothing. Units nest: judgements < pairs < prompts < groups. A group unit is a
set of groups that share prompts, hence a split by group is also one by prompt and by pair.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import polars as pl

from plt.data.splitting.components import linked
from plt.data.tables.codes import dense_codes
from plt.data.tables.normal_form import normal, pair_keys, prompt_keys
from plt.data.tables.preferences import Preferences, prompt_json
from plt.data.tables.schema import SPLITS, USER_SPLITS
from plt.errors import DataError, UsageError

Unit = Literal["group", "prompt", "response", "pair"]
UNITS: tuple[Unit, ...] = get_args(Unit)  # from the coarsest to the finest
DEFAULT_FRACTIONS = (80.0, 10.0, 10.0)
DEFAULT_UNSEEN = 0.2
MIN_UNITS_A_PART = 20
MIN_JUDGEMENTS_A_PART = 100
MIN_TEST_PAIRS = 50
STRADDLING = "responses straddle splits"


@dataclass(frozen=True)
class SplitPlan:
    """How to divide a table.

    Attributes:
        by: The unit that stays whole; None is the coarsest that leaves 20 of itself in each part.
        fractions: Shares of train, val and test, in per cent.
        unseen_users: Share of users who are kept apart as new people, rounded down.
        seed: Of the division.
    """

    by: Unit | None = None
    fractions: tuple[float, ...] = DEFAULT_FRACTIONS
    unseen_users: float = DEFAULT_UNSEEN
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.by is not None and self.by not in UNITS:
            problems.append(f"--by is '{self.by}'; known are {', '.join(UNITS)}")
        if len(self.fractions) != 3 or abs(sum(self.fractions) - 100) > 1e-6:
            problems.append(f"--fractions are three shares that sum to 100, not {self.fractions}")
        elif min(self.fractions) < 0 or self.fractions[0] <= 0:
            problems.append(f"--fractions must be positive, not {self.fractions}")
        if not 0 <= self.unseen_users < 1:
            problems.append(f"--unseen-users is a share in [0, 1), not {self.unseen_users}")
        if problems:
            raise UsageError(
                "the split cannot be made",
                problems=problems,
                hint="plt dataset-split DATA --by pair --fractions 80,10,10 --unseen-users 0.2",
            )


def split(prefs: Preferences, plan: SplitPlan) -> Preferences:
    """Fills `split` and `user_split`.

    Args:
        prefs: Any table; a split that it has is replaced.
        plan: How.

    Returns:
        The table with both columns filled, what straddles dropped and counted (only by response),
        and `meta.split` saying what was done. Users with null id have null `user_split`.

    Raises:
        DataError: There are fewer units than parts.
    """
    unit = plan.by or default_unit(outlooks(prefs, plan), plan)
    parts = _divide_pairs(prefs, unit, plan)
    straddling = parts.filter(pl.col("split").is_null())
    votes = prefs.votes.drop("split", "user_split")
    kept = votes.join(parts.drop_nulls(), on="pair_id", how="inner", maintain_order="left")
    kept = kept.with_columns(user_split=_divide_users(kept["user_id"], plan))
    dropped = votes.height - kept.height
    meta = replace(
        prefs.meta.with_dropped({STRADDLING: dropped}),
        split={
            "unit": unit,
            "fractions": list(plan.fractions),
            "unseen_users": plan.unseen_users,
            "seed": plan.seed,
            "protocol": None,
            "leaks": False,
        },
    )
    pairs = prefs.pairs.join(straddling, on="pair_id", how="anti", maintain_order="left")
    return Preferences(kept.select(prefs.votes.columns), pairs, meta)


def is_split(prefs: Preferences) -> bool:
    """Whether every pair has a split."""
    return prefs.votes["split"].null_count() == 0


@dataclass(frozen=True)
class Outlook:
    """What a split by one unit would leave.

    Attributes:
        unit: The unit.
        units: Distinct units in train, val and test.
        judgements: Judgements in train, val and test.
        dropped: Judgements whose two responses straddle.
    """

    unit: Unit
    units: tuple[int, ...]
    judgements: tuple[int, ...]
    dropped: int

    def enough(self, fractions: Sequence[float]) -> bool:
        """Whether every part that gets any has 20 units, and judgements to conclude from.

        Those are 100, or half of the part's share of the table where that is less.
        """
        total = sum(self.judgements) + self.dropped
        return all(
            units >= MIN_UNITS_A_PART and rows >= min(MIN_JUDGEMENTS_A_PART, share * total / 200)
            for units, rows, share in zip(self.units, self.judgements, fractions, strict=True)
            if share > 0
        )

    def sentence(self) -> str:
        """What it would leave, for a person."""
        parts = (
            f"{rows:,} judgements of {units:,} in {name}"
            for name, rows, units in zip(SPLITS, self.judgements, self.units, strict=True)
        )
        lost = f", {self.dropped:,} dropped" if self.dropped else ""
        return f"by {self.unit}: {', '.join(parts)}{lost}"


def outlooks(prefs: Preferences, plan: SplitPlan) -> list[Outlook]:
    """What each unit would leave, the coarsest first; units too few to divide are absent."""
    rows = prefs.votes.group_by("pair_id").agg(rows=pl.len())
    found = []
    for unit in UNITS:
        try:
            parts = _divide_pairs(prefs, unit, plan)
        except DataError:
            continue
        if unit == "response":
            texts = prefs.pairs.unpivot(["response_a", "response_b"], index="pair_id")
            named = texts.select("pair_id", "value").join(parts, on="pair_id")
        else:
            names = pl.DataFrame(
                {"pair_id": prefs.pairs["pair_id"], "value": unit_names(prefs, unit)}
            )
            named = names.join(parts, on="pair_id")
        units = dict(named.drop_nulls("split").group_by("split").agg(_UNITS).iter_rows())
        judged = parts.join(rows, on="pair_id", how="left")
        counted = dict(judged.group_by("split").agg(pl.col("rows").sum()).iter_rows())
        found.append(
            Outlook(
                unit,
                tuple(units.get(name, 0) for name in SPLITS),
                tuple(counted.get(name, 0) for name in SPLITS),
                counted.get(None, 0),
            )
        )
    return found


_UNITS = pl.col("value").n_unique()


def default_unit(found: Sequence[Outlook], plan: SplitPlan) -> Unit:
    """The coarsest unit that leaves enough units and judgements in each part that gets any.

    Args:
        found: What each unit would leave, as `outlooks` says it.
        plan: Its fractions.

    Returns:
        The unit; tables too small for any are split by pair.
    """
    enough = (one.unit for one in found if one.enough(plan.fractions))
    return next(enough, "pair")


def warnings(prefs: Preferences) -> list[str]:
    """What cannot be concluded from the test part of a divided table, in sentences."""
    test = prefs.votes.filter(pl.col("split") == "test")
    pairs, rows = test["pair_id"].n_unique(), test.height
    if pairs >= MIN_TEST_PAIRS:
        return []
    return [f"warning: test holds {rows:,} judgements of {pairs:,} pairs; with fewer than"
            f" {MIN_TEST_PAIRS} pairs hardly anything can be concluded"]  # fmt: skip


def _divide_pairs(prefs: Preferences, unit: Unit, plan: SplitPlan) -> pl.DataFrame:
    """(pair_id, split) of every pair; split is null where the responses straddle."""
    split_type = pl.Enum(SPLITS)
    if unit != "response":
        names = unit_names(prefs, unit)
        parts = _divide(names, plan)
        return prefs.pairs.select("pair_id", split=parts.cast(split_type))
    sides = _divide(unit_names(prefs, unit), plan)
    n = prefs.pairs.height
    both = pl.DataFrame({"pair_id": prefs.pairs["pair_id"], "a": sides[:n], "b": sides[n:]})
    agreed = pl.when(pl.col("a") == pl.col("b")).then("a").cast(split_type)
    return both.select("pair_id", split=agreed)


def unit_names(prefs: Preferences, unit: Unit) -> pl.Series:
    """The unit of each row of `prefs.pairs`, as text; of both responses, first all a.

    Units that are one but for case, blanks or Unicode form have one name, the smallest of theirs.
    """
    pairs = prefs.pairs
    if unit == "response":
        texts = pl.concat([pairs["response_a"], pairs["response_b"].alias("response_a")])
        return _one_spelling(texts, texts.to_frame("text").select(normal(pl.col("text")))["text"])
    if unit == "pair":
        return _one_spelling(pairs["pair_id"].cast(pl.String), pair_keys(pairs))
    prompts = pl.Series("unit", [prompt_json(p) for p in pairs["prompt"].to_list()], pl.String)
    names = _one_spelling(prompts, prompt_keys(pairs))
    return names if unit == "prompt" else _linked_groups(prefs, names)


def _one_spelling(names: pl.Series, keys: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"name": names, "key": keys})
    return frame.select(pl.col("name").min().over("key")).to_series()


def _linked_groups(prefs: Preferences, prompts: pl.Series) -> pl.Series:
    """For each pair the smallest name among the groups that are linked to it by shared prompts."""
    links = prefs.votes.select("pair_id", pl.col("group").cast(pl.String)).unique()
    prompt_of = pl.DataFrame({"pair_id": prefs.pairs["pair_id"], "prompt": prompts})
    edges = links.join(prompt_of, on="pair_id").select("group", "prompt").unique()
    group, names = dense_codes(edges["group"])
    prompt, levels = dense_codes(edges["prompt"])
    label = linked(group, prompt, levels.len())
    chosen = names.gather(pl.Series(label))
    of_prompt = pl.DataFrame({"prompt": levels, "unit": chosen})
    return prompt_of.join(of_prompt, on="prompt", how="left", maintain_order="left")["unit"]


def _divide(names: pl.Series, plan: SplitPlan) -> pl.Series:
    """The split of each name: distinct names in hash order, cut at the fractions."""
    distinct = names.unique()
    wanted = [fraction > 0 for fraction in plan.fractions]
    if distinct.len() < sum(wanted):
        raise DataError(
            f"{distinct.len()} units cannot be divided into {sum(wanted)} parts",
            hint="plt dataset-split DATA --by pair",
        )
    ordered = sorted(distinct.to_list(), key=lambda name: _order(plan.seed, "split", name))
    # Cuts are rounded, and every part that gets any gets at least one unit.
    total = len(ordered)
    cut = round(total * (plan.fractions[0] + plan.fractions[1]) / 100)
    test = min(cut, total - 1) if wanted[2] else total
    first = round(total * plan.fractions[0] / 100)
    val = max(1, min(first, test - 1) if wanted[1] else test)
    labels = np.repeat(SPLITS, [val, test - val, total - test])
    table = pl.DataFrame({"name": ordered, "split": pl.Series(labels, dtype=pl.String)})
    asked = pl.DataFrame({"name": names})
    return asked.join(table, on="name", how="left", maintain_order="left")["split"]


def _divide_users(users: pl.Series, plan: SplitPlan) -> pl.Series:
    names = users.cast(pl.String)
    ordered = sorted(names.drop_nulls().unique(), key=lambda n: _order(plan.seed, "user", n))
    unseen = set(ordered[: int(plan.unseen_users * len(ordered))])
    kinds = pl.DataFrame(
        {"user": ordered, "kind": [USER_SPLITS[name in unseen] for name in ordered]},
        schema={"user": pl.String, "kind": pl.Enum(USER_SPLITS)},
    )
    asked = pl.DataFrame({"user": names})
    return asked.join(kinds, on="user", how="left", maintain_order="left")["kind"]


def _order(seed: int, what: str, name: str) -> bytes:
    text = f"{seed}:{what}:{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def parse_fractions(text: str) -> tuple[float, ...]:
    """``80,10,10`` as numbers.

    Raises:
        UsageError: A part is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--fractions is like 80,10,10, not {text!r}") from error


def counts(prefs: Preferences) -> list[tuple[str, str, int, int, int]]:
    """(split, user_split, users, pairs, judgements) of every part that has any, in order."""
    table = (
        prefs.votes.group_by("split", "user_split")
        .agg(
            pl.col("user_id").n_unique().alias("users"),
            pl.col("pair_id").n_unique().alias("pairs"),
            pl.len().alias("judgements"),
        )
        .sort("split", "user_split")
    )
    names: Sequence[tuple[str, str, int, int, int]] = table.with_columns(
        pl.col("split", "user_split").cast(pl.String).fill_null("-")
    ).rows()
    return list(names)
