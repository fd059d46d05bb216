"""How long written texts are, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plt.analyze.comparison.written_lengths import WrittenLength

GENERIC = "generic"
MAX_ROWS = 40


def length_table(lengths: Sequence[WrittenLength]) -> str:
    """Words and tokens by person, as Markdown."""
    from plt.analyze.intervals.figures import number
    from plt.cli.shell.render import to_markdown
    from plt.cli.shell.streams import Table

    columns = ("user", "written as", "texts", "words", "s.e.", "tokens", "ended", "empty")
    # What was written for nobody is what persons are compared with: it is always there.
    persons = [row for row in lengths if row.user is not None]
    kept = [*persons[:MAX_ROWS], *(row for row in lengths if row.user is None)]
    hidden = len(lengths) - len(kept)
    rows = tuple(
        (
            GENERIC if row.user is None and row.control == GENERIC else row.user or "-",
            row.control,
            str(row.n),
            number(row.words.value, 1),
            number(row.words.se, 1),
            number(row.tokens.value, 1),
            number(row.ended, 2),
            number(row.empty, 2),
        )
        for row in kept
    )
    title = "words and tokens of a text; s.e. over prompts; ended by the model itself"
    shown = to_markdown((Table(columns, rows, title, frozenset(columns[2:])),))
    return shown + (f"... and {hidden} more persons, all in --json" if hidden else "")


def length_json(row: WrittenLength) -> dict[str, Any]:
    """One row as `plt generate --json` prints it."""
    from plt.analyze.intervals.figures import interval_json

    return {
        "system": row.system,
        "control": row.control,
        "user": row.user,
        "n": row.n,
        "words": interval_json(row.words) | {"se": row.words.se},
        "tokens": interval_json(row.tokens) | {"se": row.tokens.se},
        "ended": row.ended,
        "empty": row.empty,
    }
