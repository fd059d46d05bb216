"""Rows that contradict one another, and texts that no model should see."""

import polars as pl

from plt.analyze.lint.decisions import MIN_GROUPS
from plt.analyze.lint.findings import Example, Finding, counted, figure_text, share_text, shown
from plt.analyze.lint.text_forms import CONTROL_TOKEN
from plt.analyze.repeats.consistency import MIN_REPEATS, consistency, copies_caveat
from plt.analyze.votes.votes import read_rows
from plt.data.tables.preferences import Preferences
from plt.data.tables.schema import PREFERENCES

CHANCE = 0.5
MAX_CONTRADICTED = 0.02
MIN_SHOWN, ALWAYS = 20, 0.98
"""From so many judgements on, this share of one place is said."""
EXAMPLES = 3
CONTEXT = 20
KEY = list(PREFERENCES.key)


def repeat_findings(votes: pl.DataFrame) -> list[Finding]:
    """Whether people who judged a pair again agree with themselves.

    Args:
        votes: Any votes; ties, missing labels and people without a name say nothing here.

    Returns:
        Nothing without repeats; else a note with the self-agreement that `dataset-stats` reports,
        a finding when at least 20 repeats agree less than chance does, beyond doubt. The note says
        so where at least 20 repeats agree without exception: they may be copies. Where there are
        fewer than 10 groups, pairs are the clusters.
    """
    few_groups = votes["group"].n_unique() < MIN_GROUPS
    found = consistency(read_rows(votes.drop("group") if few_groups else votes))
    if found is None:
        return []
    figure = found.self_agreement
    below = figure.high is not None and figure.high < CHANCE
    failed = below and found.n_repeated >= MIN_REPEATS
    caveat = copies_caveat(figure.value, found.n_repeated)
    return [
        Finding(
            check="repeats",
            what=f"{counted(found.n_users, 'user')} judged {counted(found.n_repeated, 'pair')}"
            f" again, with self-agreement {figure_text(figure)}"
            + (": less than chance" if failed else "")
            + (f"; {caveat}" if caveat else ""),
            failed=failed,
            rows=found.n_repeated,
            share=found.n_repeated / votes.height,
            figures={"self_agreement": figure},
            hint="check whether responses or labels of repeats were swapped" if failed else None,
        )
    ]


def score_findings(votes: pl.DataFrame) -> list[Finding]:
    """Judgements that the source's own scores contradict: a finding from 2 % on, else a note.

    Scores contradict a label that prefers the response with the lower one, and one that prefers
    either of two with equal scores. A source that scores badness contradicts all of them.
    """
    scored = votes.filter(
        pl.col("label").is_not_null()
        & (pl.col("label") != 0.5)
        & pl.col("score_a").is_finite()
        & pl.col("score_b").is_finite()
    ).with_columns(
        _against=(pl.col("score_a") != pl.col("score_b"))
        & ((pl.col("score_a") > pl.col("score_b")) != (pl.col("label") > CHANCE)),
        _equal=pl.col("score_a") == pl.col("score_b"),
    )
    bad = scored.filter(pl.col("_against") | pl.col("_equal"))
    if bad.height == 0:
        return []
    against, equal = int(bad["_against"].sum()), int(bad["_equal"].sum())
    share = bad.height / scored.height
    failed = share > MAX_CONTRADICTED
    return [
        Finding(
            check="scores",
            what=f"the scores of the source contradict {counted(against, 'label')} and are equal"
            f" for {equal} more, of {counted(scored.height, 'judgement')} with scores",
            failed=failed,
            rows=bad.height,
            share=share,
            details={"n_contradicted": against, "n_equal": equal, "n_scored": scored.height},
            examples=tuple(
                Example(pair, f"score_a {a:g}, score_b {b:g}, label {label:g}")
                for pair, a, b, label in bad.sort("_equal", "pair_id")
                .select("pair_id", "score_a", "score_b", "label")
                .head(EXAMPLES)
                .iter_rows()
            ),
            hint="check which column is the label and whether a higher score is better"
            if failed
            else None,
        )
    ]


def position_findings(votes: pl.DataFrame) -> list[Finding]:
    """A note where the response that people saw first is nearly always, or never, preferred."""
    known = votes.filter(
        pl.col("shown_first").is_not_null()
        & pl.col("label").is_not_null()
        & (pl.col("label") != CHANCE)
    )
    if known.height < MIN_SHOWN:
        return []
    first = (known["shown_first"].cast(pl.String) == "a") == (known["label"] > CHANCE)
    share = float(first.sum() / known.height)
    if max(share, 1 - share) < ALWAYS:
        return []
    which = "first" if share > CHANCE else "last"
    return [
        Finding(
            check="taste",
            what=f"people preferred the response that they saw {which} in"
            f" {share_text(max(share, 1 - share))} of {counted(known.height, 'judgement')}: that"
            " may be the order and no taste",
            failed=False,
            rows=known.height,
            share=known.height / votes.height,
        )
    ]


