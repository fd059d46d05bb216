"""`plt report`: runs side by side on the same judgements."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet
from plt.cli.shell.streams import Result, say
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.analyze.report.gates import Checked, Limit
    from plt.cli.formats.page import Section
    from plt.cli.pages.report.document import Wanted
    from plt.cli.pages.report.forms import Made
    from plt.cli.pages.report.parts import Part
    from plt.cli.shell.streams import Block
    from plt.data.tables.output import Output
    from plt.data.tables.table import Source
    from plt.study.reports.report import Findings, Report

MaxTax: TypeAlias = Annotated[
    float | None,
    typer.Option("--max-tax", metavar="V", help="Exit 1 if a section may lose over V points."),
]
AtLeast: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--min", metavar="FIGURE=V", help="Exit 1 if a lower end is below V."),
]
AtMost: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--max", metavar="FIGURE=V", help="Exit 1 if an upper end is above V."),
]
NoWorseThan: TypeAlias = Annotated[
    str | None,
    typer.Option("--no-worse-than", help="A run: exit 1 if others may lose --margin to it."),
]
Plot: TypeAlias = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw learning curves of adapt runs: .svg or .png."),
]
Form: TypeAlias = Annotated[
    str,
    typer.Option(
        "--format",
        help="auto (as -o ends), rich, markdown, latex, html, csv, parquet, json, eee.",
    ),
]
Bundle: TypeAlias = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", help="Write page, tables, pictures, manifests."),
]
USERS = ("seen", "unseen", "all")


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|SCORES...", help="Runs, folders of runs, scores tables, or -. [runs]"
        ),
    ] = None,
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
    costs: Annotated[
        bool, typer.Option("--costs", help="Add time, memory, parameters and tokens of each run.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Add the papers' figures on this dataset.")
    ] = False,
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Points within which a run is as good as the baseline."),
    ] = None,
    no_worse_than: NoWorseThan = None,
    max_tax: MaxTax = None,
    at_least: AtLeast = None,
    at_most: AtMost = None,
    plot: Plot = None,
    pivot: Annotated[
        str, typer.Option("--pivot", help="Columns of a sweep: auto, train-size, model or none.")
    ] = "auto",
    form: Form = "auto",
    bundle: Bundle = None,
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
    sizes or models too. Runs of adapt stand beside, by the number of answers. The HTML page is one
    file that asks for nothing. docs/coverage.md says how often these intervals hold.

    Example: plt report runs -o report.html

    Example: plt report runs/new runs/old --no-worse-than runs/old --margin 1

    Example: plt train pandalm.parquet --method random,bradley-terry | plt report - --json
    """
    from plt.analyze.comparison.sweep import PIVOTS
    from plt.analyze.report.gates import read_limits
    from plt.cli.pages.report.bundle import check_bundle
    from plt.cli.pages.report.forms import MARKS, Made, form_of
    from plt.data.tables.schema import SPLITS
    from plt.study.reports.report import Asked, find

    for value, known, flag in (
        (form, MARKS, "--format"), (split, SPLITS, "--split"), (users, USERS, "--users"),
        (pivot, PIVOTS, "--pivot"),
    ):  # fmt: skip
        _check(value, known, flag)
    if no_worse_than is not None and margin is None:
        raise UsageError("--no-worse-than needs a --margin", hint="--margin 1")
    limits = [*read_limits(at_least or [], "min"), *read_limits(at_most or [], "max")]
    meant = "json" if as_json else form_of(form, out)
    keep: dict[str, Any] = {"force": force, "no_clobber": no_clobber, "parents": parents}
    output = named(out, mark=MARKS[meant], **keep)
    picture = _picture(plot, keep)
    if bundle is not None:
        check_bundle(bundle, **keep)
    asked = Asked(
        baseline=baseline if no_worse_than is None else _run_name(no_worse_than),
        split=split,
        users=None if users == "all" else users,
        margin=None if margin is None else margin / 100,
        pivot=next(known for known in PIVOTS if known == pivot),
    )
    found = find(_sources(runs, no_worse_than), asked, say)
    if picture is not None:
        put(_drawn(found, picture.path), picture)
    wanted = _wanted(found.report, by_novelty, by_user, minority)
    parts = _parts(found)
    beside = tuple(part.name for part in parts)
    wanted = replace(wanted, costs=costs, published=published, beside=beside)
    sections = _sections(found.report) if meant == "html" or bundle is not None else []
    checked = _gates(found, limits, no_worse_than, max_tax)
    return _delivered(Made(found.report, wanted, checked, parts, sections), meant, output, bundle)


def _delivered(made: Made, form: str, output: Output | None, bundle: Path | None) -> Result:
    """Writes what was asked for; exit code 1 where a gate does not hold."""
    from plt.cli.pages.report.bundle import write_bundle
    from plt.cli.pages.report.forms import to_bytes

    code = int(not all(each.passed for each in made.checked))
    if bundle is not None:
        write_bundle(made, bundle)
        if output is None:
            return Result(data=made.data, path=bundle / "report.html", exit_code=code)
    if form == "auto" and (output is None or output.is_stdout):
        return Result(data=made.data, blocks=made.blocks, exit_code=code)
    content = to_bytes(made, form)
    if output is None or output.is_stdout:
        return Result(payload=content, exit_code=code)
    put(content, output)
    return Result(data=made.data, path=output.path, exit_code=code)


