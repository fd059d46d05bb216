"""Finds or makes one run: fits a cell, scores it, measures it, and reports what came out."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.data.claims import TakenOver, Watch
from plt.errors import PltError
from plt.study.outcome import Accuracy, Made

if TYPE_CHECKING:
    import polars as pl

    from plt.data.identity import Identity
    from plt.data.run import Held, Run
    from plt.data.tables.preferences import Preferences
    from plt.study.plan import Cell
    from plt.train.method import Compute, Progress
    from plt.train.runs.fit_and_score import Fitted


@dataclass(frozen=True)
class Session:
    """What all runs of one study share.

    Attributes:
        prefs: The split table.
        people: A `users/1` table, or None.
        compute: How to compute, and who is told of the progress.
        seed: Of every run.
        runs: Folder that runs are made in.
        report: Takes one sentence at a time of what happens.
        inputs: Content hashes of the tables (`input_hashes`).
        arguments: What else was asked for and does not change a run.
        out: Folder of the only run, or None.
        force: Do again what is done.
        scratch: Where a process that does not lead writes what it throws away; None in the others.
        watch: What was seen of the claims of runs that other processes make.
    """

    prefs: Preferences
    people: pl.DataFrame | None
    compute: Compute
    seed: int
    runs: Path
    report: Callable[[str], None]
    inputs: Mapping[str, str]
    arguments: Mapping[str, Any]
    out: Path | None = None
    force: bool = False
    scratch: Path | None = None
    watch: Watch = field(default_factory=Watch)

    def identity(self, cell: Cell) -> Identity:
        """What makes a run of this cell the same run."""
        from plt.data.identity import Identity
        from plt.train.runs.fitted_run import model_fingerprint

        config = cell.identity_config
        inputs = dict(self.inputs)
        fingerprint = model_fingerprint(cell.config, self.compute.progress)
        if fingerprint is not None:
            inputs["model"] = fingerprint
            config["dtype"] = self.compute.dtype
        return Identity("train", cell.name, config, self.seed, inputs)

    def folder(self, identity: Identity) -> Path:
        """Where a run lies when nobody says where."""
        return self.runs / f"{identity.method}-{identity.run_id}"


def make_run(cell: Cell, session: Session) -> Made | Held:
    """Makes the run of a cell, or finds it, and reports what came out.

    Returns:
        The run; or, when another process is making it, who.

    Raises:
        TakenOver: Another process took the run over while this one was making it.
        PltError: It cannot be made: the method refuses, the fit diverges, the folder holds
            something else.
    """
    from plt.data.run import Held, open_run
    from plt.train.runtime.processes import first_decides

    _report_making(cell, session)
    identity = session.identity(cell)
    folder = session.out or session.folder(identity)

    def opened() -> tuple[Run | Held, Path]:
        found = open_run(identity, folder, force=session.force, watch=session.watch)
        return found, found.path if isinstance(found, Held) else found.work

    run, work = first_decides(opened, session.compute.device)
    if isinstance(run, Held):
        return run
    if run.finished:
        session.report(f"{cell.label}: this run is done already; --force does it again")
    else:
        run = _finished(run, work, cell, session)
    training, notes = run.record.get("training"), tuple(run.record.get("notes", ()))
    made = Made(cell, run.path, run.run_id, training, test_accuracy(run), notes)
    _report_accuracy(made, session)
    return made


def await_run(cell: Cell, session: Session) -> Made:
    """As `make_run`, but waits for a run that another process is making or has taken over."""
    from plt.data.run import Held
    from plt.train.runtime.processes import world_size

    while True:
        try:
            found = make_run(cell, session)
        except TakenOver as taken:
            if world_size() > 1:
                raise  # the others wait for what this process would have sent them
            found = Held(taken.folder, taken.by)
        if isinstance(found, Made):
            return found
        session.report(f"{cell.label}: {found.holder} is making this run: waiting for it")
        while not is_free(found, session):
            time.sleep(session.watch.timing.poll)
        session = replace(session, force=False)  # what is made while we wait is made anew


def is_free(held: Held, session: Session) -> bool:
    """Whether the other process has done with a run, or is gone."""
    from plt.train.runtime.processes import first_decides

    return first_decides(lambda: session.watch.free(held.path), session.compute.device)


def _finished(run: Run, work: Path, cell: Cell, session: Session) -> Run:
    """The run, fitted and published; in a process that does not lead, in its scratch folder."""
    if session.scratch is not None:
        run = replace(run, path=session.scratch / run.run_id)
        run.path.mkdir(parents=True)
        _fit(run, work, cell, session)
        return run
    return published(run, cell.label, session, lambda: _fit(run, work, cell, session))


def published(run: Run, label: str, session: Session, make: Callable[[], None]) -> Run:
    """Makes a claimed run and publishes it.

    Args:
        run: As `open_run` claimed it.
        label: What it is called.
        session: Who is told, and what else was asked for.
        make: Writes everything but the manifest into `run.work`.

    Raises:
        TakenOver: Another process holds the run by now, and has not finished it.
    """
    from plt.data.run import load_run, made_by, recording

    try:
        with recording(run, session.arguments):
            if run.resumed:
                session.report(f"{label}: resuming {run.path}")
            try:
                make()
            except Exception:
                with contextlib.suppress(OSError):  # a successor may have moved the folder away
                    run.log(traceback=traceback.format_exc())
                raise
    except TakenOver as taken:
        # Results are a function of the run's id: what the other one has published is ours as well.
        try:
            run = load_run(run.path)
        except PltError:
            raise taken from None
        who = made_by(run.path)
        session.report(f"{label}: {run.path} was taken over, and finished, by {who}")
    return run


def _report_making(cell: Cell, session: Session) -> None:
    """Says that the model of a cell is made first, where a person would wait for that."""
    from plt.data.cache import cache_dir
    from plt.train.models.embedded.cards import what_is_made

    made = what_is_made(str(cell.config.get("model")), cache_dir())
    if made is not None:
        session.report(f"{cell.label}: {made}")


def _fit(run: Run, work: Path, cell: Cell, session: Session) -> None:
    """Fits, scores, measures and writes everything but the manifest.

    Processes share the folder `work`, where checkpoints are; only the first writes `run` there.
    """
    from plt.data.run import MODEL
    from plt.data.splitting.samples import draw_sample, training_size
    from plt.train.method import TrainContext, unhindered
    from plt.train.registry import method_card
    from plt.train.runs.fit_and_score import fit_and_score
    from plt.train.runs.scoring import Label
    from plt.train.runtime.devices import machine
    from plt.train.runtime.processes import wait_for_all, world_size

    prefs = session.prefs
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        session.report(f"{cell.label}: {sentence}")

    progress = watched(session.compute.progress, run, session)
    compute = replace(session.compute, progress=progress, made_by=set())
    held = unhindered if run.claim is None else run.claim.check
    ctx = TrainContext(
        session.seed, work, compute, session.people, before_checkpoint=held, report=tell
    )
    learnt = prefs if cell.sample is None else draw_sample(prefs, cell.sample, session.seed)
    size = training_size(learnt)
    label = Label(run.run_id, cell.name, session.seed)
    sham: Any = cell.sham or "score"
    card = method_card(cell.name)
    fitted = fit_and_score(prefs, cell.method, ctx, label, card=card, sham=sham, learn_from=learnt)
    fitted.method.save(run.work / MODEL)
    _write_tables(run, fitted, prefs, learnt)
    notes = list(fitted.notes)
    if cell.sample is not None:
        total = training_size(prefs).rows
        mean = "" if size.rows_a_user is None else f": {size.rows_a_user:.1f} a user"
        spread = f" ({size.fewest:,} to {size.most:,})" if size.users else ""
        notes.append(f"learnt from {size.rows:,} of {total:,} training rows{mean}{spread}")
    training = asdict(size) | {"rows_a_user": size.rows_a_user}
    run.record |= {"dropped": dict(fitted.scores.dropped), "notes": notes, "training": training}
    run.record["processes"] = world_size()
    run.record |= machine(compute.device)
    run.record["features_made_by"] = sorted(compute.made_by)
    for note in notes:
        run.log(note=note)
        if note not in told:
            session.report(f"{cell.label}: {note}")
    wait_for_all(session.compute.device)  # what is in `work` is removed when the first one is done


def settled(
    identity: Identity, folder: Path, label: str, session: Session, make: Callable[[Run], None]
) -> Run:
    """A finished run of one process, made or found; waits where another process makes it.

    Args:
        identity: What is asked for.
        folder: Where it lies.
        label: What it is called.
        session: Who is told, and what else was asked for.
        make: Writes everything but the manifest into the `work` of the run that it is given.

    Raises:
        UsageError: The folder holds something else.
        TakenOver: Another process holds the run by now, and has not finished it.
    """
    from plt.data.run import Held, open_run

    force = session.force
    while True:
        run: Run | Held = open_run(identity, folder, force=force, watch=session.watch)
        if not isinstance(run, Held):
            break
        session.report(f"{label}: {run.holder} is making this run: waiting for it")
        while not is_free(run, session):
            time.sleep(session.watch.timing.poll)
        force = False  # what was made while we waited is made anew already
    if run.finished:
        session.report(f"{label}: this run is done already; --force does it again")
        return run
    claimed = run

    def made() -> None:
        from plt.train.runtime.devices import machine

        make(claimed)
        claimed.record |= machine(session.compute.device)

    return published(run, label, session, made)


def watched(progress: Progress, run: Run, session: Session) -> Progress:
    """The progress callback, which ends a fit when another process holds the run.

    A look a second is as good as one a step: nobody takes over who has not heard of this process
    for much longer.
    """
    if run.claim is None:
        return progress
    claim, clock, poll = run.claim, session.watch.clock, session.watch.timing.poll
    looked = clock()

    def told(what: str, done: int, total: int) -> None:
        nonlocal looked
        if clock() - looked > poll:
            claim.check()
            looked = clock()
        progress(what, done, total)

    return told


def _write_tables(run: Run, fitted: Fitted, prefs: Preferences, learnt: Preferences) -> None:
    """The scores, with what is known of each judgement from training rows, and their metrics."""
    from plt.analyze.scores.evaluation import measure
    from plt.analyze.scores.minority_flags import with_minority
    from plt.analyze.scores.novelty import with_novelty
    from plt.data.run import METRICS_FILE, SCORES_FILE
    from plt.data.tables.schema import METRICS_TABLE, SCORES
    from plt.data.tables.table import Meta, write_table

    meta = Meta(
        dataset=prefs.meta.dataset,
        license=prefs.meta.license,
        split=prefs.meta.split,
        dropped=dict(fitted.scores.dropped),
    )
    frame = with_minority(fitted.scores.frame, prefs.votes)
    frame = with_novelty(frame, prefs, learnt.votes)
    write_table(frame, SCORES, run.work / SCORES_FILE, meta)
    write_table(measure(frame, command="train"), METRICS_TABLE, run.work / METRICS_FILE, meta)


def test_accuracy(run: Run) -> Accuracy | None:
    """Over users where that has a value, else over judgements."""
    import polars as pl

    from plt.data.run import METRICS_FILE
    from plt.data.tables.schema import METRICS_TABLE
    from plt.data.tables.table import read_table

    metrics, _ = read_table(run.path / METRICS_FILE, METRICS_TABLE)
    rows = metrics.filter(
        pl.col("metric") == "accuracy", pl.col("split") == "test", pl.col("control").is_null()
    )
    found = {row["average"]: row for row in rows.iter_rows(named=True)}
    by_user = found.get("user")
    best = by_user if by_user is not None and by_user["value"] is not None else found.get("pair")
    if best is None:
        return None
    keys = ("value", "ci_low", "ci_high", "interval", "average")
    return Accuracy(**{key: best[key] for key in keys}, n_judgements=best["n_pairs"])


def _report_accuracy(made: Made, session: Session) -> None:
    from plt.analyze.intervals.figures import number

    found = made.accuracy
    if found is None:
        return
    ends = f"[{number(found.ci_low)}, {number(found.ci_high)}]"
    unit = "over users" if found.average == "user" else "over judgements"
    session.report(
        f"{made.cell.label}: test accuracy {number(found.value)} {ends} {unit},"
        f" {found.n_judgements} judgements"
    )
