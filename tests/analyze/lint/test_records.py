"""Repeats, contradictions and control tokens."""

from dataclasses import replace

import polars as pl
import pytest

from plt.analyze.lint.records import (
    control_token_findings,
    label_findings,
    position_findings,
    repeat_findings,
)
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.schema import PREFERENCES
from plt.data.tables.table import Meta
from tests.data.made_tables import crossed, raw_frame, user_turn


def repeated(n: int, *, agree: bool) -> Preferences:
    """A first and a second judgement of each of n pairs by two users."""
    rows = [
        {
            "user_id": f"u{pair % 2}",
            "prompt": user_turn(f"prompt {pair}"),
            "response_1": "left",
            "response_2": "right",
            "label": float(turn == 0 or agree),
        }
        for pair in range(n)
        for turn in range(2)
    ]
    return build(raw_frame(rows), Meta(dataset="repeats"))


class TestRepeats:
    def test_none_are_nothing(self) -> None:
        assert repeat_findings(crossed(3, 5).votes) == []

    def test_agreement_is_a_note_with_its_figure(self) -> None:
        (note,) = repeat_findings(repeated(30, agree=True).votes)
        assert not note.failed
        assert note.figures["self_agreement"].value == 1.0
        assert note.rows == 30

    @pytest.mark.parametrize(("n", "failed"), [(19, False), (30, True)])
    def test_contradiction_is_a_finding_from_20_repeats_on(self, n: int, failed: bool) -> None:
        (found,) = repeat_findings(repeated(n, agree=False).votes)
        assert found.failed == failed
        assert found.figures["self_agreement"].value == 0.0

    @pytest.mark.parametrize(("n", "said"), [(19, False), (20, True)])
    def test_20_repeats_without_exception_may_be_copies(self, n: int, said: bool) -> None:
        (note,) = repeat_findings(repeated(n, agree=True).votes)
        assert not note.failed
        assert (f"every one of {n} repeats says the same" in note.what) == said
        assert ("--duplicates drop" in note.what) == said

    def test_pairs_are_the_clusters_of_one_prompt(self) -> None:
        votes = repeated(30, agree=False).votes.with_columns(group=pl.lit("g"))
        assert repeat_findings(votes)[0].failed

    def test_chance_is_no_finding(self) -> None:
        halves = [repeated(40, agree=agree).votes for agree in (True, False)]
        odd = pl.col("pair_id") % 2 == 1
        votes = pl.concat([halves[0].filter(odd), halves[1].filter(~odd)])
        (note,) = repeat_findings(votes)
        assert not note.failed


class TestLabels:
    def test_distinct_keys_are_nothing(self) -> None:
        assert label_findings(repeated(30, agree=False).votes) == []

    def test_one_occurrence_with_two_labels_is_a_finding(self) -> None:
        votes = crossed(4, 5).votes
        twin = votes.head(3).with_columns(label=1 - pl.col("label"))
        (found,) = label_findings(pl.concat([votes, twin]))
        assert found.failed
        assert found.rows == 6
        assert found.examples[0].pair_id in votes["pair_id"]
        assert "user_id 'u0" in found.examples[0].text

    def test_a_row_that_stands_twice_is_a_note(self) -> None:
        votes = crossed(4, 5).votes
        (note,) = label_findings(pl.concat([votes, votes.head(1)]))
        assert not note.failed
        assert note.what == "1 occurrence in several rows with the same label"


TOKENS = [
    "<|im_start|>", "<|endoftext|>", "<|start_header_id|>", "</s>", "<s>", "[INST]", "[/INST]",
    "<<SYS>>", "<start_of_turn>", "<eos>", "\x00", "\x1b[31m", "\u202e", "\x9b",
    "\n\nHuman:", "### Assistant:",
]  # fmt: skip


class TestControlTokens:
    @pytest.mark.parametrize("token", TOKENS)
    @pytest.mark.parametrize("place", ["prompt", "response", "profile"])
    def test_they_are_found_wherever_they_stand(self, token: str, place: str) -> None:
        text = f"before {token} after" if not token.startswith("#") else token
        row = {
            "user_id": "u",
            "prompt": user_turn(text if place == "prompt" else "prompt"),
            "response_1": text if place == "response" else "one",
            "response_2": "two",
            "label": 1.0,
            "profile": text if place == "profile" else None,
        }
        prefs = build(raw_frame([row]), Meta(dataset="x"))
        (found,) = control_token_findings(prefs)
        assert found.failed
        assert found.rows == 1
        assert found.what.isprintable()
        assert all(example.text.isprintable() for example in found.examples)
        assert sum(found.details["tokens"].values()) >= 1

    def test_plain_and_foreign_texts_are_clean(self) -> None:
        texts = [
            "a < b | c > d",
            "x[0] = [1, 2]",
            "日本語、مرحبا, naïve",
            "tab\there\r\nthere",
            "s/a/b",
        ]
        rows = [
            {
                "user_id": "u", "prompt": user_turn("Human: hi"), "response_1": text,
                "response_2": "two", "label": 1.0,
            }
            for text in texts
        ]  # fmt: skip
        assert control_token_findings(build(raw_frame(rows), Meta(dataset="x"))) == []

    def test_rows_count_judgements_and_tokens_count_texts(self) -> None:
        prefs = crossed(5, 4)
        first = prefs.pairs["pair_id"][0]
        marked = pl.when(pl.col("pair_id") == first).then(pl.lit("</s></s>"))
        pairs = prefs.pairs.with_columns(response_a=marked.otherwise("response_a"))
        (found,) = control_token_findings(replace(prefs, pairs=pairs))
        assert found.rows == 5
        assert found.details["tokens"] == {"'</s>'": 2}


@pytest.mark.parametrize(("side", "said"), [("a", "first"), ("b", "last")])
def test_who_always_prefers_what_stands_first_is_noted(side: str, said: str) -> None:
    votes = crossed(5, 20).votes
    won = pl.when(pl.col("label") > 0.5).then(pl.lit("a")).otherwise(pl.lit("b"))
    lost = pl.when(pl.col("label") > 0.5).then(pl.lit("b")).otherwise(pl.lit("a"))
    kind = PREFERENCES.column("shown_first").dtype
    order = (won if side == "a" else lost).cast(kind)
    (found,) = position_findings(votes.with_columns(shown_first=order))
    assert not found.failed
    assert f"preferred the response that they saw {said} in 100.0 %" in found.what
    by_chance = pl.when(pl.col("pair_id") % 3 == 0).then(won).otherwise(lost).cast(kind)
    assert position_findings(votes.with_columns(shown_first=by_chance)) == []
    assert position_findings(votes) == []
