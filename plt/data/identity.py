"""What makes two runs the same run, as JSON for the manifest and as TOML for a person."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RUN_ID_DIGITS = 10
GIVEN = "(given in Python)"
"""What stands for a frame in `config.toml`: no path leads to it."""


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same run.

    Attributes:
        command: ``train``, ``score``, ...
        method: Registry name of the method.
        config: The resolved configuration, only JSON values.
        seed: The run's seed.
        inputs: Role to content hash of each input.
    """

    command: str
    method: str
    config: Mapping[str, Any]
    seed: int
    inputs: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The identity as the manifest holds it."""
        return {
            "command": self.command,
            "method": self.method,
            "config": dict(self.config),
            "seed": self.seed,
            "inputs": dict(self.inputs),
        }

    @property
    def run_id(self) -> str:
        """The first hex digits of the SHA-256 of the identity."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:RUN_ID_DIGITS]


def differences(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> list[str]:
    """One line for each key in which two identities differ, as their `to_json`."""
    lines = []
    for key in sorted({*found, *asked}):
        here, there = found.get(key), asked.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            lines += differences(here, there, f"{prefix}{key}.")
        elif here != there:
            lines.append(f"{prefix}{key}: {here!r} there, {there!r} asked for")
    return lines


def to_toml(identity: Identity, arguments: Mapping[str, Any] | None = None) -> str:
    """The resolved configuration; ``plt COMMAND --config`` on it repeats the run.

    Keys stand in alphabetical order: a resumed run writes the same bytes as an undisturbed one.
    """
    config = dict(sorted(identity.config.items()))
    plain = {k: v for k, v in config.items() if not isinstance(v, Mapping)} | dict(arguments or {})
    lines = [f"# plt {identity.command} --config config.toml", f"[{identity.command}]"]
    # Of what is done with a run, the run says which method it is, and with which settings.
    trains = identity.command == "train"
    method = [f"method = {_toml_value(identity.method)}"] if trains else []
    lines += [*method, f"seed = {identity.seed}"]
    lines += _toml_lines(plain)
    for name, table in config.items():
        if isinstance(table, Mapping) and trains:
            lines += ["", f"[{identity.command}.{name}]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def _toml_lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{k} = {_toml_value(v)}" for k, v in sorted(values.items()) if v is not None]


def _toml_value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, str):
        # A byte of a file name that is no UTF-8 cannot stand in TOML: it is written out.
        value = value.encode("utf-8", "backslashreplace").decode("utf-8")
    # JSON's scalars are TOML's, and so are its escapes but those of halves of a character: nothing
    # beyond ASCII is escaped, and only the delete character more than JSON does.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
