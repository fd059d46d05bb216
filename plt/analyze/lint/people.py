"""People whom ids do not tell apart, and prompts that name who judges them."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.lint.findings import Example, Finding, counted, share_text, shown
from plt.data.tables.codes import dense_codes
from plt.data.tables.normal_form import normal
from plt.data.tables.preferences import Preferences

MIN_USERS = 3
MIN_PROMPTS = 3
MIN_PREFIX = 2
"""Characters that the prompts of one person share beyond those that all prompts share."""
MOST = 0.9
MIN_HIDDEN = 20
MIN_SHARED = 20
"""Pairs that two ids must have judged both before their votes can say that they are one."""
RARE = 1e-6
"""Chance of so much agreement, over all pairs of ids."""
EXCEPTIONS = 0.05
"""Where more pairs of ids than this agree without exception, agreement is what this table is."""
MAX_USERS = 2_000
EXAMPLES = 3
EXCERPT = 50


def people_findings(prefs: Preferences) -> list[Finding]:
    """Findings for ids that are one person, and for prompts that begin with a person's own words.

    Returns:
        Nothing without users. Votes are compared among the 2,000 people who judged most.
    """
    named = prefs.votes.filter(pl.col("user_id").is_not_null())
    if named["user_id"].n_unique() < 2:
        return []
    return [*_one_spelling(named), *_same_votes(named), *_own_words(prefs, named)]


def _one_spelling(named: pl.DataFrame) -> Iterator[Finding]:
    """Ids that differ in case, blanks or Unicode form only."""
    ids = named.select(pl.col("user_id").cast(pl.String)).unique().sort("user_id")
    same = ids.group_by(normal(pl.col("user_id")).alias("key")).agg("user_id").sort("key")
    same = same.filter(pl.col("user_id").list.len() > 1)
    if not same.height:
        return
    spelt = same["user_id"].explode()
    rows = named.select(pl.col("user_id").cast(pl.String).is_in(spelt.implode()).sum()).item()
    yield Finding(
        check="users",
        what=f"{counted(same.height, 'person')} under ids that differ only in case, blanks or"
        f" Unicode form ({counted(int(rows), 'judgement')}): they count as several",
        failed=True,
        rows=int(rows),
        share=int(rows) / named.height,
        examples=tuple(
            Example(None, " and ".join(shown(name) for name in names))
            for names in same["user_id"].head(EXAMPLES).to_list()
        ),
        hint="give each person one id in the raw data, then convert again",
    )


def _same_votes(named: pl.DataFrame) -> Iterator[Finding]:
    """Two ids that agree on every pair that both judged, where hardly any others do."""
    first = named.filter(
        (pl.col("occurrence") == 0) & pl.col("label").is_not_null() & (pl.col("label") != 0.5)
    )
    most = first["user_id"].value_counts(sort=True)["user_id"].head(MAX_USERS)
    first = first.filter(pl.col("user_id").cast(pl.String).is_in(most.cast(pl.String).implode()))
    users, levels = dense_codes(first["user_id"].cast(pl.String))
    pairs, distinct = dense_codes(first["pair_id"].cast(pl.String))
    if levels.len() < MIN_USERS:
        return
    shared, agreed = _agreement(users, pairs, (first["label"] > 0.5).to_numpy(), distinct.len())
    one, other = np.triu_indices(levels.len(), 1)
    n, k = shared[one, other], agreed[one, other]
    enough = n >= MIN_SHARED
    if not enough.any():
        return
    alike = enough & (k == n)
    usual = float(k[enough & ~alike].sum() / max(n[enough & ~alike].sum(), 1))
    rare = np.log(max(usual, 1e-9)) * n < np.log(RARE / enough.sum())
    twins = np.flatnonzero(alike & rare)
    if not len(twins) or alike.sum() > max(1, EXCEPTIONS * enough.sum()):
        return
    names = {levels[int(each[t])] for t in twins for each in (one, other)}
    rows = int(named["user_id"].cast(pl.String).is_in(list(names)).sum())
    yield Finding(
        check="users",
        what=f"{counted(len(twins), 'pair')} of ids judged {int(n[twins].min())} or more of the"
        f" same pairs and always alike, where two people agree in {share_text(usual)}: one person"
        " under two ids, or copied judgements",
        failed=True,
        rows=rows,
        share=rows / named.height,
        details={"ids": [[levels[int(one[t])], levels[int(other[t])]] for t in twins[:10]]},
        examples=tuple(
            Example(None, f"{shown(levels[int(one[t])])} and {shown(levels[int(other[t])])}:"
                    f" {int(n[t])} pairs") for t in twins[:EXAMPLES]
        ),
        hint="give each person one id in the raw data, then convert again",
    )  # fmt: skip


def _agreement(
    users: NDArray[np.int64], pairs: NDArray[np.int64], side: NDArray[np.bool_], n_pairs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pairs that two people both judged, and those on which they agree, (U, U) each."""
    from scipy import sparse

    shape = (int(users.max()) + 1, n_pairs)
    a, b = (
        sparse.csr_array((each.astype(np.float64), (users, pairs)), shape=shape)
        for each in (side, ~side)
    )
    agreed = (a @ a.T + b @ b.T).toarray()
    both = agreed + (a @ b.T + b @ a.T).toarray()
    return both, agreed


