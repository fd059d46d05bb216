"""`synthetic:pets`: people who want to hear of dogs or of cats, as in VPL (2024) and PLUS (2025).

Everybody agrees on five kinds of pairs (birds before dogs and cats, these before rabbits) and half
of the people disagree with the other half on dogs against cats. Sentences are divided into train
and test before pairs are made. People of a kind that no training data shows want to hear of rabbits
or of birds; they are the last ones and are unseen.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.banks import bank
from plt.data.simulate.world import interview, survey, topical
from plt.data.simulate.world.interview import Corpus
from plt.data.simulate.world.survey import FloatArray, IntArray, Labels
from plt.data.tables.preferences import Preferences

NAME = "pets"
ANIMALS = ("dogs", "cats", "rabbits", "birds")
SENTENCES, TRAIN_SENTENCES = 16, 12
TEST_PAIRS = (SENTENCES - TRAIN_SENTENCES) ** 2
DISPUTED = {"seen": ("dogs", "cats"), "unseen": ("rabbits", "birds")}
AGREED = (
    ("birds", "dogs"), ("birds", "cats"), ("birds", "rabbits"), ("cats", "rabbits"),
    ("dogs", "rabbits"),
)  # fmt: skip
COMMON_TASTE = {"dogs": 1.0, "cats": 1.0, "rabbits": 0.0, "birds": 3.0}


@dataclass(frozen=True)
class Config(survey.Survey):
    """Who is asked and what they are shown.

    `pairs_per_user` and `overlap` are those of the training sentences.

    Attributes:
        test_pairs: Pairs of test sentences; everybody judges the same ones.
        disputed: Share of pairs between the two animals on which people disagree, about; PLUS
            asks of nothing else (1), VPL in half of its pairs (0.5).
        ood: How many of the people, the last ones, want rabbits or birds instead; they are asked
            about these two alone.
    """

    users: int = 40
    overlap: float = 20.0
    repeats: float = 0.0
    labels: Labels = "hard"
    test_pairs: int = 16
    disputed: float = 1.0
    ood: int = 0

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = [
            *super().problems(),
            *survey.whole(self, test_pairs=(1, TEST_PAIRS), ood=(0, survey.MANY)),
            *survey.within(self, disputed=(0.1, 1)),
        ]
        if not found and self.ood > self.users:
            found.append(f"ood is {self.ood}; there are only {self.users} users")
        return found


def favourites(config: Config) -> list[str]:
    """The animal that every person wants to hear of; they alternate within each kind of people."""
    seen = config.users - config.ood
    kinds = ["seen"] * seen + ["unseen"] * config.ood
    return [DISPUTED[kind][number % 2] for number, kind in enumerate(kinds)]


def weights(config: Config) -> FloatArray:
    """What every person gives for each animal, shape (users, 4)."""
    table = np.array([[COMMON_TASTE[animal] for animal in ANIMALS]] * config.users)
    for row, favourite in zip(table, favourites(config), strict=True):
        row[ANIMALS.index(favourite)] = 2.0 if favourite in DISPUTED["seen"] else 4.0
    return table


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: what people say of themselves, and their favourite."""
    names = favourites(config)
    profiles = [f"I like to hear about {name}." for name in names]
    return survey.user_frame(config, profile=profiles, attr_favourite=names)


def read(responses: Sequence[str]) -> FloatArray:
    """Which animals any texts name, shape (n, 4), 0 or 1, in the order of `ANIMALS`."""
    found = [[_NAMES[a].search(text) is not None for a in ANIMALS] for text in responses]
    return np.array(found, dtype=np.float64).reshape(-1, len(ANIMALS))


_NAMES = {animal: re.compile(rf"\b{animal[:-1]}s?\b", re.IGNORECASE) for animal in ANIMALS}


def corpus() -> Corpus:
    """All sentences, in the order of `ANIMALS`, as answers to one prompt."""
    texts = [sentence for animal in ANIMALS for sentence in bank("pets")[animal]]
    prompt = [topical.ask_message(bank("pets")["prompt"])]
    return Corpus([prompt], texts, np.zeros(len(texts), dtype=np.int64))


def between(first: str, second: str, part: str) -> IntArray:
    """Every pair of sentences on two animals in one part, shape (n, 2), as rows of `corpus`."""
    inside = np.arange(SENTENCES)
    inside = inside[inside < TRAIN_SENTENCES] if part == "train" else inside[TRAIN_SENTENCES:]
    grid = np.meshgrid(inside, inside, indexing="ij")
    starts = [ANIMALS.index(animal) * SENTENCES for animal in (first, second)]
    columns = [axis.ravel() + start for axis, start in zip(grid, starts, strict=True)]
    return np.stack(columns, axis=1)


def candidates(config: Config, kind: str, part: str) -> IntArray:
    """The pairs that people of one kind may be asked, shape (n, 2)."""
    disputed = between(*DISPUTED[kind], part)
    if kind == "unseen":
        return disputed
    agreed = np.concatenate([between(*pair, part) for pair in AGREED])
    wanted = min(len(agreed), round(len(disputed) * (1 - config.disputed) / config.disputed))
    rng = survey.generator(config.seed, f"agreed {part}")
    return np.concatenate([disputed, rng.permutation(agreed)[:wanted]])


def simulate(config: Config) -> Preferences:
    """Simulates the population, already split; see `plt.data.simulate.attributes.simulate`."""
    parts = []
    sizes = {"seen": config.users - config.ood, "unseen": config.ood}
    for kind, size in sizes.items():
        for part in ("train", "test") if size else ():
            parts.append(_ask(config, kind, part, size))
    raw = interview.with_profiles(pl.concat(parts), user_table(config))
    prefs = interview.finish(raw, survey.truth_of(NAME, config))
    share = TRAIN_SENTENCES / SENTENCES
    split = {
        "unit": "response",
        "fractions": [100 * share, 0.0, 100 * (1 - share)],
        "unseen_users": config.ood / config.users,
        "seed": config.seed,
        "protocol": NAME,
        "leaks": False,
    }
    return replace(prefs, meta=replace(prefs.meta, split=split))


def _ask(config: Config, kind: str, part: str, size: int) -> pl.DataFrame:
    """The raw judgements of one kind of people on one part of the sentences."""
    asked: survey.Survey = replace(config, users=size, ood=0)
    if part == "test":
        asked = replace(asked, pairs_per_user=config.test_pairs, overlap=float(size), repeats=0.0)
    texts = corpus()
    rows = slice(0, size) if kind == "seen" else slice(config.users - size, None)
    raw = interview.interview(
        asked, texts, read(texts.responses), weights(config)[rows], candidates(config, kind, part)
    )
    ids = dict(zip(survey.user_ids(size), survey.user_ids(config.users)[rows], strict=True))
    names = {
        text: f"{ANIMALS[i // SENTENCES]}{i % SENTENCES + 1:02d}"
        for i, text in enumerate(texts.responses)
    }
    one, two = (pl.col(f"response_{i}").replace_strict(names) for i in (1, 2))
    return raw.with_columns(
        pl.col("user_id").replace_strict(ids, return_dtype=pl.String),
        group=pl.concat_str(pl.min_horizontal(one, two), pl.lit("-"), pl.max_horizontal(one, two)),
        split=pl.lit(part),
        user_split=pl.lit(kind),
    )


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    return np.asarray(read(responses) @ weights(config)[user])
