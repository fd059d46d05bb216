"""``--set key=value`` and TOML values as a frozen config, or one error with every problem."""

import dataclasses
import difflib
import numbers
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from plt.errors import UsageError

C = TypeVar("C")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
MAX_SEED = 2**64 - 1
"""What a column of seeds holds."""
AUTO = "auto"
"""How None, the value that the program chooses, is written in settings and TOML."""


def parse_settings(items: Sequence[str]) -> dict[str, str]:
    """``["rank=8", "l2=0.1"]`` as a mapping.

    Raises:
        UsageError: An item has no ``=``, or a key comes twice.
    """
    found: dict[str, str] = {}
    problems = []
    for item in items:
        key, separator, value = item.partition("=")
        name = key.strip().replace("-", "_")
        if not separator or not name:
            problems.append(f"'{item}' is not KEY=VALUE")
        elif name in found:
            problems.append(f"'{name}' is set twice")
        found[name] = value.strip()
    if problems:
        raise UsageError("--set is not understood", problems=problems, hint="--set rank=8")
    return found


def make_config(cls: type[C], values: Mapping[str, object], owner: str, hint: str) -> C:
    """Builds the frozen dataclass `cls` from texts or typed values.

    Args:
        cls: A dataclass whose fields are int, float, bool, str, a Literal, an optional one of
            these, or a tuple of one of these (written with commas).
        values: Field to value, with ``-`` or ``_``; texts are converted to the field's type, and
            ``auto`` is None where the field may be None.
        owner: What the settings belong to, for messages.
        hint: What to type.

    Raises:
        UsageError: Unknown keys (with the nearest known one) and values of the wrong type, all at
            once; or what the dataclass itself refuses.
    """
    assert dataclasses.is_dataclass(cls)
    hints = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    problems: list[str] = []
    converted: dict[str, object] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            problems.append(_unknown(key, known))
            continue
        try:
            converted[name] = _convert(value, hints[name])
        except ValueError:
            found = f"{value!r} ({type(value).__name__})"
            problems.append(f"'{key}' is {found}, expected {type_name(hints[name])}")
    if problems:
        raise UsageError(f"{owner} does not take these settings", problems=problems, hint=hint)
    return cls(**converted)


def check_whole(least: int, **arguments: object) -> None:
    """Refuses arguments in Python that their flags would refuse on a command line.

    Args:
        least: The least that each may be; the most is `MAX_SEED`.
        arguments: Name to what was given.

    Raises:
        UsageError: All that are no whole numbers, or too small or large, are listed.
    """
    problems = [
        f"{name} is {value!r}, expected a whole number from {least} on"
        for name, value in arguments.items()
        if isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or not least <= int(value) <= MAX_SEED
    ]
    if problems:
        raise UsageError(
            "a number is not understood", problems=problems, hint=f"{next(iter(arguments))}={least}"
        )


def plain_values(config: object) -> dict[str, object]:
    """A config as TOML can hold it: `make_config` on it gives the same config."""
    assert dataclasses.is_dataclass(config)
    assert not isinstance(config, type)
    return {k: AUTO if v is None else v for k, v in dataclasses.asdict(config).items()}


def describe_config(cls: type) -> list[tuple[str, str, str]]:
    """(setting, type in words, default) of every field of a config dataclass."""
    assert dataclasses.is_dataclass(cls)
    hints = get_type_hints(cls)
    return [
        (field.name, type_name(hints[field.name]), str(AUTO if default is None else default))
        for field in dataclasses.fields(cls)
        if (default := field.default) is not dataclasses.MISSING
    ]


def type_name(hint: Any) -> str:
    """A field's type in words: ``an integer``, ``one of 'head', 'lora'``, ..."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        inner = [type_name(a) for a in get_args(hint) if a is not types.NoneType]
        return " or ".join([*inner, f"'{AUTO}'"])
    if get_origin(hint) is tuple:
        return f"{type_name(get_args(hint)[0])} or several, separated by commas"
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}
    return names.get(hint, str(hint))


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    if near:
        return f"unknown key '{key}'; did you mean '{near[0]}'?"
    if not known:
        return f"unknown key '{key}'; it has no settings"
    return f"unknown key '{key}'; known are {', '.join(known)}"


def _convert(value: object, hint: Any) -> object:
    """`value` as `hint`; ValueError when it is none."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None or value == AUTO:
            return None
        return _convert(value, next(a for a in args if a is not types.NoneType))
    if origin is Literal:
        if value not in args:
            raise ValueError
        return value
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else list(_sequence(value))
        return tuple(_convert(p.strip() if isinstance(p, str) else p, args[0]) for p in parts)
    return _convert_scalar(value, hint)


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return value


def _convert_scalar(value: object, hint: Any) -> object:
    if hint is bool and isinstance(value, str):
        if value.lower() not in TRUE + FALSE:
            raise ValueError
        return value.lower() in TRUE
    if hint in (int, float) and isinstance(value, str):
        return hint(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ValueError
    return value