def _own_words(prefs: Preferences, named: pl.DataFrame) -> Iterator[Finding]:
    """Prompts that begin with what only this person's do, so that nobody shares a pair.

    A finding where the pairs are the same for several people once that is taken away; else what a
    person says of themselves may stand there, and people were asked different things.
    """
    content = pl.col("prompt").list.eval(pl.element().struct.field("content")).list.join("\n")
    texts = prefs.pairs.select("pair_id", "response_a", "response_b", text=content)
    whose = named.select("pair_id", user=pl.col("user_id").cast(pl.String)).unique()
    rows = whose.join(texts, on="pair_id").sort("user", "pair_id")
    # What all texts begin with is what the first and the last in order begin with.
    text = pl.col("text")
    ends = rows.group_by("user", maintain_order=True).agg(
        first=text.min(), last=text.max(), prompts=text.n_unique()
    )
    many = ends.filter(pl.col("prompts") >= MIN_PROMPTS)
    own = {user: _common(a, b) for user, a, b in many.select("user", "first", "last").iter_rows()}
    everybody = len(_common(*ends.select(pl.col("first").min(), pl.col("last").max()).row(0)))
    long = {user: prefix for user, prefix in own.items() if len(prefix) >= everybody + MIN_PREFIX}
    if len(own) < MIN_USERS or len(long) < MOST * len(own) or len(set(long.values())) < len(long):
        return
    size = pl.col("user").replace_strict(
        {user: len(prefix) for user, prefix in long.items()}, default=0, return_dtype=pl.Int64
    )
    bare = rows.with_columns(text=normal(pl.col("text").str.slice(size)))
    sides = [normal(pl.col(name)) for name in ("response_a", "response_b")]
    bare = bare.with_columns(one=pl.min_horizontal(sides), other=pl.max_horizontal(sides))
    shared = bare.group_by("text", "one", "other").agg(people=pl.col("user").n_unique())
    hidden = bare.join(shared.filter(pl.col("people") > 1), on=["text", "one", "other"])
    if hidden["pair_id"].n_unique() < MIN_HIDDEN or hidden.height < rows.height / 10:
        return
    touched = int(named["pair_id"].is_in(hidden["pair_id"].unique().implode()).sum())
    yield Finding(
        check="users",
        what=f"the prompts of {counted(len(long), 'person')} begin with words of their own, and"
        f" without these {counted(hidden['pair_id'].n_unique(), 'pair')}"
        f" ({share_text(touched / named.height)} of the judgements) are the same for several"
        " people: no two share a pair, and the same choice stands in several parts",
        failed=True,
        rows=touched,
        share=touched / named.height,
        examples=tuple(
            Example(None, f"user_id {shown(user)}: {shown(prefix[:EXCERPT])}")
            for user, prefix in list(long.items())[:EXAMPLES]
        ),
        hint="take it out of the prompt in the raw data; who judges is the user id",
    )


def _common(first: str, last: str) -> str:
    """What two texts both begin with, up to the end of its last word."""
    size = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    if size is None:
        return first[: min(len(first), len(last))]
    # Words are not cut: prompts that begin with "What" and "Who" have no words in common.
    return first[: 1 + max(first.rfind(blank, 0, size) for blank in " \n\t")]
