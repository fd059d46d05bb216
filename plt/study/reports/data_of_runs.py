"""What the data of runs is like, where the table that they were made from is still there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plt.errors import PltError
from plt.study.plan import split_if_needed
from plt.study.run_facts import data_argument

if TYPE_CHECKING:
    from plt.analyze.dataset.statistics import DatasetStatistics
    from plt.data.run import Run
    from plt.data.tables.preferences import Preferences


def data_statistics(run: Run) -> DatasetStatistics | str:
    """What ``plt dataset-stats`` says of the table behind a run, or why that is not known.

    The table is looked for where the run's `config.toml` says, and taken only if its judgements
    have the hash that stands in the manifest. Nothing is downloaded.
    """
    from plt.analyze.dataset.describe import describe
    from plt.data.tables.table import content_hash

    found = _table(run)
    if isinstance(found, str):
        return found
    try:
        prefs = split_if_needed(found, run.identity.seed, lambda _: None)
    except PltError as error:
        return error.message
    if content_hash(prefs.votes) != run.identity.inputs.get("preferences"):
        return f"{data_argument(run)} no longer holds the judgements that the runs were made from"
    return describe(prefs.votes, prefs.meta, lambda: prefs, seed=0)


def _table(run: Run) -> Preferences | str:
    from plt.data import catalog
    from plt.data.registry import SYNTHETIC
    from plt.data.tables.preferences import read_preferences

    data = data_argument(run)
    if data is None:
        return "the runs do not say where their data is"
    try:
        if Path(data).is_file():
            return read_preferences(Path(data))
        if data.startswith(SYNTHETIC):
            return catalog.load(data, None, lambda _: None)
    except PltError as error:
        return error.message
    return f"the data of the runs, {data}, is not there"
