"""New people from n of their answers: each fitted run adapts to the same shots, and is a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import DataError, PltError, UsageError
from plt.study.digests import model_digest
from plt.study.make_run import Session, settled, watched
from plt.study.outcome import Failed

if TYPE_CHECKING:
    import polars as pl

    from plt.data.identity import Identity
    from plt.data.run import Run
    from plt.data.splitting.shots import Apart, Newcomers
    from plt.train.heads.selection import Criterion
    from plt.train.method import MethodCard
    from plt.train.runs.fitted_run import FittedRun

BOUND = "individual"
"""Adapted on all answers of each person too: what so many answers could give."""


@dataclass(frozen=True)
class Asked:
    """What is shown of everybody.

    Attributes:
        n_shots: Numbers of answers, ascending; 0 is always among what is scored.
        draws: How often the answers of each number are drawn.
        apart: As `plt.data.splitting.shots.newcomers`.
        select: ``random`` draws answers, the same for all runs; every other criterion of
            `plt.train.heads.selection` lets each run choose its own, one after the other, once.
    """

    n_shots: tuple[int, ...]
    draws: int
    apart: Apart = "auto"
    select: Criterion = "random"

    def __post_init__(self) -> None:
        from plt.data.splitting.shots import MAX_DRAWS

        if not 1 <= self.draws <= MAX_DRAWS:
            raise UsageError(
                f"--draws is {self.draws}, expected 1 to {MAX_DRAWS}", hint="--draws 5"
            )

    @property
    def chosen(self) -> bool:
        """Whether a run chooses what is asked."""
        return self.select != "random"

    @property
    def config(self) -> dict[str, Any]:
        """The part of a run's identity that was asked for."""
        sizes = sorted({0, *self.n_shots})
        draws = 1 if self.chosen else self.draws
        found = {"n_shots": ",".join(map(str, sizes)), "draws": draws, "apart": self.apart}
        return found | ({"select": self.select} if self.chosen else {})


@dataclass(frozen=True)
class Adapted:
    """A finished run of `plt adapt`.

    Attributes:
        method: Registry name.
        trained: The run that was adapted.
        path: The run directory.
        run_id: The id of the run.
        notes: What must be said of it, as the manifest has it.
    """

    method: str
    trained: Path
    path: Path
    run_id: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The run as ``plt adapt --json`` prints it."""
        return {
            "run": str(self.path),
            "run_id": self.run_id,
            "method": self.method,
            "trained": str(self.trained),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class AdaptOutcome:
    """What became of the runs that were adapted.

    Attributes:
        made: The finished runs, in the order that was asked for.
        failed: Those that failed, or cannot adapt.
    """

    made: tuple[Adapted, ...]
    failed: tuple[Failed, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the worst of the failures'."""
        return max((failure.exit_code for failure in self.failed), default=0)

    def to_json(self) -> dict[str, Any]:
        """The object that ``plt adapt --json`` prints."""
        return {
            "runs": [each.to_json() for each in self.made],
            "failed": [{"run": each.label, "reason": each.reason} for each in self.failed],
        }


@dataclass(frozen=True)
class _Job:
    """One run to adapt, and what all share."""

    path: Path
    run: Run
    asked: Asked
    people: Newcomers
    session: Session
    notes: tuple[str, ...] = field(default=())

    @property
    def method(self) -> str:
        return self.run.identity.method

    @property
    def label(self) -> str:
        return f"{self.method} {self.run.run_id[:6]}"


