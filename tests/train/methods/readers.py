"""What the tests of the methods that read judgements share: toy people and exact ceilings."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import polars as pl
import torch
from scipy.stats import binom

from plt.data.tables.preferences import Preferences
from plt.train.in_context.episodes import ContextNetwork, Episodes, learn
from plt.train.in_context.history import ContextScorer, History, Pairs
from plt.train.in_context.settings import ContextSettings
from plt.train.judgements import distinct_texts
from plt.train.method import FloatArray, MarginScorer, silent
from tests.train.methods.tables import table

Network = TypeVar("Network", bound=ContextNetwork)
N_NEW, N_ASKED = 1500, 8


def pairs(people: int, n: int, seed: int, width: int = 4) -> Pairs:
    """Random pairs with hard labels, all of them present."""
    rng = np.random.default_rng(seed)
    a, b = torch.from_numpy(rng.standard_normal((2, people, n, width)))
    label = torch.from_numpy(rng.integers(0, 2, (people, n)).astype(float))
    return Pairs(a, b, label, torch.ones(people, n, dtype=torch.bool))


def nice_margins(method: MarginScorer, prefs: Preferences, user: str | None) -> FloatArray:
    """Of the nice answer over the cold one, for every pair of the table."""
    texts, a, b = distinct_texts(prefs.pairs)
    nice = np.array(["thank you" in text or "!" in text for text in texts.responses])
    a, b = np.where(nice[a], a, b), np.where(nice[a], b, a)
    return method.margin(texts, a, b, [user] * len(a))


def double_of(prefs: Preferences, user: str, name: str, *, turned: bool) -> Preferences:
    """A person's judgements under another name, turned round or not."""
    own = prefs.filter(pl.col("user_id").cast(pl.String) == user)
    label = 1 - pl.col("label") if turned else pl.col("label")
    renamed = pl.lit(name).cast(own.votes.schema["user_id"])
    return dataclasses.replace(own, votes=own.votes.with_columns(user_id=renamed, label=label))


def newcomer(name: str, likes_nice: float) -> Preferences:
    """Four answers about texts that the tables of `tests.train.methods.tables` do not have."""
    words = (("walk", "rule"), ("song", "form"), ("meal", "lock"), ("view", "fine"))
    return table(
        [
            (name, f"what a wonderful and lovely {one}, thank you",
             f"the {other} is specified in section two", likes_nice)
            for one, other in words
        ]
    )  # fmt: skip


def history(a: FloatArray, b: FloatArray, label: FloatArray) -> History:
    """U people who each judged n pairs of texts of their own, features (U, n, d)."""
    people, n, width = a.shape
    texts = np.arange(people * n, dtype=np.int64)
    digests = np.random.default_rng(0).integers(0, 256, (2 * people * n, 16))
    return History(
        users=tuple(f"user {user:04d}" for user in range(people)),
        starts=np.arange(people + 1, dtype=np.int64) * n,
        a=texts,
        b=texts + people * n,
        label=label.reshape(-1),
        digests=digests.astype(np.uint8),
        vectors=np.concatenate([a, b]).reshape(-1, width).astype(np.float32),
    )


def mirrored(people: int, n: int, flips: float, seed: int) -> tuple[FloatArray, ...]:
    """Features of a and b (U, n, 4), labels with flips, and without, (U, n).

    The first feature is what the two types disagree on, -1 or 1; the others are noise.
    """
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, people, n, 4))
    side = rng.choice([-1.0, 1.0], (people, n))
    a[..., 0], b[..., 0] = side, -side
    taste = rng.permutation(np.where(np.arange(people) % 2, 1.0, -1.0))
    wants = (side * taste[:, None] > 0).astype(float)
    given = np.where(rng.random((people, n)) < flips, 1 - wants, wants)
    return a, b, given, wants


def mirrored_people(people: int, n: int, flips: float, seed: int) -> History:
    """The population of O-5."""
    a, b, given, _ = mirrored(people, n, flips, seed)
    return history(a, b, given)


def trained(network: Network, people: History, settings: ContextSettings) -> Network:
    """The network after all passes of a fit, where nobody is held out; float64."""
    epochs = settings.passes(len(people.users))
    learn(network, Episodes(people, settings, 0), epochs, 0, silent)
    network.double().requires_grad_(False)
    return network


def accuracies(network: ContextScorer, flips: float, sizes: Sequence[int]) -> dict[int, float]:
    """Accuracy on flipped answers of new people after so many answers; 12,000 of each size."""
    found = {}
    for n in sizes:
        a, b, given, _ = (
            torch.from_numpy(part) for part in mirrored(N_NEW, n + N_ASKED, flips, seed=1 + n)
        )
        present = torch.ones(N_NEW, n, dtype=torch.bool)
        context = Pairs(a[:, :n], b[:, :n], given[:, :n], present)
        with torch.no_grad():
            margins = network.margins(context, a[:, n:], b[:, n:])
        found[n] = float(((margins > 0) == (given[:, n:] > 0.5)).double().mean())
    return found


def ceiling(n: int, flips: float) -> float:
    """The best accuracy after n answers: the majority of them is right with probability q."""
    right = binom(n, 1 - flips)
    q = right.sf(n / 2) + (right.pmf(n // 2) / 2 if n % 2 == 0 else 0.0)
    return float((1 - flips) * q + flips * (1 - q))


def prototypes(context: Pairs) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Margins by closeness to the mean of the preferred rather than that of the other texts."""
    first = (context.label > 0.5)[..., None]
    won = torch.where(first, context.a, context.b).mean(dim=1, keepdim=True)
    lost = torch.where(first, context.b, context.a).mean(dim=1, keepdim=True)

    def nearness(x: torch.Tensor) -> torch.Tensor:
        return (x - lost).square().sum(-1) - (x - won).square().sum(-1)

    return lambda a, b: nearness(a) - nearness(b)
