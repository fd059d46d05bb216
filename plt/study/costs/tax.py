"""What personalization costs: each run scored on a benchmark as its users, against its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import ArtifactError, DataError, PltError, UsageError
from plt.study.costs.benchmark import Benchmark
from plt.study.costs.scored_users import SAMPLE, chosen_users, drawn
from plt.study.make_run import Session, settled, test_accuracy, watched
from plt.study.outcome import Accuracy, Failed

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.tax.change import Tax
    from plt.data.identity import Identity
    from plt.data.run import Run
    from plt.study.costs.base import Base
    from plt.train.runs.fitted_run import FittedRun


@dataclass(frozen=True)
class Asked:
    """What is asked of a run.

    Attributes:
        base: A run directory or a model; None takes the run's own.
        users: How many users are scored, drawn by a hash of their names; None is all.
    """

    base: str | None = None
    users: int | None = SAMPLE

    @property
    def typed_users(self) -> str:
        """The number of users as it is typed."""
        return "all" if self.users is None else str(self.users)


@dataclass(frozen=True)
class Taxed:
    """A finished run of `plt tax`.

    Attributes:
        method: Registry name of what was scored.
        trained: The run that was scored.
        path: The run directory.
        run_id: The id of the run.
        base: Name, kind, and why it is the base, as the manifest has it.
        benchmark: What the benchmark is: name, file, hash, subsets that are missing or unknown.
        tax: What came out.
        accuracy: Of the scored run on its own test rows.
        base_accuracy: Of the base on the same rows, where it is a run of the same table.
        users_known: How many users the run knows.
        notes: What must be said of it.
    """

    method: str
    trained: Path
    path: Path
    run_id: str
    base: Mapping[str, Any]
    benchmark: Mapping[str, Any]
    tax: Tax
    accuracy: Accuracy | None
    base_accuracy: Accuracy | None
    users_known: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TaxOutcome:
    """What became of the runs that were asked for.

    Attributes:
        made: The finished runs.
        failed: Those that failed.
    """

    made: tuple[Taxed, ...]
    failed: tuple[Failed, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the worst of the failures'."""
        return max((failure.exit_code for failure in self.failed), default=0)


def tax_runs(
    paths: Sequence[Path], asked: Asked, benchmark: Benchmark, session: Session
) -> TaxOutcome:
    """The tax of each run; each is a run of its own.

    Args:
        paths: Trained runs.
        asked: Base and users.
        benchmark: What is scored.
        session: Who is told, folders, seed; its table is the benchmark.

    Returns:
        The runs, and what failed; where several are asked for, one that fails stops no other.

    Raises:
        UsageError: `session.out` names one folder for several runs; or there is none.
        PltError: The only run failed.
    """
    from plt.train.runtime.processes import world_size

    if world_size() > 1:
        raise UsageError("tax works in one process", hint="plt tax RUN, without torchrun")
    if not paths:
        raise UsageError("there is no run to score", hint="plt train DATA | plt tax -")
    if session.out is not None and len(paths) > 1:
        raise UsageError("--out is the folder of one run; several are given", hint="--runs DIR")
    made: list[Taxed] = []
    failed: list[Failed] = []
    for path in paths:
        try:
            made.append(_made(path, asked, benchmark, session))
        except PltError as error:
            if len(paths) == 1:
                raise
            reason = ": ".join([error.message, *error.problems])
            failed.append(Failed(str(path), reason, error.exit_code))
            session.report(f"{path}: failed: {reason}")
    return TaxOutcome(tuple(made), tuple(failed))


def _made(path: Path, asked: Asked, benchmark: Benchmark, session: Session) -> Taxed:
    from plt.study.costs.base import find_base
    from plt.train.runs.fitted_run import load_fitted_run

    trained = _trained(path)
    fitted = load_fitted_run(path, session.compute)
    label = f"{trained.identity.method} {trained.run_id[:6]}"
    base = find_base(fitted, asked.base, session.compute)
    session.report(f"{label}: base is {base.why}")
    users = _users(fitted, base, asked, session)
    job = _Job(trained, fitted, base, users, benchmark)
    identity = _identity(job, asked, session)
    folder = session.out or session.runs / f"tax-{identity.method}-{identity.run_id}"
    arguments = {"run": [str(path)], **session.arguments}
    run = settled(
        identity, folder, label, replace(session, arguments=arguments),
        lambda claimed: _score(claimed, job, session),
    )  # fmt: skip
    return load_tax(run.path)


