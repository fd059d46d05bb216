"""How a command hands over what it made: to the file that `-o` names, or as bytes to stdout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.cli.shell.streams import Result, command_line, say, stdout_is_pipe
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.tables.output import Output
    from plt.data.tables.preferences import Preferences


def named(
    path: Path | None,
    *,
    force: bool,
    no_clobber: bool,
    parents: bool,
    flag: str = "-o",
    mark: bytes | None = None,
) -> Output | None:
    """What was typed behind `flag`, refused before anything is computed; None where nothing was.

    Raises:
        UsageError: As `Output.check`.
        ArtifactError: As `Output.check`.
    """
    if path is None:
        return None
    from plt.data.tables.output import Output

    output = Output(path, flag, mark, force, no_clobber, parents)
    output.check()
    return output


def for_table(
    path: Path | None,
    what: str,
    *,
    as_json: bool,
    force: bool,
    no_clobber: bool,
    parents: bool,
) -> Output | None:
    """As `named`, for a command whose answer is a table: None is the pipe, as `-o -` is.

    Args:
        path: What was typed behind ``-o``.
        what: What the command makes, for messages: ``a table of texts``.
        as_json: Whether ``--json`` takes stdout.
        force: As `Output`.
        no_clobber: As `Output`.
        parents: As `Output`.

    Raises:
        UsageError: As `Output.check`; or stdout is a terminal, closed, or taken by ``--json``.
        ArtifactError: As `Output.check`.
    """
    output = named(path, force=force, no_clobber=no_clobber, parents=parents)
    if output is not None and not output.is_stdout:
        return output
    if as_json:
        raise UsageError(
            f"{what} needs a file or a pipe of its own, and --json prints on stdout",
            hint="add -o FILE",
        )
    if not stdout_is_pipe():
        raise UsageError(
            f"{what} is bytes, and stdout is a terminal",
            hint="add -o FILE, or a pipe such as | plt dataset-stats -",
        )
    return None


def put(content: bytes, output: Output) -> None:
    """Writes to a file, and says what was replaced.

    Raises:
        UsageError: As `Output.write`.
        ArtifactError: As `Output.write`.
    """
    said = output.write(content)
    if said is not None:
        say(said)


def deliver_table(
    prefs: Preferences,
    output: Output | None,
    summary: dict[str, Any],
    says: Sequence[str],
    *,
    next_command: str,
) -> Result:
    """Writes a preference table to `output`, or hands its bytes to stdout.

    Args:
        prefs: The table.
        output: A file, or None for the pipe.
        summary: The object that ``--json`` prints beside a written file.
        says: Sentences for stderr.
        next_command: What to type next; ``{table}`` becomes the file.
    """
    from plt.data.tables.preferences import write_preferences

    for sentence in says:
        say(sentence)
    prefs = replace(prefs, meta=replace(prefs.meta, command=command_line()))
    payload = write_preferences(prefs, None)
    if output is None:
        return Result(data=summary, payload=payload)
    put(payload, output)
    summary = {"table": str(output.path), **summary}
    return Result(data=summary, path=output.path, hint=next_command.format(table=output.path))
