"""The gain of every personal run over vanilla, with its shams beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.data.claims import TakenOver
from plt.errors import PltError
from plt.study.make_run import await_run
from plt.study.outcome import Made, OverVanilla

if TYPE_CHECKING:
    from plt.study.make_run import Session
    from plt.study.plan import Cell

VANILLA = {"reward": "bradley-terry", "policy": "dpo"}
SHARED = (
    "model", "tune", "max_length", "epochs", "learning_rate", "pairs_per_step", "lora_rank",
    "lora_alpha", "lora_targets", "quantize",
)  # fmt: skip
"""Settings that a vanilla reward model shares with the run it is compared with; its penalty is its
own. A vanilla policy shares all that it has."""


def with_gains(made: Sequence[Made], session: Session, *, fit_baseline: bool) -> list[Made]:
    """The runs with the gain over vanilla of each personal one, which is reported too.

    Vanilla is the ``bradley-terry`` run, or for policies ``dpo``, of the same table, seed, training
    rows, model and tuning: one of these, else a finished one among the runs, else, for heads and
    for policies from a toy model, one that is fitted now.

    Args:
        made: The finished runs of one model and training size.
        session: What they share.
        fit_baseline: Whether to fit vanilla where it is not at hand.
    """
    return [
        run if run.cell.sham is None else _with_gain(run, made, session, fit_baseline)
        for run in made
    ]


def _with_gain(run: Made, made: Sequence[Made], session: Session, fit_baseline: bool) -> Made:
    try:
        baseline = _baseline(run.cell, made, session, fit_baseline)
        return run if baseline is None else replace(run, gain=_gain(run, baseline, session))
    except TakenOver:
        raise  # by one of several processes alone: it must end all
    except PltError as error:
        session.report(f"{run.cell.label}: no gain over vanilla: {error.message}")
        return run


def _baseline(
    cell: Cell, made: Sequence[Made], session: Session, fit_baseline: bool
) -> Path | None:
    """The run of vanilla that a run is compared with."""
    from plt.train.runtime.processes import first_decides

    for other in made:
        if other.cell.name == _vanilla_name(cell) and _alike(other.cell.config, cell.config):
            return other.path
    vanilla = _vanilla(cell)
    folder = session.folder(session.identity(vanilla))
    if first_decides(lambda: _finished(folder), session.compute.device):
        return folder
    if not fit_baseline or not _cheap(cell):
        return None
    session.report(
        f"{cell.label}: fitting {vanilla.name} too, to measure the gain over it (not with"
        " --no-baseline)"
    )
    return await_run(vanilla, replace(session, out=None, force=False)).path


def _cheap(cell: Cell) -> bool:
    """Whether vanilla is fitted without being asked for."""
    from plt.train.policies.settings import TOYS
    from plt.train.registry import method_card

    if method_card(cell.name).kind == "policy":
        return cell.config.get("model") in TOYS
    return cell.config.get("tune") == "head"


def _finished(folder: Path) -> bool:
    from plt.data.run import MANIFEST, load_manifest

    return (folder / MANIFEST).exists() and load_manifest(folder).finished


def _alike(vanilla: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether model and tuning are the same, as far as the other has them."""
    return all(other[key] == vanilla[key] for key in ("model", "tune") if key in other)


def _vanilla(cell: Cell) -> Cell:
    from plt.train.registry import config_dict, config_keys, make_method
    from plt.train.tuning.settings import TUNED_ONLY

    name = _vanilla_name(cell)
    known = set(config_keys(name))
    if cell.config.get("tune") == "head":
        # A method whose networks read frozen features has epochs of its own; a head has none.
        known -= set(TUNED_ONLY)
    shared = SHARED if name == VANILLA["reward"] else tuple(known)
    settings = {key: cell.config[key] for key in shared if key in cell.config and key in known}
    method = make_method(name, settings)
    label = cell.label.replace(cell.name, name, 1)
    return replace(
        cell, name=name, method=method, config=config_dict(method), sham=None, label=label
    )


def _vanilla_name(cell: Cell) -> str:
    from plt.train.registry import method_card

    return VANILLA[method_card(cell.name).kind]


def _gain(run: Made, baseline: Path, session: Session) -> OverVanilla:
    """The paired differences of a run to its baseline, reported too."""
    from plt.analyze.comparison.compare import compare
    from plt.analyze.comparison.verdict import gain_line
    from plt.study.entries import load_entries

    entries = load_entries([baseline, run.path], session.report)
    found = compare(entries, baseline=entries[0].name)
    over = found.rows[1].gain
    assert over is not None  # the second of two, and not the baseline
    session.report(f"{run.cell.label}: {gain_line(over, found.ground)}")
    return OverVanilla(baseline, over, found.ground.about)
