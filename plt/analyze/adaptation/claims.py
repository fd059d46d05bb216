"""What learning curves allow to say, in sentences that name whom they are about."""

from collections.abc import Iterable

from plt.analyze.adaptation.answers import ALL_ANSWERS, Size
from plt.analyze.adaptation.curves import Adaptation, Curve, Point
from plt.analyze.intervals.claims import side
from plt.analyze.intervals.figures import points
from plt.analyze.intervals.interval import Interval


def claims(found: Adaptation) -> list[str]:
    """Where each run gains over its own generic user, where it is worse, and what is open.

    A run is worse at a number of answers where its accuracy or area under the curve is lower, or
    its log loss higher, than that of its own generic user on the same people; the sentence says
    which of it is beyond chance. Nothing that is worse goes unsaid.
    """
    sentences = [text for curve in found.curves for text in _of(curve)]
    if len(found.seeds) > 1:
        seeds = " and ".join(map(str, found.seeds))
        sentences.append(
            f"The runs drew their shots from the seeds {seeds}: they were not shown the same"
            " answers."
        )
    return sentences + [f"Footnote: {note}." for note in found.footnotes]


def _of(curve: Curve) -> list[str]:
    later = [point for point in curve.points if point.size != 0]
    if curve.flat:
        return [f"{curve.name} learns nothing of new people: it is one line for all of them."]
    if not later:
        return [f"{curve.name} has no scores after any answers: what it learns is not known here."]
    unknown = [
        point for point in later if point.own is None or side(point.own.together) == "unknown"
    ]
    tested = [point for point in later if point not in unknown]
    sentences = []
    same = [p for p in unknown if p.own is not None and p.own.same_answers]
    if same:
        sentences.append(
            f"{curve.name} gives the same answers as its own generic user {_sizes(same)}."
        )
    rest = [point for point in unknown if point not in same]
    if rest:
        sentences.append(_nothing_said(curve, rest))
    gained = [p for p in tested if p.own is not None and side(p.own.together) == "above"]
    if gained:
        first = gained[0]
        sentences.append(
            f"{curve.name} is better than its own generic user beyond chance"
            f" {_after(p.size for p in gained)} ({_first(first)}; about {first.ground.about})."
        )
    open_points = [p for p in tested if p.own is not None and side(p.own.together) == "open"]
    sentences += [_open(curve, open_points)] if open_points else []
    sentences += _worse(curve, later)
    return sentences


def _first(point: Point) -> str:
    return f"at {_count(point.size)}: {points(point.own)} points"


def _nothing_said(curve: Curve, unknown: list[Point]) -> str:
    reasons = [p.own.interval.reason for p in unknown if p.own is not None]
    reason = next((each for each in reasons if each), "there is no interval")
    return f"Nothing can be concluded about {curve.name} {_sizes(unknown)}: {reason}."


def _open(curve: Curve, found: list[Point]) -> str:
    powered = [p for p in found if p.power is not None]
    seen = [f"{100 * p.power.smallest:.1f}" for p in powered if p.power and p.power.smallest <= 1]
    text = f"{curve.name}: no detectable gain over its own generic user {_sizes(found)}"
    blind = [p for p in powered if p.power and p.power.smallest > 1]
    if blind:
        text += f", where no gain is large enough to be seen {_sizes(blind)}"
    if not seen:
        return f"{text}."
    return (
        f"{text}; in 80 % of cases {'gains' if len(seen) > 1 else 'a gain'} of"
        f" {', '.join(seen)} points would have been seen (about {found[0].ground.about})."
    )


def _worse(curve: Curve, later: list[Point]) -> list[str]:
    """One sentence with every figure and number of answers that is worse; none where none is."""
    parts = []
    for what, found, unit, sign in (
        ("accuracy", [(p, p.own.together if p.own else None) for p in later], 100.0, -1),
        ("AUC", [(p, p.auc) for p in later], 1.0, -1),
        ("log loss", [(p, p.loss.together if p.loss else None) for p in later], 1.0, 1),
    ):
        bad = [(p, each) for p, each in found if _is_worse(each, sign)]
        if bad:
            each = ", ".join(f"{_count(p.size)} ({_how(one, unit, sign)})" for p, one in bad)
            parts.append(f"{what} after {each}")
    harmed = [p for p in later if p.harmed is not None and p.harmed.users]
    if harmed:
        each = ", ".join(f"{len(p.harmed.users)} of {p.harmed.n_tested} tested after"
                         f" {_count(p.size)}, at least {p.harmed.at_least}"
                         for p in harmed if p.harmed is not None)  # fmt: skip
        parts.append(f"users harmed: {each}")
    if not parts:
        return []
    return [f"{curve.name} is worse than its own generic user: {'; '.join(parts)}."]


def _is_worse(found: Interval | None, sign: int) -> bool:
    return found is not None and found.value is not None and sign * found.value > 0


def _how(found: Interval | None, unit: float, sign: int) -> str:
    if found is None or found.value is None:
        return "unknown"
    size = f"{unit * found.value:+.1f} points" if unit > 1 else f"{found.value:+.3f}"
    beyond = side(found) == ("above" if sign > 0 else "below")
    known = side(found) != "unknown"
    return f"{size}, {'beyond chance' if beyond else 'within chance' if known else 'no interval'}"


def _sizes(found: list[Point]) -> str:
    return _after(point.size for point in found)


def _after(sizes: Iterable[Size]) -> str:
    *names, last = [_count(size) for size in sizes]
    return f"after {', '.join(names)} and {last}" if names else f"after {last}"


def _count(size: Size) -> str:
    return ALL_ANSWERS if size == ALL_ANSWERS else f"{size}"
