"""How a command that makes a preference table hands it over: a file, or bytes for the pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.cli.shell.streams import Result, command_line, say, stdout_is_pipe
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.tables.preferences import Preferences


def deliver_table(
    prefs: Preferences,
    out: Path | None,
    summary: dict[str, Any],
    says: Sequence[str],
    *,
    as_json: bool,
    next_command: str,
) -> Result:
    """Writes a preference table to `out`, or hands its bytes to stdout when that is a pipe.

    Args:
        prefs: The table.
        out: A file, or None for the pipe.
        summary: The object that ``--json`` prints beside a written file.
        says: Sentences for stderr.
        as_json: Whether ``--json`` was given; then the table must go to a file.
        next_command: What to type next; ``{table}`` becomes the file.

    Raises:
        UsageError: There is no file and stdout is a terminal, or taken by ``--json``.
    """
    from plt.data.tables.preferences import write_preferences

    if out is None and as_json:
        raise UsageError("--json prints on stdout, so the table needs a file", hint="add -o FILE")
    if out is None and not stdout_is_pipe():
        raise UsageError(
            "a table is bytes, and stdout is a terminal",
            hint="add -o FILE, or | plt dataset-stats -",
        )
    for sentence in says:
        say(sentence)
    prefs = replace(prefs, meta=replace(prefs.meta, command=command_line()))
    payload = write_preferences(prefs, out)
    if out is None:
        return Result(data=summary, payload=payload)
    summary = {"table": str(out), **summary}
    return Result(data=summary, path=out, hint=next_command.format(table=out))
