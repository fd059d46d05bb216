"""The four questions that a reader of a report has, answered in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.analyze.intervals.claims import about, side
from plt.analyze.intervals.figures import p_value, points, with_interval
from plt.train.registry import METHODS

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Compared, Comparison
    from plt.analyze.comparison.entries import Cost
    from plt.study.reports.report import Report


def answers(report: Report) -> list[tuple[str, list[str]]]:
    """Question and sentences, in the order in which a reader asks."""
    found = report.comparison
    return [
        ("Which method?", _which(found)),
        ("For whom?", _for_whom(found)),
        ("How sure is that?", _how_sure(report)),
        ("What does it cost?", _cost(found)),
    ]


def leader(found: Comparison) -> Compared | None:
    """The run to speak of: the largest gain that is beyond chance, by personalization if any is."""
    better = [r for r in found.rows if r.gain is not None and side(r.gain.own.together) == "above"]
    personal = [r for r in better if r.gain is not None and r.gain.whose == "personal"]
    return max(personal or better, key=_gain, default=None)


def _gain(row: Compared) -> float:
    assert row.gain is not None
    value = row.gain.own.interval.value
    assert value is not None  # what is above 0 has a value
    return value


def _which(found: Comparison) -> list[str]:
    best = leader(found)
    if best is None:
        return [found.verdict]
    assert best.gain is not None
    what = METHODS.get(best.entry.method)
    is_what = "" if what is None else f" ({what.summary})"
    sentences = [
        f"{best.entry.name}{is_what}: right on {_percent(best)} of a person's judgements on"
        f" average, {points(best.gain.own)} points against {found.baseline}."
    ]
    if best.gain.whose == "personal":
        sentences.append(
            "That gain comes from knowing the user: scored as themselves and not as somebody else,"
            f" people gain {points(best.gain.part)} points."
        )
    elif best.gain.whose == "not shown":
        sentences.append("It is not shown that the gain comes from knowing the user.")
    others = [
        r.entry.name for r in found.rows
        if r is not best and r.gain is not None and side(r.gain.own.together) == "above"
    ]  # fmt: skip
    if others:
        sentences.append(
            f"Also better than {found.baseline} beyond chance: {', '.join(others)}. Its lead over"
            " these is not tested here"
            f" (plt report ... --baseline {others[0].split(',')[0].split(' ')[0]} does that)."
        )
    return sentences


def _percent(row: Compared) -> str:
    figure = row.macro if row.macro.value is not None else row.pooled
    low, high = figure.low, figure.high
    ends = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    if figure.value is None:
        return f"an accuracy that is not known ({figure.reason})"
    return f"{100 * figure.value:.0f} %{ends}"


def _for_whom(found: Comparison) -> list[str]:
    ground = found.ground
    first = found.rows[0]
    n_users = first.macro.n_users
    people = f"{n_users:,} users" if n_users is not None else "nobody who is named"
    sentences = [
        f"Measured on {found.n_shared - found.n_ties:,} judgements of {people}, on"
        f" {first.pooled.n_groups:,} prompts; claims are about {ground.about}."
    ]
    best = leader(found)
    if best is None or best.gain is None:
        return [*sentences, *ground.caveats]
    harmed = best.gain.harmed
    if harmed is not None and harmed.at_least is not None:
        worse = f"served worse than by {found.baseline} by more than 2 points"
        who = f"{len(harmed.users)} are" if len(harmed.users) != 1 else "1 is"
        least = f" (at least {harmed.at_least}, with 95 %)" if harmed.users else ""
        none = "nobody is shown to be" if not harmed.users else f"{who} named as"
        sentences.append(
            f"Of {harmed.n_tested:,} users who could be tested, {none} {worse}{least}."
        )
    if best.worst_decile.value is not None:
        sentences.append(
            f"The least served tenth of the users has {with_interval(best.worst_decile, 2)}"
            f" (about {about('these-users')})."
        )
    if best.minority.value is not None:
        sentences.append(f"Minority users have {with_interval(best.minority, 2)}.")
    return [*sentences, *ground.caveats]


def _how_sure(report: Report) -> list[str]:
    found = report.comparison
    best = leader(found)
    sentences = []
    if best is not None and best.gain is not None:
        own = best.gain.own
        together = f" all {own.n_family} intervals of the table hold" if own.n_family > 1 else ""
        sentences.append(
            f"{points(own)} points: the gain and the ends between which it lies; with 95 %"
            f"{together or ' they hold'}. {_p(own.p)}."
        )
    sentences.append(
        "Each figure is that of one run: how much another seed of training would move it is not in"
        " the intervals."
    )
    if report.looks is not None:
        sentences.append(
            f"These test rows were looked at by {report.looks.known} runs that are known of,"
            f" {report.looks.shown} of them shown here; the best of many looks is too good by"
            " chance."
        )
    sentences += report.warnings
    notes = sorted({row.entry.footnote for row in found.rows if row.entry.footnote})
    return sentences + [f"{note}." for note in notes]


def _p(p: float | None) -> str:
    said = p_value(p)
    return f"p {said.replace('<', '< ')}" if said.startswith("<") else f"p = {said}"


def _cost(found: Comparison) -> list[str]:
    best = leader(found)
    row = best or found.rows[0]
    said = cost_words(row.entry.cost)
    sentences = [f"{row.entry.name}: {said}." if said else "What the runs took is not known."]
    base = next((r for r in found.rows if r.entry.name == found.baseline), None)
    if best is not None and base is not None and (beside := cost_words(base.entry.cost)):
        sentences.append(
            f"{base.entry.name}: {beside}. The run that reads texts first pays for their features;"
            " those behind it find them."
        )
    return sentences


def cost_words(cost: Cost) -> str:
    """What a run took, in words; empty where nothing is known."""
    parts = []
    if cost.seconds is not None:
        parts.append(f"{cost.seconds:,.1f} s")
    if cost.peak_memory_mib is not None:
        parts.append(f"{cost.peak_memory_mib:,.0f} MiB of memory at the peak")
    if cost.parameters is not None:
        parts.append(f"{cost.parameters:,} parameters kept")
    if cost.judgements is not None:
        parts.append(f"{cost.judgements:,} judgements learnt from")
    return ", ".join(parts)
