"""A finished run as something that scores: what `plt score` and `plt.load` use."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.run import CONFIG, MODEL, Run, load_run
from plt.data.tables.preferences import Preferences
from plt.errors import ArtifactError
from plt.train.judgements import support_view
from plt.train.method import Compute, Method, Progress, TrainContext, silent
from plt.train.models.source import resolve_model
from plt.train.registry import load_class, method_card
from plt.train.runs.scoring import Label, Scores, score_pairs

POPULATION = "population"


@dataclass(frozen=True)
class FittedRun:
    """A run and its fitted method.

    Attributes:
        run: The run directory and its manifest.
        method: What was fitted.
        whom: Of a model that was adapted to new people, these people; None is whom it knows.
        told: What such a model was told of them, for its name.
    """

    run: Run
    method: Method
    whom: tuple[str, ...] | None = None
    told: str = ""

    @property
    def name(self) -> str:
        """Method and run id, and what it was told since."""
        name = f"{self.run.identity.method}-{self.run.run_id}"
        return f"{name} ({self.told})" if self.told else name

    @property
    def users(self) -> Sequence[str]:
        """Whom it is asked for: everybody else gets the population's reward."""
        return self.method.users if self.whom is None else self.whom

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what was asked for and of the files that came out."""
        facts = [self.run.identity.to_json(), self.run.record.get("outputs"), self.told]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def score(self, prefs: Preferences, as_user: str | None = None) -> Scores:
        """Scores every judgement of a table; labels are not needed.

        Args:
            prefs: Whose pairs.
            as_user: Score every row as this user; ``population`` is nobody in particular.

        Raises:
            UsageError: The method does not know `as_user`.
        """
        identity = self.run.identity
        label = Label(self.run.run_id, identity.method, identity.seed)
        scored_as = None
        if as_user is not None:
            whose = None if as_user == POPULATION else as_user
            scored_as = dict.fromkeys(prefs.votes["user_id"].unique().to_list(), whose)
        return score_pairs(self.method, prefs, label, scored_as=scored_as)

    def introduced(
        self, prefs: Preferences, people: pl.DataFrame | None, work: Path
    ) -> "FittedRun":
        """The run, knowing what strangers in a table say of themselves: no answer of theirs.

        A method that reads no such words, and people without any, stay as they were.

        Args:
            prefs: Who is to be scored.
            people: A `users/1` table, of which only profiles are read; None for those in `prefs`.
            work: A folder that the method may write to.
        """
        names = pl.Series(self.strangers(prefs), dtype=pl.String)
        new = prefs.filter(pl.col("user_id").cast(pl.String).is_in(names.implode()))
        if not new.votes.height:
            return self
        silent_votes = new.votes.with_columns(label=pl.lit(None, dtype=pl.Float32))
        alone = replace(new, votes=silent_votes, pairs=new.pairs.head(0))
        compute = getattr(self.method, "compute", None) or Compute()
        ctx = TrainContext(self.run.identity.seed, work, compute, people)
        return replace(self, method=self.method.adapt(support_view(alone, people), ctx))

    def strangers(self, prefs: Preferences) -> list[str]:
        """The users of a table whom the method does not know; empty for user-blind methods."""
        known = set(self.method.users)
        if not known:
            return []
        judges = prefs.votes["user_id"].drop_nulls().unique().to_list()
        return sorted(user for user in judges if user not in known)


def model_fingerprint(settings: Mapping[str, object], progress: Progress = silent) -> str | None:
    """The fingerprint of the backbone that a config names, or None when it names none.

    Args:
        settings: The resolved config of a method.
        progress: Told of it where an embedded model must be made first.

    Raises:
        ArtifactError: The model is not there, or not one that plt loads.
    """
    name = settings.get("model")
    return resolve_model(name, progress).fingerprint if isinstance(name, str) else None


def _without_model(run: Run) -> ArtifactError:
    """Why a run holds no model, and where the model stands that it is about."""
    trained = run.record.get("trained")
    if run.identity.command == "train" or not isinstance(trained, dict):
        return ArtifactError(f"{run.path} holds no model", hint="plt train DATA --method METHOD")
    command = run.identity.command
    return ArtifactError(
        f"{run.path} is a run of plt {command} and holds no model: that stands in the run which it"
        f" measured, {trained['run']}",
        hint=f"plt {command} {trained['run']}",
    )


def load_fitted_run(path: Path, compute: Compute | None = None) -> FittedRun:
    """Loads a finished run.

    Raises:
        ArtifactError: It is no finished run, or was made by a method that no longer exists.
    """
    run = load_run(path)
    if not (path / MODEL).is_dir():
        raise _without_model(run)
    compute = compute or Compute()
    trained_on = run.identity.inputs.get("model")
    settings = run.identity.config.get("set", {})
    if trained_on is not None and model_fingerprint(settings, compute.progress) != trained_on:
        raise ArtifactError(
            f"{settings['model']} holds other weights than when {path} was trained",
            hint=f"plt train --config {path / CONFIG}",
        )
    method_class = load_class(method_card(run.identity.method).target)
    loader: Any = method_class  # what a card names is a Method; the contract suite checks it
    method: Method = loader.load(path / MODEL, compute)
    return FittedRun(run, method)
