"""``--config FILE.toml``: one table a command, below flags and environment, above defaults."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

import typer

from plt.errors import UsageError

NOT_CONFIGURABLE = {"config", "help", "as_json"}


def apply_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Typer callback: makes the file's values the defaults of the command that is parsed.

    Keys outside any table apply to every command that has such a flag; the table named like the
    command applies to it alone. ``[train.set]`` holds what ``--set`` would.

    Raises:
        UsageError: The file is missing, no TOML, or has a key that no flag answers to; the
            message names file, table, key and the nearest key.
    """
    if path is None:
        return None
    document = _parse(path)
    command = ctx.info_name or ""
    table = document.get(command, {})
    known = {p.name for p in ctx.command.params if p.name} - NOT_CONFIGURABLE
    shared = {k: v for k, v in document.items() if not isinstance(v, dict)}
    problems = [
        _unknown(path, command, key, known) for key in table if _parameter(key) not in known
    ]
    if problems:
        raise UsageError(f"{path} has keys that {command} does not know", problems=problems)
    values = {_parameter(k): v for k, v in shared.items() if _parameter(k) in known}
    values |= {_parameter(k): v for k, v in table.items()}
    if isinstance(settings := values.get("settings"), dict):
        values["settings"] = [f"{key}={_as_setting(value)}" for key, value in settings.items()]
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"--config {path} does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} is no TOML file: {error}") from error


def _parameter(key: str) -> str:
    name = key.replace("-", "_")
    return {"set": "settings", "json": "as_json"}.get(name, name)


def _as_setting(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _unknown(path: Path, table: str, key: str, known: set[str]) -> str:
    names = sorted(name.replace("_", "-") for name in known)
    near = difflib.get_close_matches(key.replace("_", "-"), names, n=1)
    suggestion = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(names)}"
    return f"[{table}] '{key}' in {path.name}{suggestion}"
