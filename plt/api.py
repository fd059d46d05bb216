"""The Python API: `read`, `stats` and `load`, documented names of the package `plt`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from plt.data import catalog

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.dataset.statistics import DatasetStatistics
    from plt.data.tables.preferences import Preferences
    from plt.train.runs.fitted_run import FittedRun


def read(data: str | Path) -> Preferences:
    """Reads a preference table by path or registry name.

    Args:
        data: ``prefs.parquet``, ``synthetic:attributes``, ``prism``, ...

    Returns:
        Votes and pairs, two polars frames, with the table's metadata.
    """
    return catalog.load(str(data))


def stats(data: str | Path | Preferences, *, seed: int = 0) -> DatasetStatistics:
    """The statistics of `plt dataset-stats`; `.to_json()` is what ``--json`` prints."""
    from plt.analyze.dataset.statistics import dataset_statistics

    prefs = read(data) if isinstance(data, str | Path) else data
    found = dataset_statistics(prefs.votes, prefs.meta, seed=seed)
    if found.has_little_overlap:
        from plt.analyze.taste.heterogeneity import heterogeneity

        found = replace(found, heterogeneity=heterogeneity(prefs, seed=seed).to_json())
    return found


@dataclass(frozen=True)
class LoadedRun:
    """A finished run that scores.

    Attributes:
        fitted: The run directory and its method.
    """

    fitted: FittedRun

    def score(self, data: str | Path | Preferences, as_user: str | None = None) -> pl.DataFrame:
        """A `scores/1` table of every judgement in `data`."""
        prefs = read(data) if isinstance(data, str | Path) else data
        return self.fitted.score(prefs, as_user).frame


def load(run: str | Path) -> LoadedRun:
    """Loads a finished run directory."""
    from plt.data.cache import cache_dir
    from plt.train.method import Compute
    from plt.train.runs.fitted_run import load_fitted_run

    return LoadedRun(load_fitted_run(Path(run), Compute(cache_dir=cache_dir())))
