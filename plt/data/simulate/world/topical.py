"""Surveys about everyday skills: single answers, or conversations as in PRISM.

In a conversation the person sees several answers to an opening question, chooses one, asks on, and
from then on chooses between two answers a turn. The chosen answer of a turn is paired with every
other one and becomes part of the next prompt; so the pairs of a turn share it, and the pairs of a
conversation share their `group`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, survey, topics
from plt.data.simulate.world.interview import Corpus
from plt.data.simulate.world.survey import ROUNDING, FloatArray
from plt.errors import UsageError

MAX_TRIES = 200
MAX_RESPONSES = 1000
MAX_TURNS = 100
LATER_RESPONSES = 2

Write: TypeAlias = Callable[[int, int], str]
"""Called as write(prompt, how many answers there are already); gives a further answer."""
Read: TypeAlias = Callable[[Sequence[str]], FloatArray]
"""Features of shape (n, J) of n texts of any origin."""


@dataclass(frozen=True)
class TopicSurvey(survey.Survey):
    """A survey about everyday skills.

    Attributes:
        prompts: Number of different (opening) prompts.
        responses: Number of different answers to each.
        turns: 1 asks about single answers: pairs are drawn from all `prompts * responses` texts.
            More make conversations of so many turns. Then `overlap` is 1 and `repeats` 0, since
            nobody shares a conversation; a person has as many conversations as come nearest to
            `pairs_per_user`; `noise` is the probability that a random other answer is chosen; and
            ties cannot be skipped.
    """

    prompts: int = 75
    responses: int = 4
    turns: int = 1

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = [
            *super().problems(),
            *survey.whole(
                self,
                prompts=(1, topics.MAX_PROMPTS),
                responses=(2, MAX_RESPONSES),
                turns=(1, MAX_TURNS),
            ),
        ]
        if self.turns != 1:
            wanted = {"overlap": self.overlap == 1, "repeats": self.repeats == 0}
            found += [
                f"{name} is {getattr(self, name)}; conversations need {name}={int(name < 'p')}"
                for name, right in wanted.items()
                if not right
            ]
            if self.ties == "skip":
                found.append("ties is 'skip'; conversations need ties=label or ties=coin")
            if self.labels == "soft":
                found.append("labels is 'soft'; in conversations somebody chooses: hard or sampled")
        return found


def different(write: Write, prompt: int, count: int) -> list[str]:
    """So many different answers to one prompt.

    Raises:
        UsageError: There are not so many.
    """
    texts: dict[str, None] = {}
    for _ in range(count * MAX_TRIES):
        if len(texts) == count:
            break
        texts[write(prompt, len(texts))] = None
    if len(texts) < count:
        raise UsageError(
            f"there are no {count} different responses to '{topics.question(prompt)}'",
            hint=f"lower responses to {len(texts)} and raise prompts instead",
        )
    return list(texts)


def ask_message(content: str) -> dict[str, str]:
    """A question as a message."""
    return {"role": "user", "content": content}


def corpus(prompts: int, responses: int, write: Write) -> Corpus:
    """Answers to the first prompts of `topics`."""
    asked = [[ask_message(topics.question(prompt))] for prompt in range(prompts)]
    texts = [text for prompt in range(prompts) for text in different(write, prompt, responses)]
    return Corpus(asked, texts, np.repeat(np.arange(prompts), responses))


def ask(config: TopicSurvey, write: Write, read: Read, weights: FloatArray) -> pl.DataFrame:
    """Asks everybody; raw judgements for `interview.finish`.

    Args:
        config: How people are asked.
        write: Makes answers.
        read: Features of answers; the true reward is read(texts) @ weights of the person.
        weights: Shape (users, J).

    Raises:
        UsageError: The texts do not make as many different pairs as were asked for.
    """
    if config.turns > 1:
        return _converse(config, write, read, weights)
    texts = corpus(config.prompts, config.responses, write)
    return interview.interview(config, texts, read(texts.responses), weights)


def _converse(config: TopicSurvey, write: Write, read: Read, weights: FloatArray) -> pl.DataFrame:
    """Simulates conversations; their answers are written first, then chosen from."""
    sizes = [config.responses, *[LATER_RESPONSES] * (config.turns - 1)]
    each = max(1, round(config.pairs_per_user / (sum(sizes) - config.turns)))
    order = survey.generator(config.seed, "conversations").permutation(config.prompts)
    openings = np.resize(order, config.users * each)
    written = [[different(write, int(prompt), size) for size in sizes] for prompt in openings]
    texts = [text for turns in written for turn in turns for text in turn]
    rewards = np.einsum(
        "ncj,nj->nc", read(texts).reshape(len(openings), sum(sizes), -1), weights.repeat(each, 0)
    )
    rng = survey.generator(config.seed, "answers")
    prompts, pairs, labels, slots = [], [], [], []
    for number, prompt in enumerate(openings):
        history = [ask_message(topics.question(int(prompt)))]
        start = 0
        for turn, size in enumerate(sizes):
            if turn:
                history = [*history, ask_message(topics.follow_up(rng))]
            prompts.append(history)
            reward = rewards[number, start : start + size]
            chosen = choose(config, reward, rng)
            others = [i for i in range(size) if i != chosen]
            base = number * sum(sizes) + start
            pairs += [(base + chosen, base + other) for other in others]
            tied = np.abs(reward[chosen] - reward[others]) <= config.tie_below + ROUNDING
            labels += list(np.where(tied & (config.ties == "label"), 0.5, 1.0))
            slots += [number] * len(others)
            history = [*history, {"role": "assistant", "content": texts[base + chosen]}]
            start += size
    turn_of_text = np.repeat(np.arange(len(prompts)), np.tile(sizes, len(openings)))
    made = Corpus(prompts, texts, turn_of_text)
    slot = np.array(slots)
    users = pl.Series(survey.user_ids(config.users)).gather(slot // each)
    raw = interview.judgements(made, np.array(pairs), np.array(labels), users)
    number_of = pl.Series(slot % each + 1).cast(pl.String)
    return raw.with_columns(group=pl.concat_str("user_id", pl.lit("-c"), number_of))


def choose(config: TopicSurvey, reward: FloatArray, rng: np.random.Generator) -> int:
    """Which of several answers the person takes: the best, or one by Plackett and Luce.

    Args:
        config: Its `labels`, `scale` and `noise` are used.
        reward: True rewards of shape (k,).
        rng: Draws.
    """
    utility = reward + ROUNDING * rng.random(len(reward))
    if config.labels == "sampled":
        utility = config.scale * reward + rng.gumbel(size=len(reward))
    best = int(np.argmax(utility))
    if rng.random() < config.noise:
        return int(rng.choice([i for i in range(len(reward)) if i != best]))
    return best
