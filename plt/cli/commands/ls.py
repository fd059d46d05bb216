"""`plt ls`: what there is, from the registries; imports nothing heavy."""

from collections.abc import Callable
from typing import Annotated, TypeAlias

import typer

from plt.cli.shell.options import Json, Quiet
from plt.cli.shell.streams import Block, Result, Table
from plt.errors import UsageError

KINDS = ("datasets", "methods", "metrics", "models")
FEW_ANSWERS = {None: "not measured", True: "yes", False: "no: may harm newcomers"}
ANY_MODEL = (
    "PATH or hub id", "any encoder or causal model that transformers loads from safetensors",
)  # fmt: skip

Listing: TypeAlias = tuple[tuple[str, ...], list[tuple[str, ...]]]


def command(
    kind: Annotated[str, typer.Argument(help="datasets, methods, metrics, models or all.")] = "all",
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A method or simulator: lists what --set takes."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> Result:
    """List the datasets, methods, metrics and models that plt knows.

    With the name of a method or a simulator, what --set takes, with types and defaults.

    Example: plt ls methods

    Example: plt ls methods bradley-terry
    """
    if name is not None:
        return _settings(kind, name)
    if kind not in (*KINDS, "all"):
        raise UsageError(f"there is nothing called '{kind}' to list", hint="plt ls methods")
    wanted = KINDS if kind == "all" else (kind,)
    listers: dict[str, Callable[[], Listing]] = {
        "datasets": _datasets,
        "methods": _methods,
        "metrics": _metrics,
        "models": _models,
    }
    blocks: list[Block] = []
    data = {}
    for name in wanted:
        columns, rows = listers[name]()
        data[name] = [dict(zip(columns, row, strict=True)) for row in rows]
        blocks.append(Table(columns, tuple(rows), name if kind == "all" else None))
    return Result(data=data, blocks=tuple(blocks))


def _datasets() -> Listing:
    from plt.data.registry import DATASETS, SIMULATORS, SYNTHETIC

    rows: list[tuple[str, ...]] = [
        (SYNTHETIC + name, card.summary, card.paper, "CC0-1.0") for name, card in SIMULATORS.items()
    ]
    for name, card in DATASETS.items():
        rows.append((name, card.summary, card.paper, card.license))
        rows += [
            (f"{name}:{v}", about, card.paper, card.license) for v, about in card.variants.items()
        ]
    return ("name", "summary", "paper", "license"), rows


def _methods() -> Listing:
    from plt.train.registry import METHODS

    rows: list[tuple[str, ...]] = [
        (
            name,
            card.kind,
            card.summary,
            card.paper,
            "yes" if card.personal else "no",
            FEW_ANSWERS[card.few_answers] if card.personal else "-",
        )
        for name, card in METHODS.items()
    ]
    return ("name", "kind", "summary", "paper", "personal", "few answers"), rows


def _metrics() -> Listing:
    from plt.analyze.registry import METRICS

    rows: list[tuple[str, ...]] = [
        (name, card.kind, card.summary, card.paper) for name, card in METRICS.items()
    ]
    return ("name", "of", "summary", "paper"), rows


def _models() -> Listing:
    from plt.train.models.embedded.cards import MODELS

    rows: list[tuple[str, ...]] = [(name, card.summary) for name, card in MODELS.items()]
    return ("name", "what it is"), [*rows, ANY_MODEL]


def _settings(kind: str, name: str) -> Result:
    """The knobs of one method or simulator."""
    from plt.data.registry import load_module, simulator
    from plt.settings import describe_config
    from plt.train.registry import load_class, method_card, method_name

    if kind == "methods":
        name = method_name(name)
        config = load_class(method_card(name).config)
    elif kind == "datasets":
        config = load_module(simulator(name).target).Config
    else:
        raise UsageError(f"{kind} have no settings", hint="plt ls methods bradley-terry")
    columns = ("setting", "type", "default")
    rows = tuple(describe_config(config))
    data = {"name": name, "settings": [dict(zip(columns, row, strict=True)) for row in rows]}
    return Result(data=data, blocks=(Table(columns, rows, f"--set of {name}"),))
