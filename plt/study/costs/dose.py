"""The largest share of each person's taste that stays within a budget of tax; a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import ArtifactError, PltError, UsageError
from plt.study.costs.benchmark import Benchmark
from plt.study.costs.scored_users import SAMPLE, chosen_users
from plt.study.digests import digest, model_digest
from plt.study.make_run import Session, settled, watched

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.intervals.uncertainty import Interval
    from plt.analyze.tax.dose import Dose
    from plt.data.identity import Identity
    from plt.data.run import Run
    from plt.data.tables.preferences import Preferences
    from plt.train.method import Progress
    from plt.train.runs.dose import Path as Between
    from plt.train.runs.fitted_run import FittedRun

FINE = tuple(round(0.05 * step, 2) for step in range(21))
COARSE = tuple(round(0.2 * step, 1) for step in range(6))
"""Shares that are tried: many where margins are mixed, few where each costs a pass."""


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        budget: The most that any section may lose, in points.
        base: A run directory; None is where the run's users begin.
        users: How many users are scored on the benchmark; None is all.
    """

    budget: float
    base: str | None = None
    users: int | None = SAMPLE

    @property
    def typed_users(self) -> str:
        """The number of users as it is typed."""
        return "all" if self.users is None else str(self.users)

    def __post_init__(self) -> None:
        if not 0 <= self.budget <= 100:
            raise UsageError(
                f"--max-tax is {self.budget:g}, expected points from 0 to 100", hint="--max-tax 2"
            )


@dataclass(frozen=True)
class DosedRun:
    """A finished run of `plt dose`.

    Attributes:
        method: Registry name.
        trained: The run that was dosed.
        path: The run directory: a run that `score`, `export` and `generate` take.
        run_id: The id of the run.
        document: Base, benchmark, budget, frontier and the chosen share, as the manifest has them.
    """

    method: str
    trained: Path
    path: Path
    run_id: str
    document: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The object that ``plt dose --json`` prints."""
        return {
            "run": str(self.path),
            "run_id": self.run_id,
            "method": self.method,
            "trained": str(self.trained),
            **self.document,
        }


@dataclass(frozen=True)
class _Job:
    trained: Run
    fitted: FittedRun
    between: Between
    users: tuple[str | None, ...]
    benchmark: Benchmark
    budget: float
    own: Preferences | None


def dose_run(
    path: Path,
    asked: Asked,
    benchmark: Benchmark,
    session: Session,
    own: Preferences | None,
) -> DosedRun:
    """Finds the largest share within the budget, and writes the model at that share as a run.

    Args:
        path: A trained run.
        asked: Budget, base and users.
        benchmark: What costs are measured on.
        session: Who is told, folders, seed; its table is the benchmark.
        own: The run's own table, for the accuracy of its people; None where it is not at hand.

    Raises:
        UsageError: Nothing lies between the run and its base; which runs can is said.
        ArtifactError: It is no trained run.
    """
    from plt.data.run import load_run
    from plt.train.runs.dose import path_between
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.runtime.processes import world_size

    if world_size() > 1:
        raise UsageError("dose works in one process", hint="plt dose RUN, without torchrun")
    trained = load_run(path)
    if trained.identity.command != "train":
        raise ArtifactError(
            f"{path} is a run of plt {trained.identity.command}", hint="plt dose RUN of plt train"
        )
    fitted = load_fitted_run(path, session.compute)
    base = None if asked.base is None else load_fitted_run(Path(asked.base), session.compute)
    between = path_between(fitted.method, None if base is None else base.method)
    users = chosen_users(sorted(fitted.users), asked.users, session.seed, session.report)
    job = _Job(trained, fitted, between, users, benchmark, asked.budget / 100, own)
    identity = _identity(job, asked, None if base is None else base.run, session)
    folder = session.out or session.runs / f"dose-{identity.method}-{identity.run_id}"
    arguments = {"run": str(path), **session.arguments}
    label = f"{identity.method} {trained.run_id[:6]}"
    run = settled(
        identity, folder, label, replace(session, arguments=arguments),
        lambda claimed: _make(claimed, job, session),
    )  # fmt: skip
    return DosedRun(identity.method, path, run.path, run.run_id, run.record["dose"])


def _identity(job: _Job, asked: Asked, base: Run | None, session: Session) -> Identity:
    """The trained run's settings and inputs, so that it loads as that run does, and the rest."""
    from plt.data.identity import Identity

    trained = job.trained.identity
    config: dict[str, Any] = {"max_tax": asked.budget, "users": asked.typed_users}
    config["compat"] = job.benchmark.compat
    config["set"] = dict(trained.config.get("set", {}))
    config |= {key: trained.config[key] for key in ("dtype",) if key in trained.config}
    inputs = dict(trained.inputs) | {
        "bench": job.benchmark.content,
        "run": model_digest(job.trained),
        "base": "its own" if base is None else model_digest(base),
        "users": digest(list(job.users)),
        "own": digest(job.own is not None),
    }
    return Identity("dose", trained.method, config, session.seed, inputs)


