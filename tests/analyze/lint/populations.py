"""Small populations of readers, with texts whose form varies as real texts' does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from tests.data.made_tables import user_turn

WORDS = [
    "the", "a", "river", "stone", "light", "quickly", "answer", "paper", "under", "seven", "green",
    "because", "often", "music", "house", "small", "we", "think", "about", "don't", "it's", "never",
]  # fmt: skip
# How texts end and begin, with weights; nobody prefers any of it unless a test says so.
ENDS = (".", "!", "?", "", ")", '"', ":", "...", " ", "\n")
END_SHARES = (0.55, 0.08, 0.06, 0.12, 0.04, 0.04, 0.03, 0.03, 0.03, 0.02)
FRONTS = ("", "- ", "1. ", "# ", '"', " ")
FRONT_SHARES = (0.75, 0.06, 0.06, 0.04, 0.05, 0.04)

Utility = Callable[[str, int], float]
Form = Callable[[str, int], str]
Edit = Callable[[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Readers:
    """Who is asked what.

    Attributes:
        seed: Of everything.
        users: People.
        prompts: Questions, each with answers of its own.
        answers: Answers to each question.
        judgements: Of each person, on random pairs of answers to random questions.
        noise: Standard deviation of what a judgement adds to a person's utility.
        taste: A person's utility of a text; by default a random one that all share in part.
        form: What becomes of a text before anybody sees it, given which answer it is.
        edit: What a faulty conversion does to (preferred, rejected).
        edited: Share of the judgements that it does it to.
        sources: Number of models that write the answers; 0 leaves them unknown.
    """

    seed: int = 0
    users: int = 12
    prompts: int = 40
    answers: int = 3
    judgements: int = 40
    noise: float = 1.0
    taste: Utility | None = None
    form: Form | None = None
    edit: Edit | None = None
    edited: float = 1.0
    sources: int = 0
    words: tuple[int, int] = (3, 30)


def text(rng: np.random.Generator, words: tuple[int, int]) -> str:
    body = " ".join(rng.choice(WORDS, rng.integers(*words)))
    body = body.capitalize() if rng.random() < 0.9 else body
    if rng.random() < 0.2:
        body = body.replace("'", "’")
    return str(rng.choice(FRONTS, p=FRONT_SHARES)) + body + str(rng.choice(ENDS, p=END_SHARES))


def rows(readers: Readers) -> list[dict[str, Any]]:
    """Rows for `build`: the preferred response first."""
    rng = np.random.default_rng(readers.seed)
    pools = [
        [text(rng, readers.words) for _ in range(readers.answers)] for _ in range(readers.prompts)
    ]
    if readers.form:
        pools = [[readers.form(t, place) for place, t in enumerate(pool)] for pool in pools]
    shared = {t: rng.normal() for pool in pools for t in pool}
    made = []
    for user in range(readers.users):
        own = {t: rng.normal() for pool in pools for t in pool}
        for _ in range(readers.judgements):
            prompt = int(rng.integers(readers.prompts))
            one, other = rng.choice(readers.answers, 2, replace=False)
            pair = [pools[prompt][one], pools[prompt][other]]
            worth = [
                readers.taste(t, user) if readers.taste else (shared[t] + own[t]) / 2**0.5
                for t in pair
            ]
            first = 0 if worth[0] - worth[1] + readers.noise * rng.normal() > 0 else 1
            chosen, rejected = pair[first], pair[1 - first]
            if readers.edit is not None and rng.random() < readers.edited:
                chosen, rejected = readers.edit(chosen, rejected)
            row = {
                "user_id": f"u{user:02d}",
                "prompt": user_turn(f"question {prompt}"),
                "response_1": chosen,
                "response_2": rejected,
                "label": 1.0,
            }
            if readers.sources:
                names = [f"model {answer % readers.sources}" for answer in (one, other)]
                row |= {"source_1": names[first], "source_2": names[1 - first]}
            made.append(row)
    return made


def table(readers: Readers, **changes: Any) -> Preferences:
    frame = pl.DataFrame(rows(replace(readers, **changes)), infer_schema_length=None)
    return build(frame, Meta(dataset="readers"))
