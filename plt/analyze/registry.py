"""METRICS: every figure that plt knows, as facts that need no import.

Adding one is a file in `metrics/` and one entry here. Metrics of kind ``scores`` are functions
``(EvaluationRows, average) -> Interval`` and are computed in every run; those of kind ``votes`` are
functions of `plt.analyze.votes.votes.Votes` and make up `dataset-stats`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from plt.analyze.intervals.uncertainty import Average


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
        "plt.analyze.scores.accuracy:accuracy",
        "share of judgements whose preferred response gets the higher reward; no opinion is 1/2",
        "Dong et al. 2025, section 3",
        "scores",
        True,
        ("user", "pair"),
    ),
    "worst_user_accuracy": MetricCard(
        "plt.analyze.scores.accuracy:worst_user",
        "the lowest accuracy of any user",
        "Dong et al. 2025, section 4",
        "scores",
        True,
        ("user",),
    ),
    "worst_decile_accuracy": MetricCard(
        "plt.analyze.scores.worst_decile:worst_decile",
        "mean accuracy of the least served tenth of the users, noise taken out",
        "Louis 1984; Dong et al. 2025, section 4",
        "scores",
        True,
        ("user",),
    ),
    "minority_accuracy": MetricCard(
        "plt.analyze.scores.subgroups:minority_accuracy",
        "accuracy for users who vote against the majority in training and validation rows",
        "Dong et al. 2025, section 4",
        "scores",
        True,
        ("user", "pair"),
    ),
    "known_pairs_accuracy": MetricCard(
        "plt.analyze.scores.subgroups:known_pairs",
        "accuracy on pairs that were judged in training rows",
        "-",
        "scores",
        True,
        ("user", "pair"),
    ),
    "new_pairs_accuracy": MetricCard(
        "plt.analyze.scores.subgroups:new_pairs",
        "accuracy on new pairs of responses that occur in training rows",
        "-",
        "scores",
        True,
        ("user", "pair"),
    ),
    "new_responses_accuracy": MetricCard(
        "plt.analyze.scores.subgroups:new_responses",
        "accuracy on responses that are new, to prompts of training rows",
        "-",
        "scores",
        True,
        ("user", "pair"),
    ),
    "new_prompts_accuracy": MetricCard(
        "plt.analyze.scores.subgroups:new_prompts",
        "accuracy on prompts that no training row has",
        "-",
        "scores",
        True,
        ("user", "pair"),
    ),
    "log_loss": MetricCard(
        "plt.analyze.scores.calibration:log_loss",
        "mean of -log sigma(margin of the preferred response); 0.693 is a coin",
        "Bradley & Terry 1952",
        "scores",
        False,
        ("user", "pair"),
    ),
    "overconfidence": MetricCard(
        "plt.analyze.scores.calibration:overconfidence",
        "mean probability of the answers that a model takes minus the share of right ones",
        "Guo et al. 2017",
        "scores",
        None,
        ("user", "pair"),
    ),
    "auc": MetricCard(
        "plt.analyze.scores.calibration:auc",
        "P(a pair whose `a` is preferred has the higher margin)",
        "Hanley & McNeil 1982",
        "scores",
        True,
        ("pair",),
    ),
    "divergence": MetricCard(
        "plt.analyze.votes.divergence:divergence",
        "shares of shared pairs on which any two differ, and on which 30 % or more dissent",
        "Dong et al. 2025, section 3",
        "votes",
    ),
    "majority_vote": MetricCard(
        "plt.analyze.votes.majority:majority_vote",
        "MV-ACC: how often each user votes with the majority, own vote counted and left out",
        "Dong et al. 2025, section 3",
        "votes",
        True,
    ),
    "minority_users": MetricCard(
        "plt.analyze.votes.majority:minority_users",
        "who votes against the majority more often than a coin would (FDR 2.5 %)",
        "Benjamini & Hochberg 1995",
        "votes",
    ),
    "krippendorff_alpha": MetricCard(
        "plt.analyze.votes.agreement:krippendorff_alpha",
        "nominal alpha of the votes, averaged over which response is called `a`",
        "Krippendorff 2011",
        "votes",
        True,
    ),
    "agreement": MetricCard(
        "plt.analyze.votes.agreement:agreement",
        "how often two users choose the same response: pooled, and mean over pairs",
        "Dong et al. 2025, section 3",
        "votes",
        True,
    ),
    "consistency": MetricCard(
        "plt.analyze.repeats.consistency:consistency",
        "self-agreement on repeats, Cronbach's alpha, and the ceiling they allow",
        "Cronbach 1951",
        "votes",
        True,
    ),
    "self_and_others": MetricCard(
        "plt.analyze.repeats.self_and_others:self_and_others",
        "self-agreement minus agreement with others on the same pairs: what the verdict rests on",
        "Dong et al. 2025, section 3",
        "votes",
    ),
    "room": MetricCard(
        "plt.analyze.repeats.room:room",
        "bracket of what knowing each user can gain over one answer for all",
        "Dong et al. 2025, section 3",
        "votes",
    ),
    "effective_rank": MetricCard(
        "plt.analyze.votes.effective_rank:effective_rank",
        "directions of the agreement between users, beside permuted labels",
        "Roy & Vetterli 2007",
        "votes",
    ),
    "coverage": MetricCard(
        "plt.analyze.votes.coverage:coverage",
        "how much there is to compare: users, pairs, overlap, repeats",
        "-",
        "votes",
    ),
}


def load_metric(card: MetricCard) -> Callable[..., Any]:
    """The function behind a card."""
    module, _, name = card.target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
