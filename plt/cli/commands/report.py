"""`plt report`: runs side by side on the same judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet
from plt.cli.shell.streams import Block, Result, say
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.analyze.comparison.entries import Entry
    from plt.data.tables.output import Output

# Format -> what stands near the beginning of each such page, by which plt knows its own.
MARKS = {
    "auto": b"| method ",
    "rich": "\u250f\u2501".encode(),
    "markdown": b"| method ",
    "json": b'"baseline": ',
}
FORMATS = tuple(MARKS)
USERS = ("seen", "unseen", "all")


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN|SCORES...", help="Runs, scores tables, or -.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="Whose accuracy gains are over. [bradley-terry]"),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    users: Annotated[str, typer.Option("--users", help="seen, unseen or all.")] = "seen",
    by_user: Annotated[
        bool, typer.Option("--by-user", help="Add each person's accuracy with its interval.")
    ] = False,
    by_novelty: Annotated[
        bool, typer.Option("--by-novelty", help="Add accuracies by what was new to the models.")
    ] = False,
    minority: Annotated[
        str | None,
        typer.Option("--minority", help="Users, with commas: adds P-RLHF's accuracies."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Points within which a run is as good as the baseline."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw learning curves of adapt runs: .svg or .png."),
    ] = None,
    pivot: Annotated[
        str, typer.Option("--pivot", help="Columns of a sweep: auto, train-size, model or none.")
    ] = "auto",
    form: Annotated[str, typer.Option("--format", help="auto, rich, markdown or json.")] = "auto",
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Compare runs on the judgements that all of them scored: which differences are real?

    Accuracies are averaged over users and over judgements; gains are paired differences whose
    intervals over users and groups hold together. A gain is called personal where scores as the
    wrong user lose it. Runs of several training sizes or models are shown as a table of methods by
    sizes or models too. docs/coverage.md of the project says how often these intervals hold.

    Runs of adapt are shown by the number of answers, on the same people and draws: figures, gains
    over each run's own generic user, whom they harm; --plot draws the learning curves.

    Example: plt report runs/*

    Example: plt train pandalm.parquet --method random,bradley-terry | plt report - --json
    """
    from plt.analyze.adaptation.answers import is_adapted
    from plt.cli.shell.inputs import run_sources
    from plt.cli.shell.render import to_json, to_markdown, to_terminal
    from plt.study.entries import load_entries

    asked = _Asked(baseline, split, users, by_user, by_novelty, minority, margin, pivot)
    _check(form, FORMATS, "--format")
    kind_of_page = "json" if as_json else form
    keep: dict[str, Any] = {"force": force, "no_clobber": no_clobber, "parents": parents}
    output = named(out, mark=MARKS[kind_of_page], **keep)
    picture = _picture(plot, keep)
    entries = load_entries(run_sources(runs), say)
    adapted = [entry for entry in entries if is_adapted(entry)]
    trained = [entry for entry in entries if not is_adapted(entry)]
    if picture is not None and not adapted:
        raise UsageError("--plot draws runs of plt adapt; none is given", hint="plt adapt RUN")
    data, blocks = _compared(trained, asked) if trained else ({}, ())
    if adapted:
        curves, more = _curves(adapted, picture)
        data, blocks = data | {"adaptation": curves}, blocks + more
    result = Result(data=data, blocks=blocks)
    if form == "auto" and (output is None or output.is_stdout):
        return result
    if kind_of_page == "json":
        text = to_json(result)
    else:
        text = to_terminal(blocks) if form == "rich" else to_markdown(blocks)
    page = text.encode("utf-8", "backslashreplace")
    if output is None or output.is_stdout:
        return Result(payload=page)
    put(page, output)
    return Result(data=result.data, path=output.path)


@dataclass(frozen=True)
class _Asked:
    """How trained runs are compared, as it was typed."""

    baseline: str | None
    split: str
    users: str
    by_user: bool
    by_novelty: bool
    minority: str | None
    margin: float | None
    pivot: str

    def __post_init__(self) -> None:
        from plt.analyze.comparison.sweep import PIVOTS
        from plt.data.tables.schema import SPLITS

        _check(self.split, SPLITS, "--split")
        _check(self.users, USERS, "--users")
        _check(self.pivot, PIVOTS, "--pivot")

    @property
    def kind(self) -> str | None:
        """Of users; None is all."""
        return None if self.users == "all" else self.users


def _compared(entries: Sequence[Entry], asked: _Asked) -> tuple[dict[str, Any], tuple[Block, ...]]:
    """Trained runs side by side: the object of ``--json``, and what a person reads."""
    from plt.analyze.comparison.breakdowns import by_novelty as novelty_apart
    from plt.analyze.comparison.breakdowns import implicit_accuracies
    from plt.analyze.comparison.compare import compare
    from plt.analyze.comparison.sweep import PIVOTS, sweep_tables
    from plt.cli.pages.comparison import (
        comparison_blocks,
        comparison_json,
        implicit_blocks,
        implicit_json,
        novelty_blocks,
        novelty_json,
        sweep_blocks,
        sweep_json,
        user_blocks,
    )

    split, kind = asked.split, asked.kind
    found = compare(
        entries,
        baseline=asked.baseline,
        splits=(split,),
        user_split=kind,
        margin=None if asked.margin is None else asked.margin / 100,
    )
    tables = sweep_tables(found, next(known for known in PIVOTS if known == asked.pivot))
    data = comparison_json(found) | {"sweep": sweep_json(tables)}
    blocks = comparison_blocks(found) + sweep_blocks(tables)
    if asked.by_novelty:
        apart = novelty_apart(entries, found, baseline=asked.baseline, split=split, user_split=kind)
        blocks += novelty_blocks(found, apart)
        data |= {"by_novelty": novelty_json(apart)}
    if asked.minority is not None:
        rare = [name.strip() for name in asked.minority.split(",") if name.strip()]
        implicit = implicit_accuracies(entries, split, rare)
        data["implicit_accuracy"] = implicit_json(implicit)
        blocks += implicit_blocks(implicit)
    if asked.by_user:
        blocks += user_blocks(entries, split, kind)
    return data, blocks


def _picture(plot: Path | None, keep: dict[str, Any]) -> Output | None:
    """Where ``--plot`` draws; refused before anything is computed where it cannot be."""
    if plot is None:
        return None
    from plt.analyze.adaptation.plot import MARK
    from plt.analyze.dataset.plots import picture_kind

    picture_kind(plot)
    return named(plot, flag="--plot", mark=MARK, **keep)


def _curves(
    entries: Sequence[Entry], picture: Output | None
) -> tuple[dict[str, Any], tuple[Block, ...]]:
    """Runs of ``plt adapt`` side by side: the object of ``--json``, and what a person reads."""
    from plt.analyze.adaptation.curves import adaptation
    from plt.cli.pages.adaptation import adaptation_blocks, adaptation_json

    found = adaptation(entries)
    if picture is not None:
        from plt.analyze.adaptation.plot import plot_adaptation
        from plt.analyze.dataset.plots import picture_kind

        put(plot_adaptation(found, picture_kind(picture.path)), picture)
    return adaptation_json(found), adaptation_blocks(found)


def _check(value: str, known: tuple[str, ...], flag: str) -> None:
    if value not in known:
        raise UsageError(f"{flag} is '{value}'; known are {', '.join(known)}")
