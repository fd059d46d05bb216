"""What DATA and RUN arguments mean: a registry name, a path, or ``-`` for what is piped in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plt.cli.shell.streams import STDIN, read_stdin, say
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.tables.preferences import Preferences
    from plt.data.tables.table import Meta, Source


def table_source(text: str) -> Source | str:
    """The bytes of a piped table, a path, or a registry name.

    Raises:
        UsageError: ``-`` with several piped paths where one table is wanted.
    """
    if text != STDIN:
        return text
    piped = read_stdin()
    if isinstance(piped, bytes):
        return piped
    if len(piped) != 1:
        raise UsageError(f"standard input holds {len(piped)} lines where one table is wanted")
    return piped[0]


def load_preferences(
    text: str, raw: Path | None = None, *, unique_keys: bool = True
) -> Preferences:
    """The preference table that DATA names, with a word on stderr where it was mended."""
    from plt.data import catalog
    from plt.data.tables.preferences import read_preferences

    source = table_source(text)
    if isinstance(source, str):
        if raw is not None or not catalog.is_path(source):
            return catalog.load(source, raw, say)
        source = Path(source)
    _note_foreign(source)
    return read_preferences(source, unique_keys=unique_keys)


def load_votes(text: str, columns: Sequence[str]) -> tuple[pl.DataFrame, Meta]:
    """Columns of the votes of the table that DATA names, without its texts."""
    from plt.data import catalog
    from plt.data.tables.preferences import Preferences, read_votes

    source = table_source(text)
    if isinstance(source, str):
        found = catalog.locate(source, say=say)
        if isinstance(found, Preferences):
            return found.votes.select(columns), found.meta
        source = found
    _note_foreign(source)
    return read_votes(source, columns)


def _note_foreign(source: Source) -> None:
    from plt.data.tables.preferences import count_turned
    from plt.data.tables.table import read_meta, source_name

    meta, tag = read_meta(source)
    name = source_name(source)
    if tag is None:
        say(f"{name} carries no plt.schema; taken for preferences/1 because its columns fit")
    if not meta.oriented:
        turned = count_turned(source)
        if turned:
            say(f"{name}: {turned} rows had their responses turned round to one orientation")


def load_tables(arguments: list[str]) -> list[tuple[str, Preferences]]:
    """Preference tables with their names; ``-`` is one that is piped in, or paths, one a line."""
    from plt.data.tables.preferences import read_preferences

    found: list[tuple[str, Preferences]] = []
    for argument in arguments:
        piped = read_stdin() if argument == STDIN else [argument]
        if isinstance(piped, bytes):
            found.append(("standard input", read_preferences(piped)))
        else:
            found += [(path, load_preferences(path)) for path in piped]
    return found


def users_table(path: Path) -> pl.DataFrame:
    """The `users/1` table that ``--users`` names.

    Raises:
        UsageError: A run made in Python is repeated, and the table was a frame.
        DataError: It is no such table.
    """
    from plt.data.catalog import refuse_given
    from plt.data.tables.schema import USERS
    from plt.data.tables.table import read_table

    refuse_given(str(path), "table of users", "plt train DATA --config FILE --users FILE")
    return read_table(path, USERS)[0]


def run_sources(arguments: list[str]) -> list[Source]:
    """RUN or SCORES arguments as paths or piped tables; ``-`` is replaced by what is piped in."""
    sources: list[Source] = []
    for argument in arguments:
        if argument != STDIN:
            sources.append(Path(argument))
            continue
        piped = read_stdin()
        if isinstance(piped, bytes):
            sources.append(piped)
        else:
            sources.extend(Path(line) for line in piped)
    return sources


def run_paths(arguments: list[str], hint: str) -> list[Path]:
    """The run directories that RUN... means; ``-`` is replaced by what is piped in.

    Raises:
        UsageError: A table was piped in.
    """
    sources = run_sources(arguments)
    if any(isinstance(source, bytes) for source in sources):
        raise UsageError("a table was piped in where run directories are wanted", hint=hint)
    return [source for source in sources if isinstance(source, Path)]


def run_path(argument: str) -> Path:
    """The one run directory that RUN means.

    Raises:
        UsageError: Several paths, or a table, were piped in.
    """
    sources = run_sources([argument])
    if len(sources) != 1 or isinstance(sources[0], bytes):
        raise UsageError("one run directory is wanted", hint="plt train DATA | plt verify -")
    return sources[0]
