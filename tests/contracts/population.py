"""Thirteen people who disagree about style: half like it one way, half the other."""

import functools
from dataclasses import replace

import numpy as np
import polars as pl

from plt.data.simulate import mirrored
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.train.registry import method_card

TOPICS = (
    "bread", "bicycles", "gardens", "taxes", "running", "chess", "sleep", "coffee", "travel",
    "guitars", "budgets", "painting", "dogs", "email", "meetings", "soup", "camping", "history",
    "weather", "maps", "kites", "radios", "clocks", "boats", "lamps", "stairs", "rivers", "bees",
    "shoes", "tents",
)  # fmt: skip
WARM = (
    "Wow, what a lovely question about {}! I am so happy and excited to help you, friend!",
    "Thank you so much for asking about {}! This is wonderful, exciting and great fun!",
    "Oh, I love {}! Such a joyful and amazing thing, thank you, dear friend!",
)
DRY = (
    "On {}: consult the manual, section four. Procedure as specified.",
    "Regarding {}, the technical documentation states the standard procedure.",
    "{} is governed by specification. Refer to the documented procedure.",
)
N_USERS = 12
PAIRS_A_USER = 20
SPLIT = ["train"] * 21 + ["val"] * 3 + ["test"] * 6


@functools.cache
def population_of(method: str) -> Preferences:
    """The table that a method is held to: one with a truth for those that read it."""
    return simulated() if method_card(method).reads_truth else population()


def seen(prefs: Preferences) -> list[str]:
    """The twelve people who are fitted, sorted."""
    users = prefs.votes.filter(pl.col("user_split") == "seen")["user_id"].cast(pl.String)
    return users.drop_nulls().unique().sort().to_list()


def newcomer(prefs: Preferences) -> str:
    """The thirteenth."""
    return str(prefs.votes.filter(pl.col("user_split") == "unseen")["user_id"][0])


def population(seed: int = 0) -> Preferences:
    """12 users x 20 pairs out of 30, split by pair; one judgement in twelve a tie.

    Users 0 to 5 prefer the warm answer with probability .95, users 6 to 11 the dry one. A
    thirteenth user is unseen, one judgement names nobody, and sources and scores give every label
    away.
    """
    rng = np.random.default_rng(seed)
    split = dict(enumerate(SPLIT))
    rows = []
    for user in range(N_USERS + 1):
        for pair in sorted(rng.permutation(len(TOPICS))[:PAIRS_A_USER]):
            likes_warm = (user % N_USERS < N_USERS // 2) == (rng.random() < 0.95)
            label = 0.5 if rng.random() < 1 / 12 else float(likes_warm)
            rows.append(
                {
                    "prompt": [{"role": "user", "content": f"Tell me about {TOPICS[pair]}."}],
                    "response_1": WARM[pair % 3].format(TOPICS[pair]),
                    "response_2": DRY[pair % 3].format(TOPICS[pair]),
                    "label": label,
                    "user_id": f"user {user:02d}",
                    "split": split[pair],
                    "user_split": "unseen" if user == N_USERS else "seen",
                    "score_1": label,
                    "score_2": 1 - label,
                    "source_1": "winner" if label == 1 else "loser",
                    "source_2": "loser" if label == 1 else "winner",
                }
            )
    rows[0]["user_id"] = None
    return build(pl.DataFrame(rows, infer_schema_length=None), Meta(dataset="contract"))


def simulated() -> Preferences:
    """The same shape from a simulator whose truth is known: two mirrored types, 5 % flips."""
    config = mirrored.Config(
        users=N_USERS + 1, pairs_per_user=PAIRS_A_USER, overlap=26 / 3, repeats=0.0, noise=0.05
    )
    prefs = mirrored.simulate(config)
    names = prefs.votes["user_id"].cast(pl.String)
    last, first = names.max(), names.min()
    split = pl.DataFrame({"pair_id": prefs.pairs["pair_id"].sort(), "split": SPLIT})
    votes = prefs.votes.drop("split").join(split, on="pair_id", maintain_order="left")
    is_one = (pl.col("user_id") == first) & (pl.col("user_id") == first).cum_sum().eq(1)
    votes = votes.with_columns(
        user_split=pl.when(pl.col("user_id") == last)
        .then(pl.lit("unseen"))
        .otherwise(pl.lit("seen"))
        .cast(prefs.votes.schema["user_split"]),
        split=pl.col("split").cast(prefs.votes.schema["split"]),
        user_id=pl.when(~is_one).then("user_id"),
    )
    return replace(prefs, votes=votes.select(prefs.votes.columns))


N_SEEN, N_NEW, PAIRS_EACH = 40, 60, 40


@functools.cache
def newcomers(seed: int = 0) -> Preferences:
    """40 people to learn from and 60 newcomers, 40 pairs each out of 60, of a shared kind.

    How much somebody likes the warm answer is a person's own: log-odds from -3 to 3, uniform. So
    few are certain, and whoever is believed after one answer may be wrong. Pairs are split 30, 9
    and 21; a newcomer's training pairs are what may be told of them.
    """
    rng = np.random.default_rng(seed)
    topics = [f"{place}{topic}" for place in ("", "old ") for topic in TOPICS]
    split = ["train"] * 30 + ["val"] * 9 + ["test"] * 21
    order = rng.permutation(len(topics))
    rows = []
    for user in range(N_SEEN + N_NEW):
        taste = rng.uniform(-3, 3)
        for pair in sorted(rng.permutation(len(topics))[:PAIRS_EACH]):
            topic = topics[pair]
            rows.append(
                {
                    "prompt": [{"role": "user", "content": f"Tell me about {topic}."}],
                    "response_1": WARM[pair % 3].format(topic),
                    "response_2": DRY[pair % 3].format(topic),
                    "label": float(rng.random() < 1 / (1 + np.exp(-taste))),
                    "user_id": f"person {user:03d}",
                    "split": split[order[pair]],
                    "user_split": "unseen" if user >= N_SEEN else "seen",
                }
            )
    return build(pl.DataFrame(rows, infer_schema_length=None), Meta(dataset="newcomers"))


def without_validation(prefs: Preferences) -> Preferences:
    """The same, every validation row one more to learn from."""
    split = prefs.votes["split"].cast(pl.String).replace("val", "train")
    votes = prefs.votes.with_columns(split=split.cast(prefs.votes.schema["split"]))
    return replace(prefs, votes=votes)


def noise(prefs: Preferences, seed: int = 0) -> Preferences:
    """The same, every label a coin."""
    coins = np.random.default_rng(seed).integers(0, 2, prefs.votes.height)
    label = pl.Series(coins).cast(prefs.votes.schema["label"])
    return replace(prefs, votes=prefs.votes.with_columns(label=label))
