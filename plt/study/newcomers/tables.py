"""Whose unseen people a run adapts to: those of its own table, or of one that is named."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from plt.data.identity import GIVEN
from plt.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.run import Run
    from plt.data.tables.preferences import Preferences


def given_data(run: Run) -> tuple[str, str | None]:
    """What a run was trained on, as it was typed: data, and the table of users.

    Raises:
        ArtifactError: The run does not say.
    """
    from plt.data.run import CONFIG

    try:
        document = tomllib.loads((run.path / CONFIG).read_text(encoding="utf-8"))
        told = document[run.identity.command]
        return str(told["data"]), told.get("users")
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{run.path} does not say what it was trained on", hint="plt adapt RUN DATA"
        ) from error


def own_table(
    runs: Sequence[Run],
    read: Callable[[str], Preferences],
    read_users: Callable[[str], pl.DataFrame],
    report: Callable[[str], None],
) -> tuple[Preferences, pl.DataFrame | None, dict[str, str]]:
    """The table that runs were trained on, divided as it was then.

    Args:
        runs: Trained runs.
        read: Reads what was typed as DATA.
        read_users: Reads what was typed as ``--users``.
        report: Takes a sentence.

    Returns:
        The table, the users' table, and what they were called.

    Raises:
        UsageError: The runs were trained on different tables.
        ArtifactError: The table is not what it was.
    """
    from plt.data.tables.content import input_hashes
    from plt.study.plan import split_if_needed

    first = runs[0]
    tables = {run.identity.inputs.get("preferences") for run in runs}
    if len(tables) > 1:
        raise UsageError(
            "these runs were trained on different tables, so they have no unseen people in common",
            problems=[f"{run.path}: {given_data(run)[0]}" for run in runs],
            hint="plt adapt RUN RUN --data DATA",
        )
    data, users = given_data(first)
    if GIVEN in (data, users):
        raise UsageError(
            f"{first.path} was made in Python from a frame: no path leads to its people",
            hint="plt adapt RUN --data DATA",
        )
    prefs = split_if_needed(read(data), first.identity.seed, report)
    people = None if users is None else read_users(users)
    found = input_hashes(prefs, people)
    changed = [
        f"its {role} are others"
        for role, content in found.items()
        if first.identity.inputs.get(role, content) != content
    ]
    if changed:
        raise ArtifactError(
            f"{data} is not what {first.path} was trained on",
            problems=changed,
            hint="plt adapt RUN --data DATA",
        )
    arguments = {"data": data} | ({} if users is None else {"users": users})
    return prefs, people, arguments


def other_table(
    prefs: Preferences, runs: Sequence[Run], report: Callable[[str], None]
) -> Preferences:
    """A table that was named, divided as the first run's was where it is not divided yet.

    A table of new people alone, which nobody divided into seen and unseen ones, is divided by pairs
    only: all are new to the runs, which is checked when they are loaded.
    """
    import polars as pl

    from plt.data.splitting.splits import SplitPlan, is_split, split
    from plt.data.tables.table import content_hash

    if is_split(prefs):
        return prefs
    identity = runs[0].identity
    as_trained = split(prefs, SplitPlan(seed=identity.seed))
    if content_hash(as_trained.votes) == identity.inputs.get("preferences"):
        return as_trained
    alone = split(prefs, SplitPlan(seed=identity.seed, unseen_users=0.0))
    unit = (alone.meta.split or {})["unit"]
    report(f"the table had no split: divided by {unit}, and everybody in it taken as new")
    unseen = pl.lit("unseen").cast(alone.votes.schema["user_split"])
    named = pl.when(pl.col("user_id").is_not_null()).then(unseen)
    return replace(alone, votes=alone.votes.with_columns(user_split=named))
