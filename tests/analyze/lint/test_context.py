"""What stands around the responses: prompts and names that tell who wins."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.analyze.lint import lint
from plt.analyze.lint.context import context_findings
from plt.analyze.lint.decisions import read_decisions
from plt.analyze.lint.findings import Finding
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError
from tests.analyze.lint.populations import Readers, rows, table
from tests.data.made_tables import crossed, user_turn


def told(prefs: Preferences) -> list[Finding]:
    return context_findings(prefs, read_decisions(prefs), 0)


def from_rows(made: list[dict[str, Any]]) -> Preferences:
    return build(pl.DataFrame(made, infer_schema_length=None), Meta(dataset="planted"))


def prompted(row: dict[str, Any], words: str) -> dict[str, Any]:
    return row | {"prompt": user_turn(row["prompt"][0]["content"] + words)}


QUOTES: dict[str, Callable[[str], str]] = {
    "all of it": lambda text: text,
    "its beginning": lambda text: text[:30],
    "in capitals": str.upper,
    "with other blanks": lambda text: text.replace(" ", "\u00a0 "),
}


@pytest.mark.parametrize("quote", QUOTES)
def test_a_prompt_that_quotes_the_winner_is_a_finding(quote: str) -> None:
    made = rows(Readers(judgements=25, words=(8, 30)))
    planted = [prompted(row, f" Say: {QUOTES[quote](row['response_1'])}") for row in made]
    found = told(from_rows(planted))
    assert len(found) == 1
    assert "the prompt holds" in found[0].what
    assert found[0].figures["right"].value == 1.0


def test_a_prompt_that_quotes_both_or_either_at_random_is_none() -> None:
    rng = np.random.default_rng(0)
    made = rows(Readers(judgements=25, words=(8, 30)))
    both = [prompted(row, f" {row['response_1']} or {row['response_2']}?") for row in made]
    either = [prompted(row, f" Say: {row[f'response_{rng.integers(1, 3)}']}") for row in made]
    assert told(from_rows(both)) == []
    assert told(from_rows(either)) == []


def with_hint(prefs: Preferences, column: str) -> Preferences:
    """A table in which something beside the responses names the side of the winner."""
    side = pl.when(pl.col("label") > 0.5).then(pl.lit("[A]")).otherwise(pl.lit("[B]"))
    if column == "prompt":
        sides = prefs.votes.group_by("pair_id").agg(side.first().alias("side"))
        pairs = prefs.pairs.join(sides, on="pair_id", how="left", maintain_order="left")
        prompts = [
            user_turn(f"{prompt[0]['content']} {hint}")
            for prompt, hint in pairs.select("prompt", "side").iter_rows()
        ]
        return replace(prefs, pairs=prefs.pairs.with_columns(prompt=pl.Series(prompts)))
    named = pl.concat_str(
        pl.col("user_id").cast(pl.String), pl.lit("-"), pl.col("pair_id").cast(pl.String), side
    )
    return replace(prefs, votes=prefs.votes.with_columns(named.cast(pl.Categorical).alias(column)))


@pytest.mark.parametrize("column", ["prompt", "user_id", "profile", "group"])
def test_what_names_the_side_of_the_winner_is_a_finding(column: str) -> None:
    prefs = table(Readers(users=20, prompts=300, judgements=30, noise=0.1))
    found = told(with_hint(prefs, column))
    assert [one.details["column"] for one in found if "column" in one.details] == [column]


@pytest.mark.parametrize("seed", range(4))
def test_honest_contexts_tell_nothing(seed: int) -> None:
    assert told(table(Readers(seed=seed))) == []
    assert told(table(Readers(seed=seed, users=3, prompts=4, answers=30))) == []


def test_length_that_all_but_decides_is_a_finding() -> None:
    rng = np.random.default_rng(0)
    taste = lambda text, _: len(text) + rng.normal() * 16.0  # noqa: E731
    prefs = table(Readers(users=6, judgements=40, noise=0, taste=taste, words=(3, 30)))
    length = [one for one in lint(prefs).findings if one.check == "taste"]
    auc = length[0].figures["auc"]
    assert auc.value is not None
    assert auc.low is not None
    assert auc.value >= 0.95 > auc.low >= 0.90


@pytest.mark.parametrize(("scores", "failed"), [((5, 6), True), ((5, 5), True), ((6, 5), None)])
def test_scores_that_contradict_the_labels(scores: tuple[int, int], failed: bool | None) -> None:
    made = [row | {"score_1": scores[0], "score_2": scores[1]} for row in rows(Readers())]
    found = [one for one in lint(from_rows(made)).findings if one.check == "scores"]
    assert [one.failed for one in found] == ([] if failed is None else [failed])
    if failed:
        assert found[0].share == 1.0


def test_a_few_scores_that_contradict_are_a_note() -> None:
    made = rows(Readers())
    made = [row | {"score_1": 5 if i % 100 else 3, "score_2": 4} for i, row in enumerate(made)]
    report = lint(from_rows(made))
    assert "scores" not in {one.check for one in report.findings}
    assert [one.rows for one in report.notes if one.check == "scores"] == [len(made) // 100 + 1]


def test_a_table_without_labels_is_refused() -> None:
    prefs = crossed(5, 6)
    unlabelled = replace(prefs, votes=prefs.votes.with_columns(label=pl.lit(None, pl.Float32)))
    with pytest.raises(DataError, match="no labels"):
        lint(unlabelled)
