"""The shapes of known datasets: how many people judged how much, and how much of it together."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plt.data.simulate.world.survey import ConfigType
from plt.errors import UsageError


@dataclass(frozen=True)
class Shape:
    """The size and design of a dataset.

    Attributes:
        summary: Where the figures come from, in one line.
        fields: Values of the fields of a `Config`.
    """

    summary: str
    fields: Mapping[str, Any]


SHAPES: Mapping[str, Shape] = {
    "prism": Shape(
        "1,396 people, six conversations each of which begins with four answers; nothing shared",
        {
            "users": 1396, "pairs_per_user": 30, "overlap": 1.0, "repeats": 0.0, "ties": "coin",
            "prompts": 8376, "responses": 4, "turns": 3,
        },
    ),
    "tldr": Shape(
        "the ten busiest workers, 28,220 rows in all; that 1.5 of them share a pair is assumed",
        {
            "users": 10, "pairs_per_user": 2822, "overlap": 1.5, "repeats": 0.0, "ties": "coin",
            "prompts": 6300, "responses": 3,
        },
    ),
    "psoups": Shape(
        "six personas and 53,471 rows; that everybody judges every pair is assumed",
        {
            "users": 6, "pairs_per_user": 8912, "overlap": 6.0, "repeats": 0.0, "ties": "coin",
            "prompts": 3000, "responses": 3,
        },
    ),
    "personalllm": Shape(
        "eight reward models judge the same pairs, 333,000 rows in all, eight answers to a prompt",
        {
            "users": 8, "pairs_per_user": 41625, "overlap": 8.0, "repeats": 0.0, "ties": "coin",
            "prompts": 10100, "responses": 8,
        },
    ),
}  # fmt: skip


def apply_shape(config: ConfigType, shape: str) -> ConfigType:
    """A config whose size and design are those of a known dataset; all else stays.

    Args:
        config: Of any simulator that has `prompts` and `responses`, and for PRISM `turns`.
        shape: A name in `SHAPES`.

    Raises:
        UsageError: There is no such shape, or the simulator cannot take it.
    """
    if shape not in SHAPES:
        raise UsageError(
            f"there is no shape '{shape}'; known are {', '.join(SHAPES)}",
            hint="plt dataset-simulate attributes --shape prism",
        )
    wanted = SHAPES[shape].fields
    missing = sorted(wanted.keys() - {field.name for field in dataclasses.fields(config)})
    if missing:
        raise UsageError(
            f"this simulator cannot take the shape '{shape}': it has no {', '.join(missing)}",
            hint=f"plt dataset-simulate attributes --shape {shape}",
        )
    return dataclasses.replace(config, **wanted)
