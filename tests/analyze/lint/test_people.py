"""One person under two ids, and prompts that begin with who judges them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.lint.people import people_findings
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta

Name = Callable[[int, int], str]


def made(
    name: Name = lambda user, row: f"u{user}",
    front: Callable[[int], str] = lambda user: "",
    users: int = 12,
    topics: int = 40,
    noise: float = 0.3,
    seed: int = 0,
) -> Preferences:
    """Everybody judges the same topics; the brief text wins but for noise of each person's own."""
    rng = np.random.default_rng(seed)
    rows = [
        {"user_id": name(user, topic), "label": float(rng.random() >= noise),
         "prompt": [{"role": "user", "content": f"{front(user)}Topic {topic} of {topic * 7}?"}],
         "response_1": f"A brief text on {topic}.", "response_2": f"A long text on {topic}, yes."}
        for user in range(users) for topic in range(topics)
    ]  # fmt: skip
    return build(pl.DataFrame(rows), Meta(dataset="made"))


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_people_of_their_own_are_clean(noise: float, seed: int) -> None:
    assert people_findings(made(noise=noise, seed=seed)) == []


@pytest.mark.parametrize("change", [str.upper, lambda s: f" {s}", lambda s: s.replace("u", "ｕ")])
def test_ids_that_are_spelt_in_two_ways(change: Callable[[str], str]) -> None:
    prefs = made(lambda user, topic: change(f"u{user}") if topic % 2 else f"u{user}")
    found = people_findings(prefs)
    assert "12 persons under ids that differ only in" in found[0].what
    assert found[0].failed


def doubled(prefs: Preferences, who: str) -> Preferences:
    """All judgements of one person once more, under another id."""
    more = prefs.wide().filter(pl.col("user_id").cast(pl.String) == who)
    more = more.with_columns(user_id=pl.lit("somebody else").cast(pl.Categorical))
    wide = pl.concat([prefs.wide(), more])
    names = prefs.votes.columns
    return replace(prefs, votes=wide.select(names))


def test_two_ids_that_always_agree_are_one_person() -> None:
    (found,) = people_findings(doubled(made(), "u3"))
    assert found.details["ids"] == [["somebody else", "u3"]]
    assert "1 pair of ids judged 40 or more of the same pairs and always alike" in found.what


def test_where_everybody_agrees_nobody_is_suspected() -> None:
    assert people_findings(doubled(made(noise=0.02), "u3")) == []
    assert people_findings(doubled(made(noise=0.0), "u3")) == []


def test_a_name_in_front_of_every_prompt_hides_that_people_share_pairs() -> None:
    named = made(front=lambda user: f"Hello, I am Number{user}. ")
    assert named.pairs.height == 12 * 40
    (found,) = people_findings(named)
    assert "begin with words of their own" in found.what
    assert found.share == 1
    assert people_findings(made(front=lambda user: "Hello, you. ")) == []


def test_people_who_are_asked_other_things_may_introduce_themselves() -> None:
    """Nobody would share a pair without it either."""
    own = made(front=lambda user: f"I am Number{user}. My topics are {user} times as hard: ")
    wide = own.wide().with_columns(
        response_a=pl.format("{} {}", "response_a", pl.col("user_id").cast(pl.String))
    )
    raw = wide.select(
        pl.col("user_id").cast(pl.String), "label", "prompt",
        response_1="response_a", response_2="response_b",
    )  # fmt: skip
    assert people_findings(build(raw, Meta(dataset="made"))) == []