def adapt(paths: Sequence[Path], asked: Asked, session: Session) -> AdaptOutcome:
    """Adapts each run to the unseen people of the session's table; each is a run.

    Args:
        paths: Trained runs.
        asked: What is shown.
        session: The table, the seed of the draws, the folders, who is told.

    Returns:
        The runs, and what failed; where several are asked for, one that fails stops no other.

    Raises:
        UsageError: A run cannot adapt, or `session.out` names one folder for several runs.
        DataError: The table has no unseen people, or nothing to ask them.
        PltError: The only run failed.
    """
    from plt.data.run import load_run
    from plt.data.splitting.shots import newcomers
    from plt.train.runs.adapt import too_few
    from plt.train.runtime.processes import world_size

    if world_size() > 1:
        raise UsageError("adapt works in one process", hint="plt adapt RUN, without torchrun")
    if session.out is not None and len(paths) > 1:
        raise UsageError("--out is the folder of one run; several are given", hint="--runs DIR")
    runs = [load_run(path) for path in paths]
    _refuse_blind(runs)
    people = newcomers(session.prefs, asked.apart)
    _refuse_undecided(people)
    notes = (*people.notes, *too_few(people, asked.n_shots))
    for note in notes:
        session.report(note)
    made: list[Adapted] = []
    failed: list[Failed] = []
    for path, run in zip(paths, runs, strict=True):
        own, said = _asked_of(run, asked)
        if said:
            session.report(said)
        # Answers drawn at random are those of the same line without a choice, and so is the run.
        job = _Job(path, run, own, people, session, (*notes, said) if own.chosen else notes)
        try:
            made.append(_made(job))
        except PltError as error:
            if len(paths) == 1:
                raise
            reason = ": ".join([error.message, *error.problems])
            failed.append(Failed(job.label, reason, error.exit_code))
            session.report(f"{job.label}: failed: {reason}")
    return AdaptOutcome(tuple(made), tuple(failed))


def _asked_of(run: Run, asked: Asked) -> tuple[Asked, str]:
    """What a run is shown, and what must be said of who chose it, if anything."""
    from plt.train.method import Placed
    from plt.train.registry import load_class, method_card

    method = run.identity.method
    if not asked.chosen or not method_card(method).personal:
        return replace(asked, select="random"), ""
    if issubclass(load_class(method_card(method).target), Placed):
        return asked, (
            f"{method} chose which answers it was shown (--select {asked.select}), once: other runs"
            " were shown others, and draws of answers have no part in its intervals"
        )
    return replace(asked, select="random"), (
        f"{method} cannot choose what to ask (--select {asked.select}), since it does not say how"
        " sure it is of a person: its answers were drawn at random"
    )


def _refuse_undecided(people: Newcomers) -> None:
    """Refuses questions that nobody answered with a side, before anything is computed.

    Raises:
        DataError: All are ties or have no label.
    """
    labels = people.questions.votes["label"]
    if ((labels != 0.5) & labels.is_not_null()).any():
        return
    n_ties = int((labels == 0.5).sum())
    raise DataError(
        f"no question to a new person was answered with a side ({n_ties} ties,"
        f" {labels.null_count()} without a label): nothing can be right or wrong",
        hint="plt score RUN DATA gives the scores without figures",
    )


def _refuse_blind(runs: Sequence[Run]) -> None:
    """Refuses a line in which no run can learn anything of a new person."""
    from plt.train.registry import method_card
    from plt.train.runs.adapt import can_adapt

    if any(method_card(run.identity.method).personal for run in runs):
        return
    names = ", ".join(dict.fromkeys(run.identity.method for run in runs))
    raise UsageError(
        f"a run of {names} cannot adapt: it scores everybody alike",
        problems=["these methods can: " + ", ".join(can_adapt())],
        hint="plt train DATA --method eb-shrinkage",
    )


def _made(job: _Job) -> Adapted:
    """The finished run of a job, made or found; waits where another process makes it."""
    session = _with_arguments(job)
    identity = _identity(job)
    folder = session.out or session.runs / f"adapt-{job.method}-{identity.run_id}"
    run = settled(identity, folder, job.label, session, lambda claimed: _score_all(claimed, job))
    notes = tuple(run.record.get("notes", ()))
    return Adapted(job.method, job.path, run.path, run.run_id, notes)


def _with_arguments(job: _Job) -> Session:
    """The session whose arguments say which run was adapted."""
    return replace(job.session, arguments={"run": [str(job.path)], **job.session.arguments})


def _identity(job: _Job) -> Identity:
    """What makes two adaptations the same: the run, by content, the table, and what is shown."""
    from plt.data.identity import Identity

    inputs = {**job.session.inputs, "run": model_digest(job.run)}
    config = job.asked.config
    if "model" in job.run.identity.inputs:
        config["dtype"] = job.session.compute.dtype
    return Identity("adapt", job.method, config, job.session.seed, inputs)


