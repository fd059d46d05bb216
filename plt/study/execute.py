"""Makes the runs of `plt train`: finds or fits each cell, measures it, and says what came out."""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.cli.shell.streams import say
from plt.errors import PltError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.run import Identity, Run
    from plt.data.tables.preferences import Preferences
    from plt.study.plan import Cell
    from plt.train.method import Compute
    from plt.train.runs.fit_and_score import Fitted

FAILED = 3


@dataclass(frozen=True)
class Session:
    """What all runs of one command share.

    Attributes:
        prefs: The split table.
        people: A `users/1` table, or None.
        compute: How to compute.
        seed: Of every run.
        runs: Folder that runs are made in.
        out: Folder of the only run, or None.
        arguments: What else was typed and does not change a run.
        force: Do again what is done.
        inputs: Content hashes of the tables.
        scratch: Where a process that does not lead writes what it throws away; None in the others.
    """

    prefs: Preferences
    people: pl.DataFrame | None
    compute: Compute
    seed: int
    runs: Path
    out: Path | None
    arguments: Mapping[str, Any]
    force: bool
    inputs: Mapping[str, str]
    scratch: Path | None = None

    def identity(self, cell: Cell) -> Identity:
        """What makes a run of this cell the same run."""
        from plt.data.run import Identity
        from plt.train.runs.fitted_run import model_fingerprint

        config = cell.identity_config
        inputs = dict(self.inputs)
        if (fingerprint := model_fingerprint(cell.config)) is not None:
            inputs["model"] = fingerprint
            config["dtype"] = self.compute.dtype
        return Identity("train", cell.name, config, self.seed, inputs)

    def folder(self, identity: Identity) -> Path:
        """Where a run lies when nobody says where."""
        return self.runs / f"{identity.method}-{identity.run_id}"


@dataclass
class Outcome:
    """What became of the cells.

    Attributes:
        done: (cell, entry of ``--json``) of each finished run.
        failed: (label, reason) of each run that failed.
        exit_code: 0, or the worst of the failures': 2 for what a person can fix, 3 for the rest.
    """

    done: list[tuple[Cell, dict[str, Any]]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    exit_code: int = 0


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path | None]:
    """A folder for the length of the block in processes that do not lead; None in the first."""
    from plt.train.runtime.processes import leads

    if leads():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="plt-") as folder:
        yield Path(folder)


def run_cell(cell: Cell, session: Session, outcome: Outcome, *, alone: bool) -> None:
    """Makes the run of a cell, or notes why it failed so that the others can go on.

    Raises:
        PltError: The cell is `alone`, and failed.
    """
    from plt.train.runtime.processes import world_size

    try:
        outcome.done.append((cell, make_run(cell, session)))
        return
    except PltError as error:
        if alone:
            raise
        reason, code = ": ".join([error.message, *error.problems]), error.exit_code
    except Exception as error:
        # What fails in one process alone must end all, which would wait for it for ever.
        if alone or world_size() > 1:
            raise
        reason, code = f"{type(error).__name__}: {error}", FAILED
    say(f"{cell.label}: failed: {reason}")
    outcome.failed.append((cell.label, reason))
    outcome.exit_code = max(outcome.exit_code, code)


def make_run(cell: Cell, session: Session) -> dict[str, Any]:
    """Makes one run, or finds it, and says what came out."""
    from plt.data.run import open_run, recording
    from plt.train.runtime.processes import first_decides

    identity = session.identity(cell)
    folder = session.out or session.folder(identity)
    device = session.compute.device
    run = first_decides(lambda: open_run(identity, folder, force=session.force), device)
    work = run.path
    if session.scratch is not None and not run.finished:
        run = replace(run, path=session.scratch / run.run_id)
    if run.finished:
        say(f"{cell.label}: this run is done already; --force does it again")
    else:
        if run.resumed:
            say(f"{cell.label}: resuming {run.path}")
        with recording(run, session.arguments):
            try:
                _fit(run, work, cell, session)
            except Exception:
                run.log(traceback=traceback.format_exc())
                raise
    return _summary(run, cell)