def label_findings(votes: pl.DataFrame) -> list[Finding]:
    """Rows with one key: a finding where their labels differ, a note where they say the same."""
    keys = (
        votes.group_by(KEY)
        .agg(rows=pl.len(), labels=pl.col("label").n_unique())
        .filter(pl.col("rows") > 1)
        .sort("pair_id", pl.col("user_id").cast(pl.String), "occurrence")
    )
    found = []
    for differ in (True, False):
        part = keys.filter((pl.col("labels") > 1) == differ)
        if part.height == 0:
            continue
        rows = int(part["rows"].sum())
        says = "with different labels" if differ else "with the same label"
        found.append(
            Finding(
                check="labels",
                what=f"{counted(part.height, 'occurrence')} in several rows {says}",
                failed=differ,
                rows=rows,
                share=rows / votes.height,
                examples=tuple(
                    Example(pair, f"user_id {_name(user)}, occurrence {occurrence}")
                    for user, pair, occurrence in part.head(EXAMPLES).select(KEY).iter_rows()
                ),
                hint="number the judgements of one user on one pair in `occurrence`: 0, 1, ..."
                if differ
                else "keep each judgement once: repeated rows weigh double",
            )
        )
    return found


def _name(user: str | None) -> str:
    return "null" if user is None else shown(user)


def control_token_findings(prefs: Preferences) -> list[Finding]:
    """A finding for texts with control tokens: they would forge turns or paint a terminal."""
    contents = pl.element().struct.field("content")
    marked = prefs.pairs.select(
        "pair_id",
        prompt=pl.col("prompt").list.eval(contents.str.contains(CONTROL_TOKEN)).list.any(),
        response=pl.any_horizontal(pl.col("response_a", "response_b").str.contains(CONTROL_TOKEN)),
    ).filter(pl.col("prompt") | pl.col("response"))
    profiles = prefs.votes["profile"].cast(pl.String)
    bad_profiles = profiles.unique().drop_nulls()
    bad_profiles = bad_profiles.filter(bad_profiles.str.contains(CONTROL_TOKEN))
    touched = prefs.votes["pair_id"].is_in(marked["pair_id"].implode())
    touched = touched | profiles.is_in(bad_profiles.implode()).fill_null(False)
    rows = int(touched.sum())
    if rows == 0:
        return []
    pairs = prefs.pairs.join(marked.select("pair_id"), on="pair_id", how="semi").sort("pair_id")
    tokens = _tokens(pairs, bad_profiles)
    n_prompts, n_responses = (int(marked[column].sum()) for column in ("prompt", "response"))
    named = ", ".join(f"{shown(token)} ({count})" for token, count in list(tokens.items())[:5])
    return [
        Finding(
            check="control-tokens",
            what=f"control tokens in the prompts of {counted(n_prompts, 'pair')}, the"
            f" responses of {counted(n_responses, 'pair')} and"
            f" {counted(bad_profiles.len(), 'profile')}: {named}",
            failed=True,
            rows=rows,
            share=rows / prefs.votes.height,
            details={"tokens": {shown(token): count for token, count in tokens.items()}},
            examples=_token_examples(pairs, bad_profiles),
            hint="remove them from the raw texts, then convert again",
        )
    ]


def _tokens(pairs: pl.DataFrame, profiles: pl.Series) -> dict[str, int]:
    """Every token and how often it occurs in distinct texts, the most frequent first."""
    found = _texts(pairs, profiles).unique().str.extract_all(CONTROL_TOKEN).explode().drop_nulls()
    counts = found.value_counts(name="count").sort("count", "text", descending=[True, False])
    return dict(counts.iter_rows())


def _texts(pairs: pl.DataFrame, profiles: pl.Series) -> pl.Series:
    prompts = pairs["prompt"].list.explode().struct.field("content")
    texts = [prompts, pairs["response_a"], pairs["response_b"], profiles]
    return pl.concat([text.alias("text").cast(pl.String) for text in texts])


def _token_examples(pairs: pl.DataFrame, profiles: pl.Series) -> tuple[Example, ...]:
    examples = []
    for row in pairs.head(EXAMPLES).iter_rows(named=True):
        texts = [*(message["content"] for message in row["prompt"])]
        texts += [row["response_a"], row["response_b"]]
        frame = pl.Series(texts, dtype=pl.String)
        around = frame.str.extract(
            f"((?s:.{{0,{CONTEXT}}})(?:{CONTROL_TOKEN})(?s:.{{0,{CONTEXT}}}))"
        )
        examples.append(Example(row["pair_id"], shown(around.drop_nulls()[0])))
    if not examples:
        examples = [Example(None, f"profile {shown(text)}") for text in profiles.head(EXAMPLES)]
    return tuple(examples)
