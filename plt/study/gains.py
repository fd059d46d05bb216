"""The gain of every personal run over vanilla, said behind the run, with its shams beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.cli.shell.streams import say
from plt.errors import PltError

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Compared
    from plt.study.execute import Session
    from plt.study.plan import Cell

VANILLA = {"reward": "bradley-terry", "policy": "dpo"}
SHARED = (
    "model", "tune", "max_length", "epochs", "learning_rate", "pairs_per_step", "lora_rank",
    "lora_alpha", "lora_targets", "quantize",
)  # fmt: skip
"""Settings that a vanilla reward model shares with the run it is compared with; its penalty is its
own. A vanilla policy shares all that it has."""

Done = tuple["Cell", dict[str, Any]]


def add_gains(done: Sequence[Done], session: Session, *, fit_baseline: bool) -> None:
    """Says the gain over vanilla of each personal run, and puts it into its entry.

    Vanilla is the ``bradley-terry`` run, or for policies ``dpo``, of the same table, seed, training
    rows, model and tuning: one of this command, else a finished one among the runs, else, for
    heads, one that is fitted now.

    Args:
        done: The finished runs of one model and training size.
        session: What they share.
        fit_baseline: Whether to fit vanilla where it is not at hand.
    """
    for cell, entry in done:
        if cell.sham is None:
            continue
        try:
            baseline = _baseline(cell, done, session, fit_baseline)
            if baseline is not None:
                entry["gain"] = _gain(cell, Path(entry["run"]), baseline)
        except PltError as error:
            say(f"{cell.label}: no gain over vanilla: {error.message}")


def _baseline(
    cell: Cell, done: Sequence[Done], session: Session, fit_baseline: bool
) -> Path | None:
    """The run of vanilla that a run is compared with."""
    from plt.study.execute import make_run
    from plt.train.runtime.processes import first_decides

    for other, entry in done:
        if other.name == _vanilla_name(cell) and _alike(other.config, cell.config):
            return Path(entry["run"])
    vanilla = _vanilla(cell)
    folder = session.folder(session.identity(vanilla))
    if first_decides(lambda: _finished(folder), session.compute.device):
        return folder
    if not fit_baseline or cell.config.get("tune") != "head":
        return None
    say(
        f"{cell.label}: fitting {vanilla.name} too, to measure the gain over it (not with"
        " --no-baseline)"
    )
    made = make_run(vanilla, replace(session, out=None, force=False))
    return Path(made["run"])


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


def _gain(cell: Cell, run: Path, baseline: Path) -> dict[str, Any]:
    """The paired differences of a run to its baseline, said too."""
    from plt.analyze.comparison.compare import compare
    from plt.cli.pages.numbers import difference_json, interval_json, points
    from plt.study.entries import load_entries

    entries = load_entries([baseline, run])
    row: Compared = compare(entries, baseline=entries[0].name).rows[1]
    text = f"gain over vanilla {points(row.gain)} points"
    if row.wrong_user is not None:
        text += f"; with the wrong user {points(row.wrong_user)}"
    if row.shuffled_ids is not None:
        text += f"; with shuffled ids {points(row.shuffled_ids)}"
    say(f"{cell.label}: {text}")
    return {
        "baseline": str(baseline),
        "own": difference_json(row.gain, row.gain_p),
        "wrong_user": difference_json(row.wrong_user, None),
        "shuffled_ids": difference_json(row.shuffled_ids, None),
        "made_worse": None if row.made_worse is None else interval_json(row.made_worse),
    }
