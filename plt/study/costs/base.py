"""Which scorer a tax is measured against: the one that was named, else the run's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plt.errors import PltError, UsageError

if TYPE_CHECKING:
    from plt.train.method import Compute, MarginScorer, RewardScorer
    from plt.train.runs.fitted_run import FittedRun
    from plt.train.runs.scoring import Label

Kind: TypeAlias = Literal["run", "model", "generic", "reference", "none"]


@dataclass(frozen=True)
class Base:
    """What a run is compared with.

    Attributes:
        kind: A run, a public reward model, the generic user of the run itself, the reference of a
            policy per token, or nothing.
        name: What it is called.
        why: What it is and why, in a sentence.
        digest: What it is, by content.
        scorer: What scores; None where it is the run itself, or nothing.
        label: What its scores are called; None for nothing.
        users: Whom it knows.
        path: Of a run.
    """

    kind: Kind
    name: str
    why: str
    digest: str
    scorer: RewardScorer | MarginScorer | None = None
    label: Label | None = None
    users: Sequence[str] = ()
    path: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "why": self.why,
            "run_id": None if self.label is None else self.label.run_id,
            "knows_users": bool(self.users),
        }


def find_base(fitted: FittedRun, named: str | None, compute: Compute) -> Base:
    """The base of a run.

    In this order: what is named; the model that the run began from, if it brings a trained scalar
    head; the generic user of a personal method; the reference of a policy, by its log-probability
    per token; else nothing, and then there are scores and no change.

    Args:
        fitted: The run.
        named: A run directory or a model; None for the run's own.
        compute: How to compute.

    Raises:
        UsageError: What is named is neither a run nor a reward model.
    """
    if named is not None:
        return _named(named, compute)
    for found in (_own_model, _generic, _reference):
        base = found(fitted, compute)
        if base is not None:
            return base
    return Base("none", "no base", "none: there are scores and no change (--base RUN)", "none")


def _named(named: str, compute: Compute) -> Base:
    from plt.data.run import MANIFEST
    from plt.study.digests import model_digest
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.runs.scoring import Label, scorer_of

    path = Path(named)
    if (path / MANIFEST).exists():
        fitted = load_fitted_run(path, compute)
        identity = fitted.run.identity
        label = Label(fitted.run.run_id, identity.method, identity.seed)
        return Base(
            "run", fitted.name, f"{fitted.name}, as --base says", model_digest(fitted.run),
            scorer_of(fitted.method), label, fitted.users, path,
        )  # fmt: skip
    try:
        return _model(named, "as --base says", compute, None)
    except PltError as error:
        raise UsageError(
            f"--base {named} is neither a run nor a reward model: {error.message}",
            problems=error.problems,
            hint="plt tax RUN --base runs/bradley-terry-3f9c2a1b0d",
        ) from error


def _model(name: str, why: str, compute: Compute, max_length: int | None) -> Base:
    from plt.train.models.source import resolve_model
    from plt.train.runs.scoring import Label
    from plt.train.runs.tax import public_model

    scorer = public_model(name, compute, max_length)
    mark = resolve_model(name).fingerprint
    label = Label(f"model-{mark[:10]}", "pretrained", 0)
    return Base("model", name, f"{name}, {why}", mark, scorer, label)


def _own_model(fitted: FittedRun, compute: Compute) -> Base | None:
    from plt.train.registry import method_card
    from plt.train.runs.tax import has_trained_head

    settings = fitted.run.identity.config.get("set", {})
    model, reward = settings.get("model"), method_card(fitted.run.identity.method).kind == "reward"
    if not reward or not isinstance(model, str) or not has_trained_head(model):
        return None
    why = "the reward model that the run began from"
    length = settings.get("max_length")  # "auto" where nobody chose one
    return _model(model, why, compute, length if isinstance(length, int) else None)


def _generic(fitted: FittedRun, compute: Compute) -> Base | None:
    from plt.study.digests import model_digest
    from plt.train.runs.scoring import Label

    if not fitted.users:
        return None
    identity = fitted.run.identity
    label = Label(fitted.run.run_id, identity.method, identity.seed)
    why = "the generic user of the run itself: what it gives to people whom it does not know"
    mark = model_digest(fitted.run)
    return Base("generic", f"{identity.method}, generic user", why, mark, None, label)


def _reference(fitted: FittedRun, compute: Compute) -> Base | None:
    from plt.train.runs.scoring import Label
    from plt.train.runs.tax import ReferenceLikelihood, policy_of

    policy = policy_of(fitted.method)
    if policy is None:
        return None
    mark = policy.source.fingerprint
    label = Label(f"reference-{mark[:10]}", "reference", 0)
    why = "the reference that the policy began from, by its log-probability per token"
    scorer = ReferenceLikelihood(policy, compute)
    return Base("reference", f"{policy.source.name}, reference", why, mark, scorer, label)
