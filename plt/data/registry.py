"""DATASETS and SIMULATORS: every name that DATA may be, as facts that need no import.

A name is `dataset` or `dataset:variant`; `synthetic:*` names are the simulators at their defaults.
Adding one is a file in `sources/` or `simulate/` and one entry here.
"""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plt.errors import UsageError

SYNTHETIC = "synthetic:"


@dataclass(frozen=True)
class DatasetCard:
    """The facts about a named source.

    Attributes:
        target: ``module`` of the source; it has `load(raw, variant)` and the hub constants.
        summary: One line for `plt ls datasets`.
        paper: Who published it, with year.
        license: Licence of the texts.
        variants: Pinned variants behind the colon, each with one line.
    """

    target: str
    summary: str
    paper: str
    license: str
    variants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SimulatorCard:
    """The facts about a simulator.

    Attributes:
        target: ``module`` with a frozen dataclass `Config` and `simulate(config)`.
        summary: One line for `plt ls datasets`.
        paper: Where the population comes from.
    """

    target: str
    summary: str
    paper: str


SIMULATORS: dict[str, SimulatorCard] = {
    "attributes": SimulatorCard(
        "plt.data.simulate.attributes",
        "people who care for two traits of seven attributes",
        "Shenfeld et al. 2025 (PReF)",
    ),
    "dirichlet": SimulatorCard(
        "plt.data.simulate.dirichlet",
        "people who mix ten rewards with Dirichlet weights",
        "Zollo et al. 2024 (PersonalLLM)",
    ),
    "mirrored": SimulatorCard(
        "plt.data.simulate.mirrored",
        "two kinds of people with opposite taste",
        "Li et al. 2024 (P-RLHF), Lemma 3.3",
    ),
    "noise": SimulatorCard(
        "plt.data.simulate.noise",
        "one taste for everybody and noise: nothing to personalise",
        "baseline",
    ),
    "length": SimulatorCard(
        "plt.data.simulate.length",
        "workers who want longer or shorter summaries",
        "Li et al. 2024 (P-RLHF), section 5.1",
    ),
    "pets": SimulatorCard(
        "plt.data.simulate.pets",
        "people who like dogs or cats, and rabbits or birds out of distribution",
        "Poddar et al. 2024 (VPL)",
    ),
    "low-rank": SimulatorCard(
        "plt.data.simulate.low_rank",
        "rewards of known rank in readable features",
        "Shenfeld et al. 2025 (PReF)",
    ),
}
DATASETS: dict[str, DatasetCard] = {
    "prism": DatasetCard(
        "plt.data.sources.prism",
        "people from 75 countries score the answers of several models",
        "Kirk et al. 2024",
        "CC-BY-4.0 (human texts), CC-BY-NC-4.0 (model texts)",
        {
            "prlhf": "users and conversations divided as by Li et al. 2024",
            "lore": "as by Bose et al. 2025",
            "plus": "as by Nam et al. 2025",
        },
    ),
    "tldr": DatasetCard(
        "plt.data.sources.tldr",
        "which of two summaries a named worker prefers",
        "Stiennon et al. 2020",
        "modified MIT (comparisons), CC-BY-4.0 (posts)",
        {
            "top5": "the five workers with most rows",
            "length-top10": "ten workers with simulated taste for length",
            "length-top40": "forty workers with simulated taste for length",
        },
    ),
    "psoups": DatasetCard(
        "plt.data.sources.psoups",
        "six personas that disagree by instruction",
        "Jang et al. 2023",
        "unknown (research release)",
    ),
    "personalllm": DatasetCard(
        "plt.data.sources.personalllm",
        "eight answers a prompt, scored by ten reward models",
        "Zollo et al. 2024",
        "CC-BY-4.0",
        {
            "archetypes": "ten users, each one reward model",
            "dirichlet": "1,000 users who mix the ten",
        },
    ),
    "ultrafeedback-p": DatasetCard(
        "plt.data.sources.ultrafeedback_p",
        "four users who care for one attribute each",
        "Poddar et al. 2024 (VPL)",
        "MIT",
        {
            "p2": "the users helpfulness and honesty",
            "p4": "all four",
            "p2-controversial": "pairs on which the two differ",
            "p4-controversial": "pairs on which the four differ",
        },
    ),
    "hh": DatasetCard(
        "plt.data.sources.hh",
        "helpful and harmless transcripts, without user ids",
        "Bai et al. 2022",
        "MIT",
        {"harmless": "harmless-base alone", "helpful": "the helpful subsets"},
    ),
    "rewardbench": DatasetCard(
        "plt.data.sources.rewardbench",
        "2,985 checked pairs in four sections, without users",
        "Lambert et al. 2024",
        "ODC-BY-1.0",
        {"s0": "the raw split, as Dong et al. 2025 measured on it"},
    ),
    "rewardbench2": DatasetCard(
        "plt.data.sources.rewardbench2",
        "1,865 items: the best of four answers, and several correct ones; without users",
        "Malik et al. 2025",
        "ODC-BY-1.0",
    ),
    "rm-bench": DatasetCard(
        "plt.data.sources.rm_bench",
        "correct and wrong answers in three styles each, easy to hard; without users",
        "Liu et al. 2025",
        "ODC-BY-1.0",
    ),
    "jester": DatasetCard(
        "plt.data.sources.jester",
        "5,000 people rate 100 jokes",
        "Goldberg et al. 2001",
        "research use (Eigentaste, UC Berkeley)",
    ),
}


def names() -> list[str]:
    """Every name that DATA may be."""
    variants = [f"{name}:{v}" for name, card in DATASETS.items() for v in card.variants]
    return sorted([*DATASETS, *variants, *(SYNTHETIC + name for name in SIMULATORS)])


def refuse_unknown(kind: str, name: str, known: list[str], hint: str) -> None:
    """Raises a UsageError that names the nearest known name."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    suggestion = f"; did you mean '{near[0]}'?" if near else ""
    raise UsageError(f"there is no {kind} '{name}'{suggestion}", hint=hint)


def simulator(name: str) -> SimulatorCard:
    """The simulator called `name`, with or without ``synthetic:`` in front."""
    bare = name.removeprefix(SYNTHETIC)
    if bare not in SIMULATORS:
        refuse_unknown("simulator", bare, list(SIMULATORS), "plt ls datasets")
    return SIMULATORS[bare]


def dataset(name: str) -> tuple[DatasetCard, str | None]:
    """The card and the variant of ``name`` or ``name:variant``."""
    base, _, variant = name.partition(":")
    card = DATASETS.get(base)
    if card is None or (variant and variant not in card.variants):
        refuse_unknown("dataset", name, names(), "plt ls datasets")
    assert card is not None
    return card, variant or None


def load_module(target: str) -> Any:
    """The module behind a card's target."""
    return importlib.import_module(target)
