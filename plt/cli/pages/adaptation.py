"""Learning curves as tables and as the object of ``--json``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plt.analyze.adaptation.answers import ALL_ANSWERS
from plt.analyze.adaptation.claims import claims
from plt.analyze.intervals.figures import (
    MISSING,
    difference_json,
    interval_json,
    points,
    with_interval,
)
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.adaptation.answers import Figures, Size
    from plt.analyze.adaptation.curves import Adaptation, Curve, Point

TABLES = (
    ("accuracy by user, from n answers (layout of Dong et al. 2025, table 4)", "accuracy"),
    ("AUC over judgements, from n answers (layout of Shenfeld et al. 2025, table 1)", "auc"),
    ("log loss by user, from n answers; 0.693 is a coin", "log_loss"),
    ("overconfidence by user: probability promised minus share kept", "overconfidence"),
)
"""Title of each table of figures, and which figure it holds."""


def adaptation_blocks(found: Adaptation) -> tuple[Block, ...]:
    """Figures and gains by the number of answers, and what may be said of them."""
    blocks: list[Block] = []
    for title, name in TABLES:
        blocks.append(_figures_table(found, title, name))
    if set(found.sizes) != {0}:
        blocks += _gains(found)
    return (*blocks, Line(_ground(found)), *(Line(sentence) for sentence in claims(found)))


def _gains(found: Adaptation) -> list[Block]:
    title = "gain over its own generic user (points of accuracy)"
    blocks: list[Block] = [_gains_table(found, title, _own)]
    if found.vanilla is not None:
        title = f"gain over {found.vanilla} (points of accuracy)"
        blocks.append(_gains_table(found, title, lambda point: points(point.over_vanilla)))
    blocks.append(_gains_table(found, "own minus another new person (points)", _part))
    blocks.append(_gains_table(found, "users harmed: named, of those tested, at least", _harmed))
    return blocks


def _sizes(found: Adaptation) -> tuple[Size, ...]:
    """All but all answers: a bound is a line, not a column."""
    return tuple(size for size in found.sizes if size != ALL_ANSWERS)


def _heads(found: Adaptation) -> tuple[str, ...]:
    return tuple(f"{size} ({_counted(_people(found, size), 'person')})" for size in _sizes(found))


def _counted(n: int, noun: str) -> str:
    plural = {"person": "people"}.get(noun, f"{noun}s")
    return f"{n} {noun if n == 1 else plural}"


def _people(found: Adaptation, size: Size) -> int:
    at = [point.n_users for curve in found.curves if (point := curve.at(size)) is not None]
    return max(at, default=0)


def _figures_table(found: Adaptation, title: str, name: str) -> Table:
    sizes = _sizes(found)
    rows = []
    for curve in found.curves:
        bound = curve.at(ALL_ANSWERS)
        if bound is not None:
            cell = with_interval(getattr(bound.figures, name))
            whose = f"{curve.name}, all answers of {_counted(bound.n_users, 'person')}"
            rows.append((whose, *[cell] * len(sizes)))
    for curve in found.curves:
        rows.append((curve.name, *(_figure(curve, size, name) for size in sizes)))
    columns = ("method", *_heads(found))
    return Table(columns, tuple(rows), title, frozenset(columns[1:]))


def _figure(curve: Curve, size: Size, name: str) -> str:
    point = curve.at(size)
    return MISSING if point is None else with_interval(getattr(point.figures, name))


def _gains_table(found: Adaptation, title: str, cell: Callable[[Point], str]) -> Table:
    sizes = tuple(size for size in found.sizes if size != 0)
    columns = ("method", *(str(size) for size in sizes))
    rows = tuple(
        (curve.name, *(MISSING if (p := curve.at(size)) is None else cell(p) for size in sizes))
        for curve in found.curves
        if not curve.flat
    )
    return Table(columns, rows, title, frozenset(columns[1:]))


def _own(point: Point) -> str:
    return points(point.own)


def _part(point: Point) -> str:
    return points(point.part)


def _harmed(point: Point) -> str:
    found = point.harmed
    if found is None or found.at_least is None:
        return MISSING
    return f"{len(found.users)} of {found.n_tested}, at least {found.at_least}"


def _ground(found: Adaptation) -> str:
    later = [p for c in found.curves if not c.flat for p in c.points]
    draws = sorted({p.draws for p in later if p.size not in (0, ALL_ANSWERS)})
    times = " or ".join(map(str, draws))
    drawn = f"; answers drawn {times} times, averaged within a person" if draws else ""
    new = "new person" if found.n_users == 1 else "new people"
    return (
        f"{_counted(found.n_judgements, 'question')} to {found.n_users} {new};"
        f" {_counted(found.n_ties, 'tie')} left out{drawn}; 95 % intervals, {_targets(found)};"
        " the gains of a table hold together."
    )


def _targets(found: Adaptation) -> str:
    """Whom the figures are about: with fewer people at larger sizes it may be another target."""
    sizes: dict[str, list[str]] = {}
    for point in (point for curve in found.curves for point in curve.points):
        listed = sizes.setdefault(point.ground.about, [])
        if (size := str(point.size)) not in listed:
            listed.append(size)
    if len(sizes) == 1:
        return f"about {next(iter(sizes))}"
    return "; ".join(f"after {', '.join(at)} about {about}" for about, at in sizes.items())


def adaptation_json(found: Adaptation) -> dict[str, Any]:
    """The learning curves as ``--json`` prints them."""
    return {
        "n_users": found.n_users,
        "n_judgements": found.n_judgements,
        "n_ties": found.n_ties,
        "vanilla": found.vanilla,
        "seeds": list(found.seeds),
        "curves": [
            {
                "name": curve.name,
                "method": curve.method,
                "flat": curve.flat,
                "points": [_point_json(point) for point in curve.points],
            }
            for curve in found.curves
        ],
        "claims": claims(found),
    }


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "n_shots": None if point.size == ALL_ANSWERS else point.size,
        "all_answers": point.size == ALL_ANSWERS,
        "draws": point.draws,
        "about": point.ground.about,
        **_figures_json(point.figures),
        "generic": _figures_json(point.generic),
        "gain": difference_json(point.own),
        "log_loss_change": difference_json(point.loss),
        "auc_gain": None if point.auc is None else interval_json(point.auc),
        "gain_over_vanilla": difference_json(point.over_vanilla),
        "own_minus_wrong_user": difference_json(point.part),
        "harmed": None if point.harmed is None else point.harmed.to_json(),
        "power": None if point.power is None else asdict(point.power),
    }


def _figures_json(found: Figures) -> dict[str, Any]:
    return {
        "accuracy": interval_json(found.accuracy),
        "auc": interval_json(found.auc),
        "log_loss": interval_json(found.log_loss),
        "overconfidence": interval_json(found.overconfidence),
    }
