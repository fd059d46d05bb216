"""``--set key=value`` and TOML values as a frozen config, or one error with every problem."""

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from plt.errors import UsageError

C = TypeVar("C")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


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


def make_config(cls: type[C], values: Mapping[str, object], owner: str) -> C:
    """Builds the frozen dataclass `cls` from texts or typed values.

    Args:
        cls: A dataclass whose fields are int, float, bool, str, a Literal, an optional one of
            these, or a tuple of one of these (written with commas).
        values: Field to value; texts are converted to the field's type.
        owner: What the settings belong to, for messages.

    Raises:
        UsageError: Unknown keys (with the nearest known one) and values of the wrong type, all at
            once; or what the dataclass itself refuses.
    """
    assert dataclasses.is_dataclass(cls)
    hints = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    problems, converted = [], {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            better = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
            problems.append(f"'{key}' is no setting of {owner}{better}")
            continue
        try:
            converted[key] = _convert(value, hints[key])
        except ValueError:
            problems.append(f"'{key}' is {value!r}; expected {type_name(hints[key])}")
    if problems:
        raise UsageError(
            f"{owner} cannot be set up", problems=problems, hint=f"--set {known[0]}=VALUE"
        )
    return cls(**converted)


def type_name(hint: Any) -> str:
    """A field's type in words: ``integer``, ``one of head, lora, full``, ..."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join("none" if a is types.NoneType else type_name(a) for a in get_args(hint))
    if get_origin(hint) is tuple:
        return f"{type_name(get_args(hint)[0])}s separated by commas"
    names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, str(hint))


def _convert(value: object, hint: Any) -> object:
    """`value` as `hint`; ValueError when it is none."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "")):
            if types.NoneType in args:
                return None
            raise ValueError
        inner = [a for a in args if a is not types.NoneType]
        return _first_that_fits(value, inner)
    if origin is Literal:
        chosen = next((a for a in args if str(a) == str(value)), None)
        if chosen is None:
            raise ValueError
        return chosen
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else list(_sequence(value))
        return tuple(_convert(p.strip() if isinstance(p, str) else p, args[0]) for p in parts)
    return _convert_scalar(value, hint)


def _first_that_fits(value: object, hints: Sequence[Any]) -> object:
    for hint in hints:
        try:
            return _convert(value, hint)
        except ValueError:
            continue
    raise ValueError


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return value


def _convert_scalar(value: object, hint: Any) -> object:
    if hint is bool:
        text = str(value).lower()
        if text not in TRUE + FALSE:
            raise ValueError
        return text in TRUE
    if isinstance(value, bool):
        raise ValueError
    if hint is int:
        number = float(str(value)) if not isinstance(value, int) else value
        if number != int(number):
            raise ValueError
        return int(number)
    if hint is float:
        return float(str(value))
    if hint is str:
        return str(value)
    raise ValueError
