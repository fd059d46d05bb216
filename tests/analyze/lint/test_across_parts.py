"""Prompts of one part that give away pairs of another."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.lint import lint
from plt.analyze.lint.places import across_findings
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.schema import SPLITS
from plt.data.tables.table import Meta
from tests.analyze.lint.populations import Readers, table

Prompt = Callable[[int, int], str]
Reply = Callable[[int, str], str]
WORDS = ("river", "copper", "garden", "winter", "letter", "engine", "summer", "window")


def made(prompt: Prompt, reply: Reply, users: int = 10, topics: int = 40) -> Preferences:
    """Everybody judges two replies to each topic, by chance; divided by pair."""
    rng = np.random.default_rng(0)
    rows = [
        {"user_id": f"user {user}", "label": float(rng.random() < 0.5),
         "prompt": [{"role": "user", "content": prompt(user, topic)}],
         "response_1": reply(topic, "brief"), "response_2": reply(topic, "long")}
        for user in range(users) for topic in range(topics)
    ]  # fmt: skip
    prefs = build(pl.DataFrame(rows), Meta(dataset="made"))
    return split(prefs, SplitPlan(by="pair", unseen_users=0.0))


def topic_name(topic: int) -> str:
    return f"the {WORDS[topic % 8]} of {WORDS[topic // 8]} number {topic}"


def asked(user: int, topic: int) -> str:
    return f"Tell me about {topic_name(topic)}, please."


def said(topic: int, kind: str) -> str:
    return f"A {kind} text about {topic_name(topic)} with nothing else in it."


def test_a_table_that_quotes_nothing_is_clean() -> None:
    assert across_findings(made(asked, said)) == []


@pytest.mark.parametrize("kind", ["brief", "long"])
def test_conversations_that_go_on_from_a_response_are_found(kind: str) -> None:
    def going_on(user: int, topic: int) -> str:
        return f"{asked(user, topic)}\n{said((topic + 1) % 40, kind).upper()}\nAnd then?"

    (found,) = across_findings(made(going_on, said))
    assert found.failed
    assert "stand in prompts of an earlier part" in found.what
    assert found.examples


def test_who_repeats_the_question_gives_nothing_away() -> None:
    def echo(topic: int, kind: str) -> str:
        return asked(0, topic) if kind == "brief" else said(topic, kind)

    assert across_findings(made(asked, echo)) == []


def test_phrases_of_many_conversations_are_no_quotations() -> None:
    def apology(topic: int, kind: str) -> str:
        return "I am sorry, I do not understand that." if kind == "brief" else said(topic, kind)

    def after_it(user: int, topic: int) -> str:
        return f"{apology(0, 'brief')} {asked(user, topic)}"

    assert across_findings(made(after_it, apology)) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda user, text: f"user{user}: {text}",
        lambda user, text: f"{text} Thank you, {WORDS[user % 8]}!",
        lambda user, text: text.replace("please", f"please ({user})"),
        lambda user, text: text.replace("Tell me", "Tell us") if user % 2 else text,
    ],
    ids=["a name in front", "a name behind", "a number", "another word"],
)
def test_one_choice_under_prompts_that_are_nearly_the_same(edit: Callable[[int, str], str]) -> None:
    """Every person's pair has an id of its own, and stands in several parts."""
    prefs = made(lambda user, topic: edit(user, asked(user, topic)), said)
    found = [one for one in across_findings(prefs) if "nearly the same" in one.what]
    assert len(found) == 1
    assert found[0].share is not None
    assert found[0].share > 0.05
    assert not lint(prefs).clean


def test_the_same_replies_to_different_questions_are_clean() -> None:
    def yes_or_no(topic: int, kind: str) -> str:
        return "Yes, certainly I would." if kind == "brief" else "No, rather not, I think."

    def other(user: int, topic: int) -> str:
        one, two, three = (WORDS[(topic // 8**k + k) % 8] for k in range(3))
        return f"{one}{topic} {two}{topic} {three}{topic}?"

    assert across_findings(made(other, yes_or_no)) == []


def test_what_is_not_divided_has_no_parts() -> None:
    prefs = made(asked, said)
    alone = prefs.votes.with_columns(split=pl.lit(None).cast(prefs.votes.schema["split"]))
    assert across_findings(Preferences(alone, prefs.pairs, prefs.meta)) == []


LONG = table(Readers(prompts=60, answers=4, words=(12, 30)))


def in_front(row: str) -> pl.Expr:
    """The content of the first message with something in front of it."""
    content = pl.concat_str(pl.lit(row), pl.element().struct.field("content"))
    return pl.col("prompt").list.eval(
        pl.struct(role=pl.element().struct.field("role"), content=content)
    )


def with_quotations(prefs: Preferences, every: int) -> Preferences:
    """Prompts of train quote the responses of test, one of `every` pairs of test."""
    parts = prefs.votes.unique("pair_id").select("pair_id", "split")
    pairs = prefs.pairs.join(parts, on="pair_id", how="left", maintain_order="left")
    quoted = pairs.filter(pl.col("split") == "test")["response_a"].gather_every(every).to_list()
    rows = pairs["split"].to_list()
    prompts, left = pairs["prompt"].to_list(), iter(quoted)
    for place, part in enumerate(rows):
        if part == "train" and (text := next(left, None)) is not None:
            prompts[place] = [{"role": "user", "content": f"Somebody said: {text} What now?"}]
    column = pl.Series("prompt", prompts, dtype=prefs.pairs["prompt"].dtype)
    return replace(prefs, pairs=prefs.pairs.with_columns(column))


def test_a_prompt_of_another_part_that_holds_a_response_is_found() -> None:
    divided = split(LONG, SplitPlan("prompt"))
    (found,) = across_findings(with_quotations(divided, 1))
    assert "stand in prompts of an earlier part" in found.what
    assert across_findings(divided) == []


def test_a_name_in_front_of_the_prompt_hides_no_pair() -> None:
    names = ("Anna: ", "Bartholomew Winterbottom asks: ")
    copies = []
    for place, name in enumerate(names):
        ids = pl.col("pair_id") + pl.lit(10_000_000 * place, dtype=LONG.pairs["pair_id"].dtype)
        pairs = LONG.pairs.with_columns(in_front(name), pair_id=ids)
        copies.append((LONG.votes.with_columns(pair_id=ids), pairs))
    parts = [pl.lit(part).cast(pl.Enum(SPLITS)) for part in ("train", "test")]
    divided = [votes.with_columns(split=p) for p, (votes, _) in zip(parts, copies, strict=True)]
    votes = pl.concat(divided)
    pairs = pl.concat([pairs for _, pairs in copies]).sort("pair_id")
    meta = replace(LONG.meta, split={"unit": "prompt"})
    found = across_findings(Preferences(votes, pairs, meta))
    (near,) = [one for one in found if "nearly the same" in one.what]
    assert near.rows == LONG.votes.height
