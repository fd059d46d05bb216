"""`synthetic:length`: workers who want longer or shorter summaries, as in P-RLHF (2024).

Workers stand in the order of their rank. Each prefers longer summaries with probability 0.7, by
NumPy's legacy generator with seed 3456: of the first ten, ranks 4, 5 and 6 prefer shorter ones; of
the first forty, 14 do. Length is counted in characters. Three summaries in ten are fragments of
one to three words, so that a small language model trained on them learns to stop early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.banks import bank
from plt.data.simulate.world import interview, survey, topical
from plt.data.simulate.world.interview import Corpus
from plt.data.simulate.world.survey import FloatArray, Labels, pick
from plt.data.tables.preferences import Preferences

NAME = "length"
SLOTS = ("who", "did", "where", "when", "feel", "want", "span")
FRAGMENTS = 0.3
CHARACTERS = 100.0  # true rewards are in hundreds of characters


@dataclass(frozen=True)
class Config(survey.Survey):
    """Who is asked and what they are shown.

    Attributes:
        prompts: Number of posts.
        responses: Number of different summaries of each.
        longer: Probability that a worker prefers longer summaries.
        workers_seed: Of the legacy generator that decides which workers do.
    """

    users: int = 10
    pairs_per_user: int = 200
    overlap: float = 1.0
    repeats: float = 0.0
    labels: Labels = "hard"
    prompts: int = 500
    responses: int = 4
    longer: float = 0.7
    workers_seed: int = 3456

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *super().problems(),
            *survey.whole(
                self,
                prompts=(1, survey.MANY),
                responses=(2, topical.MAX_RESPONSES),
                workers_seed=(0, 2**32 - 1),
            ),
            *survey.within(self, longer=(0, 1)),
        ]


def signs(config: Config) -> FloatArray:
    """+1 for every worker who prefers longer summaries and -1 for the others, shape (users,)."""
    draws = np.random.RandomState(config.workers_seed).random_sample(config.users)
    return np.where(draws < config.longer, 1.0, -1.0)


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: rank and kind of every worker."""
    kinds = ["longer" if sign > 0 else "shorter" for sign in signs(config)]
    return survey.user_frame(config, attr_kind=kinds, attr_rank=list(range(1, config.users + 1)))


def corpus(config: Config) -> Corpus:
    """Posts and summaries of them.

    Raises:
        UsageError: There are not so many different summaries of a post.
    """
    rng = survey.generator(config.seed, "texts")
    posts = []
    for _ in range(config.prompts):
        slots = {slot: pick(bank("posts")[slot], rng) for slot in SLOTS}
        posts.append(slots | {"subreddit": pick(bank("posts")["subreddits"], rng)})

    def write(prompt: int, _: int) -> str:
        return summary(posts[prompt], rng)

    asked = [[topical.ask_message(bank("posts")["post"].format(**post))] for post in posts]
    texts = [
        text
        for prompt in range(config.prompts)
        for text in topical.different(write, prompt, config.responses)
    ]
    return Corpus(asked, texts, np.repeat(np.arange(config.prompts), config.responses))


def summary(post: Mapping[str, str], rng: np.random.Generator) -> str:
    """A fragment of one to three words, or one to six clauses; each names a detail of the post."""
    if rng.random() < FRAGMENTS:
        return str(pick(bank("posts")["fragments"], rng)).format(**post)
    clauses = bank("posts")["clauses"]
    chosen = np.sort(rng.permutation(len(clauses))[: rng.integers(1, len(clauses) + 1)])
    glue = pick((", ", " and ", ". "), rng)
    return glue.join(clauses[i].format(**post) for i in chosen) + "."


def read(responses: Sequence[str]) -> FloatArray:
    """Length of any texts in hundreds of characters, shape (n, 1)."""
    return np.array([[len(text) / CHARACTERS] for text in responses]).reshape(-1, 1)


def simulate(config: Config) -> Preferences:
    """Simulates the population; see `plt.data.simulate.attributes.simulate`."""
    texts = corpus(config)
    raw = interview.interview(config, texts, read(texts.responses), signs(config)[:, None])
    return interview.finish(raw, survey.truth_of(NAME, config))


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    return np.asarray(read(responses)[:, 0] * signs(config)[user])
