"""``--config FILE.toml``: one table a command, below flags and environment, above defaults."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from plt.cli.shell.app import COMMANDS
from plt.cli.shell.origins import CONFIGURED, SETTINGS, Place
from plt.errors import UsageError

NOT_CONFIGURABLE = {"config", "help", "as_json"}


def apply_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Typer callback: makes the file's values the defaults of the command that is parsed.

    Keys above all tables apply to every command that has such a flag; the table named like the
    command applies to it alone. ``[train.set]`` holds what ``--set`` would. A value is taken as if
    its text stood behind the flag.

    Raises:
        UsageError: The file is missing, no TOML, or has a table that is no command, a key that no
            flag answers to, or a value that no flag could be given; the message names file, table,
            key and the nearest name, every problem at once.
    """
    if path is None:
        return None
    document = _parse(ctx, path)
    command = ctx.info_name or ""
    known = _flags(ctx.command)
    problems = list(_wrong_names(ctx, document, path))
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for table, key, value in _entries(document, command):
        parameter = known.get(_parameter(key))
        if parameter is None:
            if table is not None:
                problems.append(_unknown(f"[{table}] '{key}'", key, _keys(known), path))
            continue
        place = Place(str(path), table, key, tuple(value) if isinstance(value, dict) else ())
        taken = _taken(value, parameter)
        if taken is None:
            problems.append(f"{place} is {_shown(value)}, expected {_expected(parameter)}")
            continue
        values[str(parameter.name)] = taken
        places[str(parameter.name)] = place
    if problems:
        raise UsageError(f"{path} has what plt {command} cannot use", problems=problems)
    ctx.default_map = {**(ctx.default_map or {}), **values}
    ctx.meta[CONFIGURED] = places
    return path


def _parse(ctx: typer.Context, path: Path) -> dict[str, Any]:
    source = ctx.get_parameter_source("config")
    typed = "PLT_CONFIG" if source is not None and source.name == "ENVIRONMENT" else "--config"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{typed} {path} does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{typed} {path} is no TOML file: {error}") from error
    except OSError as error:
        raise UsageError(f"{typed} {path} cannot be read: {error.strerror}") from error


def _entries(document: Mapping[str, Any], command: str) -> Iterator[tuple[str | None, str, Any]]:
    """(table or None, key, value) of what the command is told, the least weighty first."""
    for key, value in document.items():
        if not isinstance(value, dict):
            yield None, key, value
    table = document.get(command)
    if isinstance(table, dict):
        for key, value in table.items():
            yield command, key, value


def _wrong_names(ctx: typer.Context, document: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Tables that are no command, and keys above all tables that no command knows."""
    everywhere: dict[str, Any] | None = None
    for key, value in document.items():
        if isinstance(value, dict):
            if key not in COMMANDS:
                yield _unknown(f"[{key}]", key, list(COMMANDS), path)
            continue
        if everywhere is None:
            everywhere = _flags_of_all(ctx)
        if _parameter(key) not in everywhere:
            yield _unknown(f"'{key}'", key, _keys(everywhere), path)


def _flags(command: Any) -> dict[str, Any]:
    return {p.name: p for p in command.params if p.name and p.name not in NOT_CONFIGURABLE}


def _flags_of_all(ctx: typer.Context) -> dict[str, Any]:
    """Every flag of every command; imports them all."""
    group: Any = ctx.parent.command if ctx.parent is not None else None
    found = _flags(ctx.command)
    for name in COMMANDS if group is not None else ():
        found |= _flags(group.get_command(ctx.parent, name))
    return found


def _keys(flags: Mapping[str, Any]) -> list[str]:
    """How flags are written in a file."""
    names = {SETTINGS: "set"}
    return sorted(names.get(name, name).replace("_", "-") for name in flags)


def _parameter(key: str) -> str:
    name = key.replace("-", "_")
    return {"set": SETTINGS, "json": "as_json"}.get(name, name)


def _taken(value: object, parameter: Any) -> Any:
    """A value as it would be typed behind its flag; None where it could not be."""
    if parameter.name == SETTINGS and isinstance(value, dict):
        texts = {key: _text(one) for key, one in value.items()}
        if None in texts.values():
            return None
        return [f"{key}={text}" for key, text in texts.items()]
    if parameter.multiple or parameter.nargs == -1:
        texts_of = [_scalar(one) for one in (value if isinstance(value, list) else [value])]
        return None if None in texts_of else texts_of
    if getattr(parameter, "is_flag", False) and not isinstance(value, bool):
        return None
    return value if isinstance(value, bool) else _scalar(value)


def _text(value: object) -> str | None:
    """A setting: a scalar, or several with commas."""
    if isinstance(value, list):
        parts = [_scalar(one) for one in value]
        return None if None in parts else ",".join(str(part) for part in parts)
    return _scalar(value)


def _scalar(value: object) -> str | None:
    """The text of a number, text or truth value; None of anything else, as of a null character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str) and "\0" not in str(value):
        return str(value)
    return None


def _expected(parameter: Any) -> str:
    if parameter.name == SETTINGS:
        return "a table of settings"
    if getattr(parameter, "is_flag", False):
        return "true or false"
    if parameter.multiple or parameter.nargs == -1:
        return "texts or numbers in a list"
    return "one text or number"


def _shown(value: object) -> str:
    shown = "a table" if isinstance(value, dict) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _unknown(what: str, name: str, known: list[str], path: Path) -> str:
    near = difflib.get_close_matches(name.replace("_", "-"), known, n=1)
    suggestion = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
    return f"{what} in {path.name}{suggestion}"
