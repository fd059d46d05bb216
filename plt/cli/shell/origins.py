"""Where each value was typed: behind a flag, in an environment variable, or in a TOML file.

A value that is wrong is blamed on that place, by Typer's own errors and by those of the bodies.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plt.errors import PltError

CONFIGURED = "plt.configured"
"""Key of a context's `meta`: parameter -> where in a TOML file its value stands."""
SETTINGS = "settings"


@dataclass(frozen=True)
class Place:
    """Where in a TOML file a value stands.

    Attributes:
        file: As it was typed.
        table: Name of the table; None for the keys above all tables.
        key: As it is written there.
        settings: The keys of ``[TABLE.set]``, when the value is that table.
    """

    file: str
    table: str | None
    key: str
    settings: Sequence[str] = ()

    def __str__(self) -> str:
        table = "" if self.table is None else f"[{self.table}] "
        return f"{table}{self.key} in {self.file}"


def blame(error: Any) -> str:
    """The message of one of Typer's usage errors, naming the place where the value was typed."""
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if parameter is None or context is None or not getattr(error, "message", None):
        return str(error.format_message())
    place = _origin(context, parameter) or _flag(parameter)
    return f"Invalid value for {place}: {error.message}"


def blame_bodies(error: PltError, context: Any) -> None:
    """Adds to an error of a command where the values of the flags that it names were typed.

    Flags that were typed as flags are left as they are.

    Args:
        error: Gets one problem more for each such flag, and for each setting that it quotes.
        context: Typer's context of the command.
    """
    text = "\n".join([error.message, *error.problems])  # a hint names other flags too
    for parameter in context.command.params:
        origin = _origin(context, parameter)
        if origin is None:
            continue
        place = context.meta.get(CONFIGURED, {}).get(parameter.name)
        if place is not None and place.settings:
            error.problems += [
                f"'{key}' was read from [{place.table}.set] in {place.file}"
                for key in place.settings
                if f"'{key}'" in text
            ]
        elif _is_meant(parameter, context.params.get(parameter.name), text):
            error.problems.append(f"{_flag(parameter)} was read from {origin}")


def _origin(context: Any, parameter: Any) -> str | None:
    """The variable or the place in a file; None for what was typed, and for defaults."""
    source = context.get_parameter_source(parameter.name)
    if source is None:
        return None
    if source.name == "DEFAULT_MAP":
        return str(context.meta.get(CONFIGURED, {}).get(parameter.name, "a configuration file"))
    if source.name != "ENVIRONMENT":
        return None
    declared = parameter.envvar or f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
    names = [declared] if isinstance(declared, str) else list(declared)
    return f"the environment variable {next((n for n in names if os.environ.get(n)), names[0])}"


def _flag(parameter: Any) -> str:
    """``'--users'``, or how the help calls an argument."""
    flags = [name for name in parameter.opts if name.startswith("--")]
    return f"'{flags[0] if flags else parameter.metavar or parameter.name.upper()}'"


def _is_meant(parameter: Any, value: object, text: str) -> bool:
    """Whether a message is about a flag: it names the flag, or quotes a text that it was given."""
    words = [name for name in parameter.opts if name.startswith("--")]
    words += [str(value)] if isinstance(value, str | Path) and len(str(value)) > 1 else []
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)
