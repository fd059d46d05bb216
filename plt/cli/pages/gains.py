"""What runs gain over the baseline, and whom they harm, as a table, notes and ``--json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plt.analyze.comparison.verdict import equivalent
from plt.analyze.intervals.figures import MISSING, difference_json, p_value, points
from plt.cli.shell.streams import Table

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Comparison
    from plt.analyze.comparison.gains import Gain

GAIN_COLUMNS = (
    "method", "gain (points)", "p (adjusted)", "own minus wrong user", "gain with wrong user",
    "gain with shuffled ids", "users harmed",
)  # fmt: skip
NAMED_AT_MOST = 8
GAIN_KEYS = (
    "gain", "gain_of_these_users", "own_minus_wrong_user", "own_minus_shuffled_ids",
    "gain_with_wrong_user", "gain_with_shuffled_ids", "whose_gain", "equivalent", "power", "harmed",
)  # fmt: skip


def gain_table(found: Comparison) -> Table:
    """One row a run that has a baseline."""
    rows = tuple(
        (
            gain.name,
            points(gain.own),
            p_value(gain.own.p),
            points(gain.part),
            points(gain.wrong_user),
            points(gain.shuffled_ids),
            _harmed(gain),
        )
        for row in found.rows
        if (gain := row.gain) is not None
    )
    title = f"gain over {found.baseline}, accuracy by user"
    return Table(GAIN_COLUMNS, rows, title, frozenset(GAIN_COLUMNS[1:]))


def _harmed(gain: Gain) -> str:
    if gain.harmed is None or gain.harmed.at_least is None:
        return MISSING
    found = gain.harmed
    return f"{len(found.users)} of {found.n_tested}, at least {found.at_least}"


def gain_notes(gain: Gain) -> list[str]:
    """Who is harmed, and what a gain that is not beyond chance would take."""
    notes = []
    name = gain.name
    if gain.harmed is not None and gain.harmed.users:
        users = gain.harmed.users[:NAMED_AT_MOST]
        more = len(gain.harmed.users) - len(users)
        rest = f" and {more} more" if more else ""
        notes.append(f"{name} harms: {', '.join(users)}{rest}.")
    power = gain.power
    if power is None:
        return notes
    seen = f"{name}: this table sees gains from {100 * power.smallest:.1f} points on (80 % power)"
    if power.gain is None:
        return [*notes, f"{seen}."]
    ways = [
        f"{more:,} more {what}" if more is not None else f"of {what}, {why}"
        for what, more, why in (("users", power.users, power.users_reason),
                                ("prompts", power.groups, power.groups_reason))
    ]  # fmt: skip
    return [*notes, f"{seen}; to see one of {100 * power.gain:.1f}: {'; or '.join(ways)}."]


def gain_json(gain: Gain | None, margin: float | None = None) -> dict[str, Any]:
    """What a run has over the baseline as ``--json`` prints it; nulls for the baseline itself."""
    if gain is None:
        return dict.fromkeys(GAIN_KEYS)
    return {
        "gain": difference_json(gain.own),
        "gain_of_these_users": difference_json(gain.these_users),
        "own_minus_wrong_user": difference_json(gain.part),
        "own_minus_shuffled_ids": difference_json(gain.over_shuffled),
        "gain_with_wrong_user": difference_json(gain.wrong_user),
        "gain_with_shuffled_ids": difference_json(gain.shuffled_ids),
        "whose_gain": gain.whose,
        "equivalent": None if margin is None else equivalent(gain.own, margin),
        "power": None if gain.power is None else asdict(gain.power),
        "harmed": None if gain.harmed is None else gain.harmed.to_json(),
    }
