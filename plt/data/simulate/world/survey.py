"""How a population is asked: the fields that all simulators share, the people, the truth."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.errors import DataError, UsageError

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]

Ties = Literal["skip", "label", "coin"]
Labels = Literal["sampled", "hard", "soft"]
MANY = 1_000_000
ROUNDING = 1e-9  # rewards are sums of a few products: a smaller difference is no difference


@dataclass(frozen=True)
class Survey:
    """How a population is asked; every simulator's `Config` begins with these fields.

    Attributes:
        users: Number of people.
        pairs_per_user: Different pairs that each person judges.
        overlap: Mean number of people who judge a pair, from 1 (nobody shares a pair) to `users`
            or anything above it (everybody judges the same pairs). The pool has users *
            pairs_per_user / overlap pairs, rounded up. Every pair of it has `overlap` judges,
            rounded down or up. Where ties are skipped some pairs have more and some fewer, and
            the pool grows until everybody finds enough pairs in it.
        repeats: Share of a person's pairs that are judged a second time (occurrence 1), afresh.
        ties: What happens to pairs whose true rewards differ by no more than `tie_below`: they are
            never asked (``skip``), get the label 0.5 (``label``) or that of a coin (``coin``).
        tie_below: The largest difference of true rewards that a person does not notice.
        labels: ``sampled`` from Bradley-Terry, ``hard`` (whoever has the higher true reward), or
            ``soft`` (the probability itself).
        scale: P(first preferred) = sigmoid(scale * difference of true rewards); ties of the kind
            ``label`` and labels of the kind ``hard`` do not use it.
        noise: Probability that a finished label is turned round. At 0.5 every label is a fair
            coin, independent of everything. A label 0.5 stays.
        seed: Of everything that is drawn.
    """

    users: int = 84
    pairs_per_user: int = 50
    overlap: float = 10.0
    repeats: float = 0.2
    ties: Ties = "skip"
    tie_below: float = 0.0
    labels: Labels = "sampled"
    scale: float = 3.0
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise UsageError(
                "the population cannot be simulated", problems=problems, hint="plt ls datasets"
            )

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *whole(self, users=(1, MANY), pairs_per_user=(1, MANY), seed=(0, 2**64 - 1)),
            *within(
                self, overlap=(1, math.inf), repeats=(0, 1), noise=(0, 0.5),
                tie_below=(0, math.inf), scale=(0, math.inf),
            ),
            *among(self, ties=get_args(Ties), labels=get_args(Labels)),
        ]  # fmt: skip


def whole(config: object, **ranges: tuple[int, int]) -> list[str]:
    """Which of the named fields are not whole numbers in the given closed range."""
    found = [(name, getattr(config, name), limits) for name, limits in ranges.items()]
    return [
        f"{name} is {value!r}; it must be a whole number from {low} to {high:,}"
        for name, value, (low, high) in found
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high
    ]


def within(config: object, **ranges: tuple[float, float]) -> list[str]:
    """Which of the named fields are not finite numbers in the given closed range."""
    problems = []
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and low <= value <= high):
            limits = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
            problems.append(f"{name} is {value!r}; it must be a number {limits}")
    return problems


def among(config: object, **known: Sequence[object]) -> list[str]:
    """Which of the named fields are none of the known values."""
    found = [(name, getattr(config, name), words) for name, words in known.items()]
    return [
        f"{name} is {value!r}; known are {', '.join(map(str, words))}"
        for name, value, words in found
        if value not in words
    ]


def generator(seed: int, stage: str) -> np.random.Generator:
    """The random numbers of one stage: another stage's draws never shift them."""
    return np.random.default_rng(np.random.SeedSequence([seed, *stage.encode()]))


Item = TypeVar("Item")


def pick(items: Sequence[Item], rng: np.random.Generator) -> Item:
    """One of them, each with equal chance."""
    return items[int(rng.integers(len(items)))]


def user_name(index: int, count: int) -> str:
    """``u001`` for index 0; wider where there are more than 999 people."""
    return f"u{index + 1:0{max(3, len(str(count)))}d}"


def user_ids(count: int) -> list[str]:
    """The names of so many people, in order."""
    return [user_name(index, count) for index in range(count)]


def user_index(user_id: str, count: int) -> int:
    """The position of a simulated person.

    Raises:
        UsageError: Nobody has that name.
    """
    digits = user_id[1:]
    index = int(digits) - 1 if digits.isdecimal() else -1
    if not (0 <= index < count and user_name(index, count) == user_id):
        raise UsageError(
            f"there is no user '{user_id}'; they are {user_name(0, count)} to"
            f" {user_name(count - 1, count)}"
        )
    return index


def user_frame(config: Survey, **columns: Sequence[Any]) -> pl.DataFrame:
    """A `users/1` frame; `columns` are `profile` and what starts with ``attr_``."""
    frame = pl.DataFrame({"user_id": user_ids(config.users), **columns})
    return frame if "profile" in columns else frame.with_columns(profile=pl.lit(None, pl.String))


ConfigType = TypeVar("ConfigType", bound=Survey)


def truth_of(simulator: str, config: Survey, **constants: Any) -> dict[str, Any]:
    """What `Meta.truth` holds: the simulator, every parameter, the seed, and fitted constants."""
    parameters = dataclasses.asdict(config)
    seed = parameters.pop("seed")
    return {"simulator": simulator, "parameters": parameters, "seed": seed, **constants}


def config_of(config: type[ConfigType], truth: Mapping[str, Any], simulator: str) -> ConfigType:
    """The inverse of `truth_of`.

    Raises:
        DataError: The truth is that of another simulator or has unknown parameters.
    """
    if truth.get("simulator") != simulator:
        raise DataError(f"this truth is of '{truth.get('simulator')}', not of '{simulator}'")
    parameters = {**truth["parameters"], "seed": truth["seed"]}
    unknown = sorted(parameters.keys() - {field.name for field in dataclasses.fields(config)})
    if unknown:
        raise DataError(f"the simulator '{simulator}' has no parameter {', '.join(unknown)}")
    return config(**parameters)