def _score_all(run: Run, job: _Job) -> None:
    """Scores every number of answers and draw, and writes all but the manifest."""
    import polars as pl

    from plt.data.run import CHECKPOINTS
    from plt.data.tables.files import atomic_path
    from plt.train.method import TrainContext, unhindered
    from plt.train.registry import method_card
    from plt.train.runs.adapt import score_newcomers, shown_of
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.runs.scoring import Label

    session = job.session
    progress = watched(session.compute.progress, run, session)
    compute = replace(session.compute, progress=progress, made_by=set())
    fitted = load_fitted_run(job.path, compute)
    _refuse_known(fitted, job.people)
    card = method_card(job.method)
    label = Label(run.run_id, job.method, session.seed)
    held = unhindered if run.claim is None else run.claim.check
    ctx = TrainContext(session.seed, run.work, compute, session.people, before_checkpoint=held)
    kept = run.work / CHECKPOINTS / "adapt"
    kept.mkdir(parents=True, exist_ok=True)
    people = chosen_people(fitted, job.people, job.asked, session.seed)
    draws = 1 if job.asked.chosen else job.asked.draws
    plan = shown_of(card, job.asked.n_shots, draws, everything=job.method == BOUND)
    frames: list[pl.DataFrame] = []
    for number, shown in enumerate(plan):
        progress("adapting to new people", number, len(plan))
        path = kept / f"{shown.name}.parquet"
        if not path.exists():
            found = score_newcomers(fitted.method, people, shown, ctx, label, card)
            held()
            with atomic_path(path) as temporary:
                found.frame.write_parquet(temporary)
        frames.append(pl.read_parquet(path))
    progress("adapting to new people", len(plan), len(plan))
    _write(run, job, pl.concat(frames), card)


def chosen_people(fitted: FittedRun, people: Newcomers, asked: Asked, seed: int) -> Newcomers:
    """The new people, with the order in which the run asks them where it chooses."""
    from plt.train.method import Placed
    from plt.train.runs.active_shots import active_places

    if not asked.chosen or not isinstance(fitted.method, Placed):
        return people
    most = max(asked.n_shots, default=0)
    return replace(
        people, chosen=active_places(fitted.method, people.answers, most, asked.select, seed)
    )


def _refuse_known(fitted: FittedRun, people: Newcomers) -> None:
    """Refuses people whom a run was fitted on: they would be no new people."""
    known = sorted(set(fitted.users) & set(people.users))
    if known:
        raise UsageError(
            f"{fitted.run.path} knows {len(known)} of the {len(people.users)} unseen people: it"
            " learnt from them",
            problems=known,
            hint="plt adapt RUN, without --data, takes the people whom the run has not seen",
        )


def _write(run: Run, job: _Job, frame: pl.DataFrame, card: MethodCard) -> None:
    from plt.analyze.adaptation.measure import measure_adapted
    from plt.analyze.comparison.entries import Entry
    from plt.data.run import METRICS_FILE, SCORES_FILE
    from plt.data.tables.schema import METRICS_TABLE, SCORES
    from plt.data.tables.table import Meta, write_table

    about = job.people.questions.meta
    meta = Meta(
        dataset=about.dataset, license=about.license, split=about.split,
        dropped=dict(job.people.left_out),
    )  # fmt: skip
    write_table(frame, SCORES, run.work / SCORES_FILE, meta)
    entry = Entry(job.method, job.method, run.run_id, frame)
    write_table(measure_adapted(entry), METRICS_TABLE, run.work / METRICS_FILE, meta)
    notes = list(job.notes)
    if not card.personal:
        notes.append(f"{job.method} scores everybody alike: it has one line, without answers")
    if job.run.identity.inputs.get("preferences") != job.session.inputs["preferences"]:
        notes.append(
            "the run learnt from another table; whether that holds these pairs is not known"
        )
    run.record |= {
        "notes": notes,
        "trained": {"run": str(job.path), "run_id": job.run.run_id},
        "people": len(job.people.users),
        "apart": list(job.people.apart),
        "dropped": dict(job.people.left_out),
    }
    for note in notes:
        run.log(note=note)


def described(outcome: AdaptOutcome, report: Callable[[str], None]) -> Any:
    """The learning curves of what was made; None where there is no run."""
    from plt.analyze.adaptation.curves import adaptation
    from plt.study.entries import load_entries

    if not outcome.made:
        return None
    try:
        return adaptation(load_entries([each.path for each in outcome.made], report))
    except DataError as error:
        report(f"no table: {error.message}")
        return None