def _trained(path: Path) -> Run:
    from plt.data.run import load_run

    run = load_run(path)
    if run.identity.command not in ("train", "dose"):
        raise ArtifactError(
            f"{path} is a run of plt {run.identity.command}, and holds no model",
            hint="plt train DATA --method METHOD | plt tax -",
        )
    return run


@dataclass(frozen=True)
class _Job:
    """One run to score."""

    trained: Run
    fitted: FittedRun
    base: Base
    users: tuple[str | None, ...]
    benchmark: Benchmark


def _users(fitted: FittedRun, base: Base, asked: Asked, session: Session) -> tuple[str | None, ...]:
    """As whom both are scored: users that both know, or those of the one that knows any."""
    mine, theirs = set(fitted.users), set(base.users)
    both = mine & theirs if mine and theirs else mine | theirs
    if not both:
        if mine:
            raise UsageError(
                "the run and its base know no user in common",
                problems=[f"{len(mine)} users against {len(theirs)}"],
                hint="plt tax RUN --base RUN of the same people",
            )
        return (None,)
    return chosen_users(sorted(both), asked.users, session.seed, session.report)


def _identity(job: _Job, asked: Asked, session: Session) -> Identity:
    """What makes two taxes the same: run, base and benchmark by content, and who is scored."""
    from plt.data.identity import Identity
    from plt.study.digests import digest, model_digest

    config: dict[str, Any] = {"users": asked.typed_users, "compat": job.benchmark.compat}
    if "model" in job.trained.identity.inputs:
        config["dtype"] = session.compute.dtype
    inputs = {
        "bench": job.benchmark.content,
        "run": model_digest(job.trained),
        "base": job.base.digest,
        "users": digest(list(job.users)),
    }
    return Identity("tax", job.trained.identity.method, config, session.seed, inputs)


def _score(run: Run, job: _Job, session: Session) -> None:
    """Scores the benchmark and writes all but the manifest."""
    import polars as pl

    from plt.data.run import METRICS_FILE, SCORES_FILE
    from plt.data.tables.schema import METRICS_TABLE, SCORES
    from plt.data.tables.table import Meta, write_table
    from plt.study.costs.metrics import tax_metrics
    from plt.train.runs.scoring import Label, scorer_of
    from plt.train.runs.tax import score_as_each

    session.compute.made_by.clear()
    prefs, trained, base = job.benchmark.prefs, job.trained, job.base
    progress = watched(session.compute.progress, run, session)
    progress("scoring the benchmark", 0, 0)
    label = Label(trained.run_id, trained.identity.method, trained.identity.seed)
    own_generic = base.kind == "generic"
    users = (*job.users, None) if own_generic else job.users
    frames = [score_as_each(scorer_of(job.fitted.method), prefs, users, label)]
    if base.scorer is not None and base.label is not None and base.label.run_id != label.run_id:
        theirs = job.users if base.users else (None,)
        frames.append(score_as_each(base.scorer, prefs, theirs, base.label))
    frame = pl.concat(frames)
    if job.benchmark.bench.unit == "item":
        frame = with_correct(frame, prefs.pairs)
    about = prefs.meta
    meta = Meta(dataset=about.dataset, license=about.license, dropped=dict(about.dropped))
    write_table(frame, SCORES, run.work / SCORES_FILE, meta)
    run.record |= {
        "base": base.to_json(),
        "bench": job.benchmark.to_json(),
        "trained": {"run": str(trained.path), "run_id": trained.run_id},
        "users_known": len(job.fitted.users),
        "distance": _distance(trained, job.users),
        "accuracy": _accuracies(trained, base),
        "dropped": dict(about.dropped),
        "notes": [*job.benchmark.notes],
        "features_made_by": sorted(session.compute.made_by),
    }
    found = _measured(frame, run)
    table = tax_metrics(found, run)
    write_table(table, METRICS_TABLE, run.work / METRICS_FILE, meta)