def _fit(run: Run, work: Path, cell: Cell, session: Session) -> None:
    """Fits, scores, measures and writes everything but the manifest.

    Processes share the folder `work`, where checkpoints are; only the first writes `run` there.
    """
    from plt.data.run import MODEL
    from plt.data.splitting.samples import draw_sample, training_size
    from plt.train.method import TrainContext
    from plt.train.runs.fit_and_score import fit_and_score
    from plt.train.runs.scoring import Label
    from plt.train.runtime.processes import wait_for_all, world_size

    prefs = session.prefs
    ctx = TrainContext(session.seed, work, session.compute, session.people)
    learnt = prefs if cell.sample is None else draw_sample(prefs, cell.sample, session.seed)
    size = training_size(learnt)
    label = Label(run.run_id, cell.name, session.seed)
    sham: Any = cell.sham or "score"
    fitted = fit_and_score(prefs, cell.method, ctx, label, sham=sham, learn_from=learnt)
    fitted.method.save(run.path / MODEL)
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
    for note in notes:
        run.log(note=note)
        say(f"{cell.label}: {note}")
    wait_for_all(session.compute.device)  # what is in `work` is removed when the first one is done


def _write_tables(run: Run, fitted: Fitted, prefs: Preferences, learnt: Preferences) -> None:
    """The scores, with what is known of each judgement from training rows, and their metrics."""
    from plt.analyze.scores.evaluation import measure
    from plt.analyze.scores.minority_flags import with_minority
    from plt.analyze.scores.novelty import with_novelty
    from plt.data.run import METRICS, SCORES
    from plt.data.tables.schema import METRICS as METRICS_TABLE
    from plt.data.tables.schema import SCORES as SCORES_TABLE
    from plt.data.tables.table import Meta, write_table

    meta = Meta(
        dataset=prefs.meta.dataset,
        license=prefs.meta.license,
        split=prefs.meta.split,
        dropped=dict(fitted.scores.dropped),
    )
    frame = with_minority(fitted.scores.frame, prefs.votes)
    frame = with_novelty(frame, prefs, learnt.votes)
    write_table(frame, SCORES_TABLE, run.path / SCORES, meta)
    write_table(measure(frame, command="train"), METRICS_TABLE, run.path / METRICS, meta)


def _summary(run: Run, cell: Cell) -> dict[str, Any]:
    """The run's path and its test accuracy, said on stderr too."""
    import polars as pl

    from plt.cli.pages.numbers import number
    from plt.data.run import METRICS
    from plt.data.tables.schema import METRICS as METRICS_TABLE
    from plt.data.tables.table import read_table

    metrics, _ = read_table(run.path / METRICS, METRICS_TABLE)
    rows = metrics.filter(
        pl.col("metric") == "accuracy", pl.col("split") == "test", pl.col("control").is_null()
    )
    found = {row["average"]: row for row in rows.iter_rows(named=True)}
    best = (
        found.get("user") if found.get("user", {}).get("value") is not None else found.get("pair")
    )
    figure = None
    if best is not None:
        figure = {k: best[k] for k in ("value", "ci_low", "ci_high", "interval", "average")}
        ends = f"[{number(best['ci_low'])}, {number(best['ci_high'])}]"
        unit = "over users" if best["average"] == "user" else "over judgements"
        say(
            f"{cell.label}: test accuracy {number(best['value'])} {ends} {unit},"
            f" {best['n_pairs']} judgements"
        )
    return {
        "run": str(run.path),
        "run_id": run.run_id,
        "method": cell.name,
        "model": cell.config.get("model"),
        "train_size": None if cell.sample is None else cell.sample.size,
        "train_size_of": None if cell.sample is None else cell.sample.of,
        "training": run.record.get("training"),
        "accuracy": figure,
        "gain": None,
    }
