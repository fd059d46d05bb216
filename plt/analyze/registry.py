"""METRICS: every figure that plt knows, as facts that need no import.

Adding one is a file in `metrics/` and one entry here. Metrics of kind ``scores`` are functions
``(EvaluationRows, average) -> Interval`` and are computed in every run; those of kind ``votes`` are
figures of `dataset-stats`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from plt.analyze.uncertainty import Average


@dataclass(frozen=True)
class MetricCard:
    """The facts about a metric.

    Attributes:
        target: ``module:function``.
        summary: One line for `plt ls metrics`.
        paper: Where it is defined.
        kind: ``scores`` (of a model on judgements) or ``votes`` (of the judgements themselves).
        higher_is_better: Direction; None where there is none.
        averages: For ``scores``: the units of the mean that it is reported in.
    """

    target: str
    summary: str
    paper: str
    kind: Literal["scores", "votes"]
    higher_is_better: bool | None = None
    averages: tuple[Average, ...] = ()


METRICS: dict[str, MetricCard] = {
    "accuracy": MetricCard(
        "plt.analyze.metrics.accuracy:accuracy",
        "share of judgements whose preferred response gets the higher reward (strict >)",
        "Dong et al. 2025, section 3",
        "scores",
        True,
        ("user", "pair"),
    ),
    "worst_user_accuracy": MetricCard(
        "plt.analyze.metrics.accuracy:worst_user",
        "the lowest accuracy of any user",
        "Dong et al. 2025, section 4",
        "scores",
        True,
        ("user",),
    ),
    "log_loss": MetricCard(
        "plt.analyze.metrics.calibration:log_loss",
        "mean of -log sigma(margin of the preferred response); 0.693 is a coin",
        "Bradley & Terry 1952",
        "scores",
        False,
        ("user", "pair"),
    ),
    "auc": MetricCard(
        "plt.analyze.metrics.calibration:auc",
        "P(a pair whose `a` is preferred has the higher margin)",
        "Hanley & McNeil 1982",
        "scores",
        True,
        ("pair",),
    ),
}


def load_metric(card: MetricCard) -> Callable[..., Any]:
    """The function behind a card."""
    module, _, name = card.target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
