"""`--plot`: who agrees with whom, how contested the pairs are, and how each user stands."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from plt.analyze.dataset.statistics import DatasetStatistics
from plt.analyze.intervals.proportions import user_intervals
from plt.analyze.votes.effective_rank import EffectiveRank
from plt.analyze.votes.votes import ALONE, FloatArray, IntArray
from plt.errors import UsageError

FORMATS = (".svg", ".png")
MARK = b"plt dataset-stats"
"""Stands near the beginning of each picture, by which plt knows its own."""
MAX_NAMED_USERS = 40
BINS = 10


def picture_kind(path: Path) -> str:
    """``svg`` or ``png``; refuses what cannot be drawn before anything is computed.

    Raises:
        UsageError: Another ending than .svg or .png, or no matplotlib.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"--plot {path} must end in {' or '.join(FORMATS)}",
            hint=f"--plot {path.with_suffix('.svg')}",
        )
    try:
        import matplotlib.figure  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UsageError(
            "--plot draws with matplotlib, which is not installed",
            hint="pip install 'plt-toolkit[plot]'",
        ) from error
    return path.suffix.lower().removeprefix(".")


def plot_statistics(statistics: DatasetStatistics, kind: str) -> bytes:
    """Draws three panels: agreement between users, minority share of the pairs, MV-ACC by user.

    The matrix shows the users of the effective rank, in the order of the eigenvector of the second
    largest eigenvalue, which puts camps together. A panel without data says why.

    Args:
        statistics: What was computed.
        kind: As `picture_kind` gives it.

    Returns:
        The file's bytes; equal statistics give equal ones.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "plt", "svg.fonttype": "none"}):
        figure = Figure(figsize=(15, 5), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_agreement(figure, left, statistics)
        _draw_divergence(middle, statistics)
        _draw_majority(right, statistics)
        figure.suptitle(shown(statistics.dataset or ""), parse_math=False)
        drawn = io.BytesIO()
        title = MARK.decode()
        metadata = {"Date": None, "Creator": title} if kind == "svg" else {"Software": title}
        figure.savefig(drawn, format=kind, metadata=metadata)
    return drawn.getvalue()


def shown(name: str) -> str:
    """A hostile name as a label: printable, short, on one line."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return safe if len(safe) <= 30 else f"{safe[:29]}…"


def cluster_order(agreement: FloatArray) -> IntArray:
    """An order of the users that puts those together who agree."""
    if agreement.shape[0] < 3:
        return np.arange(agreement.shape[0])
    return np.argsort(np.linalg.eigh(agreement)[1][:, -2], kind="stable")


def _draw_agreement(figure: Any, axes: Any, statistics: DatasetStatistics) -> None:
    axes.set_title("agreement of users on shared pairs")
    rank = statistics.effective_rank
    if not isinstance(rank, EffectiveRank):
        _say(axes, statistics.figure("effective_rank").found.reason)
        return
    order = cluster_order(rank.agreement)
    image = axes.imshow(rank.agreement[np.ix_(order, order)], vmin=0, vmax=1, cmap="RdBu")
    figure.colorbar(image, ax=axes, label="share of equal votes")
    names = [shown(statistics.votes.user_names[int(rank.users[i])]) for i in order]
    if len(names) <= MAX_NAMED_USERS:
        places = range(len(names))
        axes.set_xticks(places, names, rotation=90, fontsize=7, parse_math=False)
        axes.set_yticks(places, names, fontsize=7, parse_math=False)


def _draw_divergence(axes: Any, statistics: DatasetStatistics) -> None:
    axes.set_title("how contested the shared pairs are")
    n, s = statistics.votes.shared_counts
    if n.size == 0:
        _say(axes, statistics.figure("divergent").found.reason)
        return
    axes.hist(np.minimum(s, n - s) / n, bins=BINS, range=(0, 0.5), color="#4477aa")
    axes.axvline(0.3, color="black", linestyle="--", linewidth=1)
    axes.set_xlabel("share of votes against the majority (dashed: highly divergent)")
    axes.set_ylabel("pairs")


def _draw_majority(axes: Any, statistics: DatasetStatistics) -> None:
    axes.set_title("users and the majority of the others")
    votes = statistics.votes
    rows = np.flatnonzero(votes.lead != ALONE)
    if rows.size == 0:
        _say(axes, statistics.figure("divergent").found.reason)
        return
    found = user_intervals(
        (np.sign(votes.lead[rows]) + 1) / 2, votes.users[rows], votes.groups[votes.pairs[rows]]
    )
    order = np.argsort(found.value, kind="stable")
    value = found.value[order]
    ends = np.abs(np.stack((value - found.low[order], found.high[order] - value)))
    places = np.arange(order.size)
    axes.errorbar(value, places, xerr=ends, fmt="o", markersize=3, linewidth=0.8, color="#4477aa")
    minority = np.isin(found.users[order], statistics.minority.users[statistics.minority.found])
    axes.plot(value[minority], places[minority], "o", color="#cc3311", label="minority user")
    axes.axvline(0.5, color="black", linestyle="--", linewidth=1)
    axes.set_xlabel("MV-ACC, own vote left out (95 % Wilson)")
    if minority.any():
        axes.legend()
    if order.size <= MAX_NAMED_USERS:
        names = [shown(votes.user_names[int(user)]) for user in found.users[order]]
        axes.set_yticks(places, names, fontsize=7, parse_math=False)
    else:
        axes.set_yticks([])


def _say(axes: Any, reason: str | None) -> None:
    axes.text(0.5, 0.5, reason or "", ha="center", va="center", wrap=True, parse_math=False)
    axes.set_axis_off()
