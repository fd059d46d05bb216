"""`--plot` of learning curves: a line a run, a band over people, vanilla and bound as lines."""

import io
from typing import Any

from plt.analyze.adaptation.answers import ALL_ANSWERS
from plt.analyze.adaptation.curves import Adaptation, Curve
from plt.analyze.dataset.plots import shown
from plt.analyze.intervals.uncertainty import Interval

MARK = b"plt adapt"
"""Stands near the beginning of each picture, by which plt knows its own."""
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb5566", "#004488")
PANELS = (("accuracy", "accuracy by user"), ("auc", "AUC"), ("log_loss", "log loss by user"))


def plot_adaptation(found: Adaptation, kind: str) -> bytes:
    """Draws accuracy, AUC and log loss by the number of answers.

    The first panel is figure 3 of Dong et al. 2025: vanilla is a dotted line, the individual model
    of all answers a dashed black one. Bands are the 95 % intervals of each figure by itself.

    Args:
        found: What was compared.
        kind: ``svg`` or ``png``.

    Returns:
        The file's bytes; equal curves give equal ones.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "plt", "svg.fonttype": "none"}):
        figure = Figure(figsize=(16, 5), layout="constrained")
        for axes, (name, title) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            _draw(axes, found, name, title)
        drawn = io.BytesIO()
        text = MARK.decode()
        metadata = {"Date": None, "Creator": text} if kind == "svg" else {"Software": text}
        figure.savefig(drawn, format=kind, metadata=metadata)
    return drawn.getvalue()


def _draw(axes: Any, found: Adaptation, name: str, title: str) -> None:
    sizes = [size for size in found.sizes if size != ALL_ANSWERS]
    places = {size: place for place, size in enumerate(sizes)}
    for number, curve in enumerate(found.curves):
        colour = COLOURS[number % len(COLOURS)]
        _line(axes, curve, name, places, colour)
        bound = curve.at(ALL_ANSWERS)
        if bound is not None and getattr(bound.figures, name).value is not None:
            axes.axhline(
                getattr(bound.figures, name).value, color="black", linestyle="--", linewidth=1,
                label=_shown(f"{curve.name}, all answers"),
            )  # fmt: skip
    axes.set_title(title, parse_math=False)
    axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    axes.set_xlabel(f"answers of each person ({found.n_users} new people)")
    if name == "accuracy":
        for text in axes.legend(fontsize=8).get_texts():
            text.set_parse_math(False)


def _line(axes: Any, curve: Curve, name: str, places: dict[Any, int], colour: str) -> None:
    figures: list[tuple[int, Interval]] = [
        (places[point.size], getattr(point.figures, name))
        for point in curve.points
        if point.size in places and getattr(point.figures, name).value is not None
    ]
    if not figures:
        return
    x, found = zip(*figures, strict=True)
    style = ":" if curve.flat else "-"
    axes.plot(
        x, [one.value for one in found], style, marker="o", markersize=3, color=colour,
        label=_shown(curve.name),
    )  # fmt: skip
    known = [(place, one.low, one.high) for place, one in figures if one.low is not None]
    if known:
        places_known, low, high = zip(*known, strict=True)
        axes.fill_between(places_known, low, high, color=colour, alpha=0.12, linewidth=0)


def _shown(name: str) -> str:
    """A label: behind a blank, since matplotlib hides one that begins with an underscore."""
    return f" {shown(name)}"
