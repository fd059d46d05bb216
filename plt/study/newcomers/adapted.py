"""A run of `plt adapt` as a model again: what it knew of its new people after n answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plt.errors import ArtifactError, UsageError
from plt.study.digests import model_digest
from plt.study.newcomers.adapt import Asked, chosen_people
from plt.study.newcomers.tables import given_data, other_table, own_table

if TYPE_CHECKING:
    import polars as pl

    from plt.data.run import Run
    from plt.data.splitting.shots import Newcomers
    from plt.data.tables.preferences import Preferences
    from plt.train.method import Compute
    from plt.train.runs.fitted_run import FittedRun

ALL = "all"
ReadTable = Callable[[str], "Preferences"]
ReadUsers = Callable[[str], "pl.DataFrame"]


def is_adapt_run(path: Path) -> bool:
    """Whether a folder is a run of `plt adapt`."""
    from plt.data.run import MANIFEST, load_manifest

    return (path / MANIFEST).exists() and load_manifest(path).identity.command == "adapt"


def adapted_run(
    path: Path,
    n_shots: str | None,
    draw: int,
    compute: Compute,
    read: ReadTable,
    read_users: ReadUsers,
    report: Callable[[str], None],
) -> FittedRun:
    """Adapts the trained run again, to the very answers that the run of `plt adapt` was shown.

    Args:
        path: A finished run of `plt adapt`.
        n_shots: One of its numbers of answers, or ``all``.
        draw: Which draw of them.
        compute: How.
        read: Reads what was typed as DATA.
        read_users: Reads what was typed as ``--users``.
        report: Takes a sentence.

    Returns:
        The adapted model, which is asked for the new people with so many answers alone.

    Raises:
        UsageError: The run has no such number of answers or draw.
        ArtifactError: The trained run or the table is not what it was.
    """
    from plt.data.run import load_run
    from plt.data.splitting.shots import newcomers
    from plt.train.judgements import support_view
    from plt.train.method import TrainContext
    from plt.train.runs.fitted_run import load_fitted_run

    run = load_run(path)
    asked = _asked(run)
    wanted = _wanted(run, asked, n_shots, draw)
    trained = Path(run.record["trained"]["run"])
    fitted = load_fitted_run(trained, compute)
    if model_digest(fitted.run) != run.identity.inputs.get("run"):
        raise ArtifactError(
            f"{trained} is not the run that {path} adapted", hint=f"plt adapt {trained}"
        )
    prefs, words = _table(run, fitted.run, read, read_users, report)
    seed = run.identity.seed
    people: Newcomers = chosen_people(fitted, newcomers(prefs, asked.apart), asked, seed)
    ctx = TrainContext(seed, run.work, compute, words)
    shots = people.shots(wanted, draw, seed)
    whom = people.users if wanted == 0 else people.enough(wanted)
    if not whom:
        raise UsageError(
            f"nobody of {path} has {n_shots} answers, so there is nobody to write for",
            hint="--n-shots 0",
        )
    method = fitted.method.adapt(support_view(shots, words), ctx)
    told = "all answers" if wanted is None else f"{wanted} answer{'s' * (wanted != 1)}"
    return replace(fitted, method=method, whom=whom, told=f"{told}, draw {draw}")


def _asked(run: Run) -> Asked:
    """What was shown of everybody, from the run's identity."""
    config = run.identity.config
    sizes = tuple(int(size) for size in str(config["n_shots"]).split(","))
    return Asked(sizes, int(config["draws"]), config["apart"], config.get("select", "random"))


def _wanted(run: Run, asked: Asked, n_shots: str | None, draw: int) -> int | None:
    """The number of answers that was typed; None is all.

    Raises:
        UsageError: The run has none of the kind.
    """
    listed = ", ".join(map(str, asked.n_shots))
    if n_shots is None:
        raise UsageError(
            f"{run.path} was shown several numbers of answers ({listed}): which is meant?",
            hint=f"--n-shots {asked.n_shots[-1]}",
        )
    if not 0 <= draw < asked.draws:
        raise UsageError(
            f"--draw is {draw}; {run.path} has the draws 0 to {asked.draws - 1}", hint="--draw 0"
        )
    if n_shots == ALL:
        return None
    if not n_shots.isdecimal() or int(n_shots) not in asked.n_shots:
        raise UsageError(
            f"--n-shots is {n_shots!r}; {run.path} was shown {listed} answers",
            hint=f"--n-shots {asked.n_shots[-1]}",
        )
    return int(n_shots)


def _table(
    run: Run,
    trained: Run,
    read: ReadTable,
    read_users: ReadUsers,
    report: Callable[[str], None],
) -> tuple[Preferences, pl.DataFrame | None]:
    """The table of the new people, divided as it was, and what they say of themselves.

    Raises:
        ArtifactError: It is not what the run adapted to, or the run does not say which it was.
    """
    from plt.data.run import CONFIG
    from plt.data.tables.content import input_hashes

    data, users = given_data(run)
    if data == given_data(trained)[0]:
        prefs, words, _ = own_table([trained], read, read_users, report)
    else:
        prefs, words = other_table(read(data), [trained], report), None
    if users is not None:
        words = read_users(users)
    for role, content in input_hashes(prefs, words).items():
        if run.identity.inputs.get(role, content) != content:
            raise ArtifactError(
                f"the {role} of {data} are not those that {run.path} adapted to",
                hint=f"plt adapt --config {run.path / CONFIG}",
            )
    return prefs, words


def refuse_size(n_shots: str | None, path: Path | None) -> None:
    """Raises `UsageError` where a number of answers is given and no run of `plt adapt`."""
    if n_shots is not None and (path is None or not is_adapt_run(path)):
        named = "nothing" if path is None else str(path)
        raise UsageError(
            f"--n-shots is a number of answers of a run of plt adapt; {named} is none",
            hint="--guide runs/adapt-pref-... --n-shots 5",
        )
