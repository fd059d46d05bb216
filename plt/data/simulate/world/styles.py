"""Seven attributes of an answer, each with two poles; writing them into texts and reading them off.

The attributes and the rule of two traits a person are those of PReF (2025). A pole has 14 sentences
that share vocabulary: only then does a frozen encoder recognise sentences that it was not fitted
on. Length is no sentence but the amount of plain content.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from plt.data.simulate.banks import bank
from plt.data.simulate.world import topics
from plt.data.simulate.world.survey import FloatArray, generator, pick
from plt.data.simulate.world.topical import Write

POLES: Mapping[str, tuple[str, str]] = {
    "length": ("verbose", "concise"),
    "formality": ("formal", "informal"),
    "humour": ("humorous", "serious"),
    "engagement": ("engaging", "unengaging"),
    "politeness": ("polite", "rude"),
    "enthusiasm": ("enthusiastic", "demure"),
    "confidence": ("confident", "uncertain"),
}
ATTRIBUTES = tuple(POLES)
SENTENCES_A_POLE = 2
VERBOSE_SENTENCES = 5  # of plain content; a concise answer has one, any other two or three


def write(about: topics.Topic, poles: Mapping[str, int], rng: np.random.Generator) -> str:
    """An answer that has the given poles.

    Args:
        about: What it is about.
        poles: Attribute to +1 (its first pole) or -1; others are absent from the answer.
        rng: Chooses sentences and their order; the content comes in one block among them.
    """
    styled = []
    for attribute, pole in poles.items():
        if attribute != "length":
            phrases = bank("styles")[POLES[attribute][pole < 0]]
            styled += [phrases[i] for i in rng.permutation(len(phrases))[:SENTENCES_A_POLE]]
    styled = [styled[i] for i in rng.permutation(len(styled))]
    position = int(rng.integers(len(styled) + 1))
    styled[position:position] = _content(about, poles.get("length", 0), rng)
    return " ".join(styled)


def _content(about: topics.Topic, length: int, rng: np.random.Generator) -> list[str]:
    if length > 0:
        opening = pick(bank("styles")["verbose"], rng)
        return [opening, *topics.content(about, VERBOSE_SENTENCES, rng)]
    if length < 0:
        opening = pick(bank("styles")["concise"], rng)
        return [f"{opening} {pick(about.steps, rng)}."]
    return topics.content(about, int(rng.integers(2, 4)), rng)


@cache
def _columns() -> dict[str, tuple[int, int]]:
    """Every style sentence, with the attribute's position and the sign of its pole."""
    return {
        phrase: (column, sign)
        for column, attribute in enumerate(ATTRIBUTES)
        if attribute != "length"
        for pole, sign in zip(POLES[attribute], (1, -1), strict=True)
        for phrase in bank("styles")[pole]
    }


def read(responses: Sequence[str]) -> FloatArray:
    """The poles of any answers, from their sentences alone; the inverse of `write`.

    Args:
        responses: n texts of any origin.

    Returns:
        Shape (n, 7), in the order of `ATTRIBUTES`: +1, 0 or -1, the sign of (sentences of the first
        pole - sentences of the second). Length is +1 from five sentences on that belong to no
        pole, -1 when there is at most one, else 0.
    """
    known = _columns()
    poles = np.zeros((len(responses), len(ATTRIBUTES)))
    for row, response in enumerate(responses):
        plain = 0
        for sentence in re.split(r"(?<=[.!?])\s+", response):
            column, sign = known.get(sentence, (-1, 0))
            poles[row, column] += sign
            plain += column < 0
        poles[row, 0] = (plain >= VERBOSE_SENTENCES) - (plain <= 1)
    return np.sign(poles)


def writer(active: int, seed: int) -> Write:
    """Writes answers that show a few attributes at random poles, from one stream of draws."""
    rng = generator(seed, "texts")

    def draw(prompt: int, _: int) -> str:
        chosen = rng.permutation(len(ATTRIBUTES))[:active]
        poles = {ATTRIBUTES[i]: pick((-1, 1), rng) for i in chosen}
        return write(topics.topic(prompt), poles, rng)

    return draw