def _sources(runs: Sequence[str] | None, no_worse_than: str | None) -> list[Source]:
    """What was named; without anything the folder that runs are made in."""
    from plt.cli.shell.inputs import run_sources

    if not runs:
        folder = os.environ.get("PLT_RUNS") or "runs"
        say(f"no run given: reporting on {folder}")
        runs = [folder]
    found = run_sources(list(runs))
    reference = None if no_worse_than is None else Path(no_worse_than)
    if reference is not None and reference.is_dir() and not _named_already(reference, found):
        found.append(reference)
    return found


def _named_already(reference: Path, found: Sequence[Source]) -> bool:
    """Whether a run is among what was named, or lies in a folder that was."""
    places = [each.resolve() for each in found if isinstance(each, Path)]
    own = reference.resolve()
    return any(place == own or place in own.parents for place in places)


def _run_name(named: str) -> str:
    """The run id behind a path, by which a comparison knows its baseline; else the name itself."""
    from plt.data.run import load_run

    return load_run(Path(named)).run_id if Path(named).is_dir() else named


def _picture(plot: Path | None, keep: dict[str, Any]) -> Output | None:
    """Where ``--plot`` draws; refused before anything is computed where it cannot be."""
    if plot is None:
        return None
    from plt.analyze.adaptation.plot import MARK
    from plt.analyze.dataset.plots import picture_kind

    picture_kind(plot)
    return named(plot, flag="--plot", mark=MARK, **keep)


def _drawn(found: Findings, path: Path) -> bytes:
    from plt.analyze.adaptation.plot import plot_adaptation
    from plt.analyze.dataset.plots import picture_kind

    if found.adaptation is None:
        raise UsageError("--plot draws runs of plt adapt; none is given", hint="plt adapt RUN")
    return plot_adaptation(found.adaptation, picture_kind(path))


def _parts(found: Findings) -> list[Part]:
    """What was found beside the comparison."""
    from plt.cli.pages.report.parts import adaptation_part, dose_part, tax_part

    curves = [] if found.adaptation is None else [adaptation_part(found.adaptation)]
    taxes = [tax_part(found.taxes)] if found.taxes else []
    return [*curves, *taxes, *([dose_part(found.doses)] if found.doses else [])]


def _wanted(report: Report | None, by_novelty: bool, by_user: bool, minority: str | None) -> Wanted:
    """Breakdowns that were asked for, as text and as JSON."""
    from plt.analyze.comparison.breakdowns import by_novelty as novelty_apart
    from plt.analyze.comparison.breakdowns import implicit_accuracies
    from plt.cli.pages.comparison import (
        implicit_blocks,
        implicit_json,
        novelty_blocks,
        novelty_json,
    )
    from plt.cli.pages.report.document import Wanted
    from plt.cli.pages.report.tables import people_json, user_blocks

    if report is None:
        return Wanted()
    blocks: list[Block] = []
    document: dict[str, Any] = {}
    asked, found = report.asked, report.comparison
    if by_novelty:
        apart = novelty_apart(
            report.entries, found, baseline=asked.baseline, split=asked.split,
            user_split=asked.users,
        )  # fmt: skip
        blocks += novelty_blocks(found, apart)
        document["by_novelty"] = novelty_json(apart)
    if minority is not None:
        rare = [name.strip() for name in minority.split(",") if name.strip()]
        implicit = implicit_accuracies(report.entries, asked.split, rare)
        blocks += implicit_blocks(implicit)
        document["implicit_accuracy"] = implicit_json(implicit)
    if by_user:
        names = [entry.name for entry in report.entries]
        people = report.people()
        blocks += user_blocks(people, names)
        document["by_user"] = people_json(people, names)
    return Wanted(more=tuple(blocks), more_json=document)


def _gates(
    found: Findings, limits: Sequence[Limit], no_worse_than: str | None, max_tax: float | None
) -> list[Checked]:
    from plt.analyze.report.gates import check_limits, check_no_worse, check_tax

    checked: list[Checked] = []
    if max_tax is not None:
        if not found.taxes:
            raise UsageError("--max-tax holds runs of plt tax; none is named", hint="plt tax RUN")
        for each in found.taxes:
            checked += check_tax(each.tax, f"{each.method} {each.run_id[:6]}", max_tax / 100)
    if not limits and no_worse_than is None:
        return checked
    if found.report is None:
        raise UsageError("--min, --max and --no-worse-than need runs of plt train to compare")
    checked += check_limits(found.report.comparison, limits)
    if no_worse_than is not None and found.report.asked.margin is not None:
        checked += check_no_worse(found.report.comparison, found.report.asked.margin)
    return checked


def _sections(report: Report | None) -> list[Section]:
    """Parts of the page alone."""
    from plt.cli.pages.report.data import data_section

    if report is None:
        return []
    return [section for section in [data_section(report)] if section is not None]


def _check(value: str, known: Collection[str], flag: str) -> None:
    if value not in known:
        raise UsageError(f"{flag} is '{value}'; known are {', '.join(known)}")