def with_correct(frame: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds which of the correct answers of its item a pair is about, as a hash of its text."""
    import polars as pl

    from plt.analyze.tax.items import CORRECT

    texts = pairs.select("pair_id", "response_a", "response_b")
    joined = frame.join(texts, on="pair_id", how="left", maintain_order="left")
    chosen = pl.when(pl.col("label") > 0.5).then("response_a").otherwise("response_b")
    hashed = joined.select(chosen.alias("text"))["text"].to_list()
    names = {text: drawn(0, text).hex() for text in set(hashed)}
    return frame.with_columns(pl.Series(CORRECT, [names[text] for text in hashed]))


def _distance(trained: Run, users: Sequence[str | None]) -> dict[str, float]:
    """How far each scored user is from the majority, by the run's own val and test rows."""
    from plt.analyze.tax.distance import distance_from_majority
    from plt.data.run import SCORES_FILE
    from plt.data.tables.schema import SCORES
    from plt.data.tables.table import read_table

    path = trained.path / SCORES_FILE
    if not path.exists():
        return {}
    found = distance_from_majority(read_table(path, SCORES)[0])
    return {name: found[name] for name in users if name is not None and name in found}


def _accuracies(trained: Run, base: Base) -> dict[str, Any]:
    """Test accuracy of the run, and of the base where it is a run of the same table."""
    from dataclasses import asdict

    from plt.data.run import METRICS_FILE, load_run

    def of(run: Run) -> dict[str, Any] | None:
        found = test_accuracy(run) if (run.path / METRICS_FILE).exists() else None
        return None if found is None else asdict(found)

    theirs = None
    if base.path is not None:
        other = load_run(base.path)
        same = other.identity.inputs.get("preferences")
        if same is not None and same == trained.identity.inputs.get("preferences"):
            theirs = of(other)
    return {"run": of(trained), "base": theirs}


def load_tax(path: Path) -> Taxed:
    """A finished run of `plt tax`, its figures computed anew from its scores.

    Raises:
        ArtifactError: It is no finished run of `plt tax`.
    """
    from plt.data.run import SCORES_FILE, load_run
    from plt.data.tables.schema import SCORES
    from plt.data.tables.table import read_table

    run = load_run(path)
    if run.identity.command != "tax":
        raise ArtifactError(f"{path} is a run of plt {run.identity.command}", hint="plt tax RUN")
    frame, _ = read_table(path / SCORES_FILE, SCORES)
    record = run.record
    accuracies = record["accuracy"]
    own, theirs = (
        None if accuracies[name] is None else Accuracy(**accuracies[name])
        for name in ("run", "base")
    )
    return Taxed(
        method=run.identity.method,
        trained=Path(record["trained"]["run"]),
        path=path,
        run_id=run.run_id,
        base=record["base"],
        benchmark=record["bench"],
        tax=_measured(frame, run),
        accuracy=own,
        base_accuracy=theirs,
        users_known=record["users_known"],
        notes=tuple(record["notes"]),
    )


def _measured(frame: pl.DataFrame, run: Run) -> Tax:
    """The tax from the scores of a run, whose record says which of them are the base's."""
    import polars as pl

    from plt.analyze.tax.change import tax
    from plt.analyze.tax.items import bench_items

    record = run.record
    bench = layout(record["bench"], frame)
    own = frame.filter(pl.col("run_id") == record["trained"]["run_id"])
    names = own["scored_as"].drop_nulls().unique().sort().to_list()
    users: tuple[str | None, ...] = tuple(names) or (None,)
    mine = bench_items(own, bench, users)
    about = record["base"]
    base = None
    if about["kind"] != "none":
        theirs = frame.filter(pl.col("run_id") == about["run_id"])
        base = bench_items(theirs, bench, users if about["knows_users"] else (None,))
    return tax(mine, base, bench, record["distance"])


def layout(about: Mapping[str, Any], frame: pl.DataFrame) -> Any:
    """The layout of a benchmark as a manifest has it.

    Raises:
        DataError: A known layout has no judgement here.
    """
    from plt.data.benches import BENCHES, EVERYTHING, Bench

    known = BENCHES.get(about["layout"])
    if known is not None:
        return known
    if frame.height == 0:
        raise DataError("the benchmark has no judgement", hint="plt dataset-stats BENCH")
    names = frame["subset"].cast(str).fill_null(EVERYTHING).unique().sort().to_list()
    return Bench(about["layout"], {name: {name: 1.0} for name in names})
