"""Win rates as tables and as the object of ``--json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.claims import about, side
from plt.analyze.intervals.figures import MISSING, interval_json, number, with_interval
from plt.cli.shell.pictures import Axis, Mark, Picture, Series
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plt.analyze.comparison.win_rate import Tally, WinRate
    from plt.analyze.intervals.interval import Interval

OVERALL = ("win rate of", "ties half, by user", "ties half, pooled", "among decided",
           "ties as wins, pooled", "ties as wins, by user")  # fmt: skip
USER = ("user", "win rate", "95 % interval", "wins", "ties", "losses", "winner")


def win_rate_blocks(found: WinRate) -> tuple[Block, ...]:
    """Both systems' rates, each person's, and what must be said of the judge."""
    blocks: list[Block] = [] if found.no_judge is None else [Line(f"WARNING: {found.no_judge}.")]
    blocks.append(_overall(found))
    if found.users:
        blocks.append(_users(found))
    blocks += [Line(sentence) for sentence in _notes(found)]
    return tuple(blocks)


def win_rate_json(found: WinRate) -> dict[str, Any]:
    """The documented object of one pair of systems."""
    total = found.total
    both, by_user = total.both, found.both_by_user
    return {
        "system_1": found.system_1,
        "system_2": found.system_2,
        "judge": found.judge,
        "n": total.n,
        **_counts(total),
        "share_of_ties": total.ties / total.n if total.n else None,
        "ties_half": {
            "by_user": interval_json(found.by_user),
            "pooled": interval_json(found.pooled),
        },
        "ties_as_wins": {
            "pooled": _pair(both),
            "by_user": _pair(by_user),
            "n_users_won": dict(found.winners),
        },
        "decided": interval_json(found.decided),
        "strict": {"pooled": _pair(total.strict)},
        "order": {
            "n": found.n_asked,
            "disagreement": found.disagreement,
            "share_won_by_the_first": found.first_wins,
            "warning": found.no_judge,
            "reason": None if found.n_asked else "the judge reads no order",
        },
        "missing": dict(found.missing),
        "n_without_user": found.without_user,
        "users": {name: _user_json(found, i) for i, name in enumerate(found.users)},
    }


def _counts(tally: Tally) -> dict[str, int]:
    return {"wins": tally.wins, "ties": tally.ties, "losses": tally.losses}


def _pair(rates: tuple[float, float] | None) -> dict[str, float] | None:
    return None if rates is None else {"system_1": rates[0], "system_2": rates[1]}


def _user_json(found: WinRate, i: int) -> dict[str, Any]:
    tally = list(found.users.values())[i]
    ends = found.intervals
    return {
        "n": tally.n,
        **_counts(tally),
        "win_rate": tally.half,
        "ci": None if ends is None else [float(ends.low[i]), float(ends.high[i])],
        "winner": tally.winner,
    }


def _rate(found: WinRate) -> Interval:
    return found.by_user if found.users else found.pooled


def rates_table(found: Sequence[WinRate]) -> Table:
    """One system a row, in the order given: how often each wins, and against whom."""
    rows = tuple(
        (
            each.system_1,
            each.system_2,
            with_interval(_rate(each)),
            with_interval(each.decided),
            str(each.total.n),
            str(len(each.users)) if each.users else MISSING,
            each.judge,
        )
        for each in found
    )
    heads = ("win rate of", "against", "ties half", "among decided", "contests", "users", "judge")
    return Table(heads, rows, "win rates; 95 % intervals, each by itself", frozenset(heads[2:6]))


def rates_picture(found: Sequence[WinRate]) -> Picture:
    """The same as a picture, one system below the other."""
    marks = tuple(
        Mark(
            each.system_1,
            _rate(each).value,
            _rate(each).low,
            _rate(each).high,
            strong=side(_rate(each), 0.5) in ("above", "below"),
            said=with_interval(_rate(each)),
        )
        for each in found
    )
    others = ", ".join(dict.fromkeys(each.system_2 for each in found))
    said = "; ".join(f"{mark.label} {mark.said}" for mark in marks)
    return Picture(
        "win-rates",
        f"Win rate against {others}",
        f"A share of contests, ties half, 0.5 is a coin: {said}.",
        Axis("win rate, ties half"),
        (Series("win rate", marks),),
        reference=(0.5, "a coin"),
    )


def _overall(found: WinRate) -> Table:
    total, by_user = found.total.both, found.both_by_user
    rows = [
        (
            found.system_1,
            with_interval(found.by_user),
            with_interval(found.pooled),
            with_interval(found.decided),
            number(None if total is None else total[0]),
            number(None if by_user is None else by_user[0]),
        ),
        (
            found.system_2,
            number(None if found.by_user.value is None else 1 - found.by_user.value),
            number(None if found.pooled.value is None else 1 - found.pooled.value),
            number(None if found.decided.value is None else 1 - found.decided.value),
            number(None if total is None else total[1]),
            number(None if by_user is None else by_user[1]),
        ),
    ]
    title = f"judged by {found.judge}"
    return Table(OVERALL, tuple(rows), title, frozenset(OVERALL[1:]))


def _users(found: WinRate) -> Table:
    names = {"1": found.system_1, "2": found.system_2, "tie": "both", None: MISSING}
    rows = []
    for i, (user, tally) in enumerate(found.users.items()):
        ends = found.intervals
        interval = MISSING if ends is None else f"[{ends.low[i]:.3f}, {ends.high[i]:.3f}]"
        counts = [str(count) for count in (tally.wins, tally.ties, tally.losses)]
        rows.append((user, number(tally.half), interval, *counts, names[tally.winner]))
    title = f"{found.system_1} against {found.system_2}, ties half; Wilson, effective groups"
    return Table(USER, tuple(rows), title, frozenset(USER[1:6]))


def _share(count: int, n: int) -> str:
    return f" ({100 * count / n:.0f} %)" if n else ""


def _claim(found: WinRate) -> str:
    """Who is preferred beyond chance, and whom that is about."""
    rate = found.by_user if found.users else found.pooled
    where = side(rate, 0.5)
    whom = about(rate.target, len(found.users) or None)
    if where == "unknown":
        return f"No verdict: {rate.reason}."
    if where == "open":
        return f"Neither is preferred beyond chance, about {whom}."
    winner = found.system_1 if where == "above" else found.system_2
    return f"{winner} is preferred beyond chance, about {whom}."


def _notes(found: WinRate) -> list[str]:
    total = found.total
    users = f"{len(found.users)} users" if found.users else "nobody in particular"
    notes = [
        f"{total.n} contests of {users}: {total.wins} won, {total.ties}"
        f" tied{_share(total.ties, total.n)}, {total.losses} lost by {found.system_1}; 95 %"
        f" intervals, about {about(found.by_user.target, len(found.users) or None)}."
    ]
    if not total.n:
        notes = ["No contest has a verdict: there is no win rate."]
    else:
        notes.append(_claim(found))
    if found.n_asked and found.disagreement is not None:
        first = "" if found.first_wins is None else (
            f"; the text shown first won {100 * found.first_wins:.0f} % of the readings that have"
            " a winner"
        )  # fmt: skip
        notes.append(
            f"In {100 * found.disagreement:.0f} % of the {found.n_asked} contests read in both"
            f" orders the two orders differ: these are ties{first}."
        )
    elif total.n:
        notes.append("The judge scores each text by itself: there is no order to disagree about.")
    if found.missing:
        listed = ", ".join(f"{reason} {count}" for reason, count in found.missing.items())
        notes.append(f"Without a verdict, hence left out: {listed}.")
    if found.without_user:
        notes.append(f"{found.without_user} contests name no user and are left out.")
    return notes
