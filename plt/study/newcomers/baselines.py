"""What a run that adapts is measured beside: found among the runs, or fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plt.errors import PltError
from plt.study.execute import execute
from plt.study.plan import Asked, plan

if TYPE_CHECKING:
    from plt.data.run import Run
    from plt.study.make_run import Session

BASELINES = ("bradley-terry", "individual", "further-fine-tune", "retrieve-similar")
"""Vanilla; a model of the answers alone; and the new-user baselines of Dong et al. (2025)."""


def with_baselines(trained: Sequence[Run], session: Session) -> list[Path]:
    """The runs, behind those that they are measured beside.

    Baselines are fitted for heads alone, on the same table, backbone, training rows and seed.

    Args:
        trained: Fitted runs of the session's table.
        session: The table, the folders, who is told; the seed is that of each run.
    """
    found: list[Path] = []
    asked: list[tuple[Asked, int]] = []
    for run in trained:
        mine = (_asked(run), run.identity.seed)
        if _is_head(run) and mine not in asked:
            asked.append(mine)
    for wanted, seed in asked:
        session.report("what they are measured beside is made too (not with --no-baselines)")
        try:
            cells = plan(wanted, session.prefs, False)
            alike = replace(session, seed=seed, force=False, out=None)
            found += [made.path for made in execute(cells, alike, fit_baseline=False).made]
        except PltError as error:
            session.report(f"no baselines: {error.message}")
    places = {path.resolve(): path for path in [run.path for run in trained] + found}
    paths = dict.fromkeys(places[path.resolve()] for path in [*found, *(r.path for r in trained)])
    return list(paths)


def _is_head(run: Run) -> bool:
    settings = run.identity.config.get("set", {})
    return settings.get("tune") == "head" and "model" in settings


def _asked(run: Run) -> Asked:
    """The baselines of a run, as they would be typed."""
    config = run.identity.config
    settings = config.get("set", {})
    size = config.get("train_size")
    return Asked(
        methods=",".join(BASELINES),
        models=settings.get("model"),
        shared={"tune": "head", "max_length": settings.get("max_length")},
        settings=(),
        train_size=None if size is None else str(size),
        train_size_of=config.get("train_size_of", "total"),
        sham=None,
    )
