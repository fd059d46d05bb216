"""Between a base and each person: heads mixed in closed form, or what a method has a path for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from plt.errors import UsageError
from plt.train.method import Dosed, FloatArray, LinearHeads, LinearReward, Method
from plt.train.registry import METHODS, load_class


@dataclass(frozen=True)
class Path:
    """The way from a base to a personal method.

    Attributes:
        at: Share to method: 0 is the base for everybody, 1 the method itself.
        linear: Whether margins at a share are the mixture of those at 0 and 1.
        base: What 0 is, in words.
    """

    at: Callable[[float], Method]
    linear: bool
    base: str


def path_between(method: Method, base: Method | None) -> Path:
    """The way from a base to a method.

    Heads on the same frozen features are mixed, w = (1 - share) w_base + share w_person, which at
    both ends is either to the bit; whom the base does not know has its population. Without a
    `base` it is the method's own generic user. Others move along a path of their own.

    Raises:
        UsageError: There is no such way; which methods have one is said.
    """
    heads = method.linear() if isinstance(method, LinearReward) else None
    if isinstance(method, LinearReward) and heads is not None and heads.users:
        start = heads.weights[[-1] * len(heads.weights)] if base is None else _start(heads, base)
        linear, weights = method, heads.weights

        def mixed(share: float) -> Method:
            return cast(Method, linear.with_linear((1 - share) * start + share * weights))

        mixed(0.0)  # whether the method can hold the base's heads is said now
        what = "its own generic user" if base is None else "the run that --base names"
        return Path(mixed, True, what)
    if base is None and isinstance(method, Dosed) and method.at(1.0) is not None:
        own: Dosed = method

        def moved(share: float) -> Method:
            return cast(Method, own.at(share))

        return Path(moved, False, "where its users begin: the generic user, or the model itself")
    if base is not None and isinstance(method, Dosed) and method.at(1.0) is not None:
        raise UsageError(
            "this run's users move from where they began, and not from another run",
            hint="plt dose RUN, without --base",
        )
    raise _no_path(method)


def _start(heads: LinearHeads, base: Method) -> FloatArray:
    """The base's head of each user and of everybody else, (U + 1, d)."""
    other = base.linear() if isinstance(base, LinearReward) else None
    if other is None:
        raise UsageError(
            "the base has no heads on frozen features, so nothing lies between it and the run",
            hint="plt train DATA --method bradley-terry --tune head",
        )
    if other.features != heads.features:
        raise UsageError(
            "the base reads other features than the run, so their heads cannot be mixed",
            problems=[f"{model}, window {window or 'its own'}"
                      for model, window in (heads.features, other.features)],
            hint="plt dose RUN --base RUN of the same --model and --max-length",
        )  # fmt: skip
    known = {name: place for place, name in enumerate(other.users)}
    places = [known.get(name, len(other.users)) for name in heads.users]
    return np.asarray(other.weights[[*places, len(other.users)]])


def _no_path(method: Method) -> UsageError:
    why = "its users are set apart by nothing that can be taken in part"
    if not method.users:
        why = "it scores everybody alike"
    return UsageError(
        f"nothing lies between this run and its base: {why}",
        problems=[
            "these can, fitted as heads: " + ", ".join(able(LinearReward)),
            "these too, by soft tokens or (from a reward model) adapters: "
            + ", ".join(able(Dosed)),
            "not where what people say of themselves is read, nor after full fine-tuning",
        ],
        hint="plt train DATA --method individual",
    )


def able(protocol: type) -> Sequence[str]:
    """The personal methods whose class has an ability, by name."""
    return [
        name
        for name, card in METHODS.items()
        if card.personal and isinstance(load_class(card.target), type)
        and all(hasattr(load_class(card.target), part) for part in _parts(protocol))
    ]  # fmt: skip


def _parts(protocol: type) -> Sequence[str]:
    return ("linear", "with_linear") if protocol is LinearReward else ("at",)