def _make(run: Run, job: _Job, session: Session) -> None:
    """Measures the frontier, and writes the chosen model and its scores."""
    from plt.data.run import METRICS_FILE, MODEL, SCORES_FILE
    from plt.data.tables.schema import METRICS_TABLE, SCORES
    from plt.data.tables.table import Meta, write_table
    from plt.train.runs.scoring import Label, score_pairs

    progress = watched(session.compute.progress, run, session)
    found = _frontier(job, progress)
    dosed = job.between.at(found.chosen.share)
    dosed.save(run.work / MODEL)
    note = f"a share of {found.chosen.share:g} of what sets each user apart from {job.between.base}"
    run.record |= {
        "dose": _document(found, job),
        "notes": [note],
        "training": job.trained.record.get("training", {}),
        "trained": {"run": str(job.trained.path), "run_id": job.trained.run_id},
    }
    if job.own is None:
        return
    from plt.analyze.scores.evaluation import measure

    label = Label(run.run_id, run.identity.method, run.identity.seed)
    frame = score_pairs(dosed, job.own, label).frame
    about = job.own.meta
    meta = Meta(dataset=about.dataset, license=about.license, split=about.split)
    write_table(frame, SCORES, run.work / SCORES_FILE, meta)
    write_table(measure(frame, command="dose"), METRICS_TABLE, run.work / METRICS_FILE, meta)


def _document(found: Dose, job: _Job) -> dict[str, Any]:
    return {
        "base": job.between.base,
        "bench": job.benchmark.to_json(),
        "n_users": len(job.users),
        "n_users_known": len(job.fitted.users),
        "bench_notes": list(job.benchmark.notes),
        **found.to_json(),
    }


def _frontier(job: _Job, progress: Progress) -> Dose:
    """Accuracy and tax at each share, and the choice."""
    from plt.analyze.tax.change import tax
    from plt.analyze.tax.dose import DosePoint, choose, halves
    from plt.analyze.tax.items import bench_items

    between, bench = job.between, job.benchmark.bench
    scored = _Mixtures(job, progress)
    shares = FINE if between.linear else COARSE
    base = bench_items(scored.bench(0.0), bench, job.users)
    mask = halves(base)
    points = []
    for number, share in enumerate(shares):
        progress("trying shares", number, len(shares))
        items = bench_items(scored.bench(share), bench, job.users)
        sides = [
            tax(items.part(side), base.part(side), bench, by_user=False) for side in (mask, ~mask)
        ]
        points.append(DosePoint(share, sides[0], sides[1], scored.accuracy(share)))
    return choose(points, job.budget)


class _Mixtures:
    """Scores at any share: mixed where margins are, else from a pass of the moved model."""

    def __init__(self, job: _Job, progress: Progress) -> None:
        self.job = job
        self.progress = progress
        self._ends = {share: job.between.at(share) for share in (0.0, 1.0)}
        self._seen: dict[tuple[str, float], pl.DataFrame] = {}

    def bench(self, share: float) -> pl.DataFrame:
        """Scores of the benchmark as each user."""
        return self._at("bench", share)

    def accuracy(self, share: float) -> Interval | None:
        """Over the people on their own test rows."""
        if self.job.own is None:
            return None
        from plt.analyze.registry import METRICS
        from plt.analyze.scores.evaluation import compute, evaluation_rows

        rows = evaluation_rows(self._at("own", share))
        return compute(METRICS["accuracy"], rows, "user" if rows.users is not None else "pair")

    def _at(self, what: str, share: float) -> pl.DataFrame:
        import polars as pl

        if share in (0.0, 1.0) or not self.job.between.linear:
            return self._scored(what, share)
        base, own = self._scored(what, 0.0), self._scored(what, 1.0)
        mixed = (1 - share) * base["margin"] + share * own["margin"]
        return own.with_columns(pl.Series("margin", mixed), reward_a=None, reward_b=None)

    def _scored(self, what: str, share: float) -> pl.DataFrame:
        from plt.study.costs.tax import with_correct
        from plt.train.runs.scoring import Label, score_pairs, scorer_of
        from plt.train.runs.tax import score_as_each

        if (what, share) in self._seen:
            return self._seen[what, share]
        method = self._ends.get(share) or self.job.between.at(share)
        trained = self.job.trained
        label = Label(trained.run_id, trained.identity.method, trained.identity.seed)
        if what == "own":
            assert self.job.own is not None
            found = score_pairs(method, self.job.own, label).frame
        else:
            prefs = self.job.benchmark.prefs
            found = score_as_each(scorer_of(method), prefs, self.job.users, label)
            if self.job.benchmark.bench.unit == "item":
                found = with_correct(found, prefs.pairs)
        self._seen[what, share] = found
        return found


def own_test_rows(
    path: Path, read: Callable[[str], Preferences], report: Callable[[str], None]
) -> Preferences | None:
    """The test rows of the seen users of the table that a run was trained on.

    Args:
        path: A trained run.
        read: Reads what was typed as DATA.
        report: Takes why they are not at hand.
    """
    import polars as pl

    from plt.data.run import load_run
    from plt.study.newcomers.tables import given_data
    from plt.study.plan import split_if_needed

    run = load_run(path)
    try:
        data, _ = given_data(run)
        prefs = split_if_needed(read(data), run.identity.seed, lambda _: None)
    except PltError as error:
        report(f"no accuracies of the run's own people: {error.message}")
        return None
    from plt.data.tables.content import input_hashes

    if input_hashes(prefs, None)["preferences"] != run.identity.inputs.get("preferences"):
        report(f"no accuracies of the run's own people: {data} is not what it was trained on")
        return None
    seen = pl.col("user_split").fill_null("seen") == "seen"
    return prefs.filter(seen & (pl.col("split") == "test"))
