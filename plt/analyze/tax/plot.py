"""`plt tax --plot`: changes by section, and by distance from the majority."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from plt.analyze.dataset.plots import shown
from plt.analyze.tax.change import Tax

MARK = b"plt tax"
"""Stands near the beginning of each picture, by which plt knows its own."""


def plot_tax(found: Tax, title: str, kind: str) -> bytes:
    """Draws two panels: the change of each section, and each user's mean change by distance.

    Args:
        found: The tax.
        title: What was scored.
        kind: ``svg`` or ``png``.

    Returns:
        The file's bytes; equal figures give equal ones.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "plt", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 5), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_sections(left, found)
        _draw_distance(right, found)
        figure.suptitle(shown(title), parse_math=False)
        drawn = io.BytesIO()
        mark = MARK.decode()
        metadata = {"Date": None, "Creator": mark} if kind == "svg" else {"Software": mark}
        figure.savefig(drawn, format=kind, metadata=metadata)
    return drawn.getvalue()


MARK_DOSE = b"plt dose"


def plot_dose(document: Mapping[str, Any], kind: str) -> bytes:
    """Draws accuracy for the people against the largest tax on the half that chose nothing.

    Args:
        document: What ``plt dose --json`` prints.
        kind: ``svg`` or ``png``.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "plt", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        _draw_frontier(axes, document)
        figure.suptitle(shown(f"{document['method']} on {document['bench']['file']}"),
                        parse_math=False)  # fmt: skip
        drawn = io.BytesIO()
        mark = MARK_DOSE.decode()
        metadata = {"Date": None, "Creator": mark} if kind == "svg" else {"Software": mark}
        figure.savefig(drawn, format=kind, metadata=metadata)
    return drawn.getvalue()


def _draw_frontier(axes: Any, document: Mapping[str, Any]) -> None:
    known = [
        (point, max(-each["value"] for each in point["other_half"].values()))
        for point in document["points"]
        if point["accuracy"] is not None and point["accuracy"]["value"] is not None
        and point["other_half"]
    ]  # fmt: skip
    if not known:
        _say(axes, "the accuracy of the run's own people is not known")
        return
    cost = [100 * tax for _, tax in known]
    good = [point["accuracy"]["value"] for point, _ in known]
    axes.plot(cost, good, "o-", markersize=3, color="#4477aa")
    for (point, _), x, y in zip(known, cost, good, strict=True):
        if point["share"] in (0, document["share"], 1):
            axes.annotate(f"{point['share']:g}", (x, y), parse_math=False)
        if point["share"] == document["share"]:
            axes.plot(x, y, "o", color="#cc3311", label="chosen share")
    axes.axvline(100 * document["max_tax"], color="black", linestyle="--", linewidth=1)
    axes.set_xlabel("largest loss of a section, points (half that chose nothing; dashed: budget)")
    axes.set_ylabel("accuracy for the people themselves")
    axes.legend(fontsize=8)


def _draw_sections(axes: Any, found: Tax) -> None:
    axes.set_title("change from the base, 95 % for all sections at once")
    parts = [each for each in found.sections if each.change is not None]
    known = [each for each in parts if each.change and each.change.interval.value is not None]
    if not known:
        _say(axes, "no base, so no change")
        return
    places = np.arange(len(known))[::-1]
    for place, each in zip(places, known, strict=True):
        change = each.change
        assert change is not None
        assert change.interval.value is not None
        value = 100 * change.interval.value
        if change.low is not None and change.high is not None:
            axes.plot([100 * change.low, 100 * change.high], [place, place], color="#4477aa")
        axes.plot(value, place, "o", color="#4477aa")
        if each.worst is not None:
            axes.plot(100 * each.worst.change, place, "x", color="#cc3311")
    axes.axvline(0, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(places, [shown(each.section.name) for each in known], parse_math=False)
    axes.set_xlabel("points (cross: the user who loses most)")


def _draw_distance(axes: Any, found: Tax) -> None:
    axes.set_title("change by distance from the majority")
    parts = [each for each in found.sections if each.by_user is not None]
    rows = [i for i, name in enumerate(found.users) if name in found.distance]
    if not parts or not rows:
        _say(axes, "no users whose distance from the majority and change are known")
        return
    far = [found.distance[str(found.users[i])] for i in rows]
    for each in parts:
        assert each.by_user is not None
        name = shown(each.section.name)
        axes.plot(far, 100 * each.by_user[rows], "o", markersize=3, label=name)
    axes.axhline(0, color="black", linestyle="--", linewidth=1)
    axes.set_xlabel("share of judgements against the majority of the others")
    axes.set_ylabel("points")
    axes.legend(fontsize=8)


def _say(axes: Any, reason: str) -> None:
    axes.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, parse_math=False)
    axes.set_axis_off()
