"""`plt doctor`: what was resolved for a model and this machine, with self-checks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.shell.options import Config, Device, Dtype, Json, MaxLength, Quiet
from plt.cli.shell.streams import Block, Line, Result, Table, progress_bar, say

if TYPE_CHECKING:
    from plt.train.models.doctor import Check

DEFAULT_MODEL = "builtin:minilm"


def command(
    model: Annotated[
        str | None,
        typer.Option("--model", help=f"builtin:*, a path or a hub id. [{DEFAULT_MODEL}]"),
    ] = None,
    max_length: MaxLength = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Say what plt makes of a model and of this machine, and check it on real passes.

    Padding, batch size and positions may change no state, the reward must be read at the last
    real token, a text begins with one begin token and never loses its response. Exit code 1 when
    a check fails.

    Example: plt doctor

    Example: plt doctor --model Qwen/Qwen3-0.6B --dtype bfloat16 --json
    """
    from plt.train.models.doctor import diagnose

    if model is None:
        say(f"no --model given: checking {DEFAULT_MODEL}")
    environment = _environment()
    with progress_bar() as progress:
        found = diagnose(model or DEFAULT_MODEL, device, dtype, max_length, progress)
    data = {
        "ok": found.ok,
        "environment": environment,
        "model": found.facts,
        "checks": [asdict(check) for check in found.checks],
    }
    failed = [check.name for check in found.checks if not check.ok]
    verdict = f"{len(failed)} of {len(found.checks)} checks failed: {', '.join(failed)}."
    if found.ok:
        verdict = f"All {len(found.checks)} checks passed."
    blocks: tuple[Block, ...] = (
        _facts("this machine", environment),
        _facts("the model", found.facts),
        _checks(found.checks),
        Line(verdict),
    )
    return Result(data=data, blocks=blocks, exit_code=0 if found.ok else 1)


def _environment() -> dict[str, Any]:
    import platform

    from plt.data.cache import cache_dir
    from plt.data.run import package_versions
    from plt.train.runtime.devices import resolve_device

    return {
        "python": platform.python_version(),
        **package_versions(),
        "accelerator": str(resolve_device("auto")),
        "cache": str(cache_dir()),
    }


def _facts(title: str, facts: dict[str, Any]) -> Table:
    rows = tuple((name, _shown(value)) for name, value in facts.items())
    return Table(("what", "value"), rows, title)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _checks(checks: tuple[Check, ...]) -> Table:
    rows = tuple(
        (
            check.name,
            "ok" if check.ok else "FAIL",
            "no number" if check.difference is None else f"{check.difference:.2g}",
            f"{check.allowed:.2g}",
            check.detail,
        )
        for check in checks
    )
    columns = ("check", "result", "difference", "allowed", "of what")
    return Table(columns, rows, "checks", frozenset({"difference", "allowed"}))
