"""The page of a report: answers in words, then pictures, then tables, then what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from plt.analyze.intervals.figures import MISSING
from plt.analyze.report.glossary import glossary
from plt.cli.formats.page import Fold, Page, Section
from plt.cli.pages.comparison import comparison_blocks, sweep_blocks
from plt.cli.pages.report.answers import answers, leader
from plt.cli.pages.report.drawings import accuracy_picture, against, gain_picture
from plt.cli.pages.report.next_steps import next_steps
from plt.cli.pages.report.tables import cost_table, gate_table, published_blocks, rows_line
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.report.gates import Checked
    from plt.analyze.report.people import People
    from plt.cli.pages.report.parts import Part
    from plt.cli.shell.pictures import Picture
    from plt.study.reports.report import Report

MOST_CLAIMS = 3
"""Of learning curves, in the answers: the rest stands in their part."""
MOST_FOLDS = 60_000
"""Cells of all persons under all runs: beyond it the page would be too large for a browser."""
EXPLAINED = (
    "accuracy", "worst_decile_accuracy", "worst_user_accuracy", "minority_accuracy", "log_loss",
    "auc", "gain", "p", "own_minus_wrong_user", "gain_with_wrong_user", "gain_with_shuffled_ids",
    "harmed", "parameters", "tokens", "seconds", "peak_memory_mib", "looks", "test_rows",
)  # fmt: skip


def report_page(
    report: Report,
    checked: Sequence[Checked] = (),
    more: Sequence[Section] = (),
    command: str | None = None,
) -> Page:
    """A report as a page.

    Args:
        report: What was found.
        checked: Gates that were asked for.
        more: Sections of other things than the comparison: adaptation, tax, the data.
        command: The line that makes the page again.
    """
    found = report.comparison
    names = [section.name for section in more]
    sections = [
        Section("gates", "Gates", (gate_table(checked),)) if checked else None,
        Section("picture", "The picture", tuple(pictures(report))),
        Section(
            "comparison", "All figures", (*comparison_blocks(found), *sweep_blocks(report.sweep))
        ),
        *more,
        Section("cost", "What each run took", (cost_table(found),)),
        _people(report),
        _published(report),
        Section("next", "What to do next", tuple(map(Line, next_steps(report, names)))),
        _words(),
        _origin(report, command),
    ]
    n = len(found.rows)
    return Page(
        title=f"Personalised preferences: {n} run{'s' if n > 1 else ''} on {report.dataset}",
        lead=_lead(report),
        answers=_answers(report, more),
        sections=tuple(section for section in sections if section is not None and section.blocks),
        foot=(rows_line(report), "Made by plt; the page holds everything and asks for nothing."),
    )


def parts_page(parts: Sequence[Part], command: str | None = None) -> Page:
    """A page of parts alone, such as of runs of ``plt adapt``.

    Args:
        parts: At least one.
        command: The line that makes the page again.
    """
    again = () if command is None else (f"This page again: {command}",)
    return Page(
        title=parts[0].title,
        lead="What may be said stands first, the figures behind it below.",
        answers=tuple((part.title, part.claims) for part in parts),
        sections=tuple(Section(part.name, part.title, part.on_page) for part in parts),
        foot=(*again, "Made by plt; the page holds everything and asks for nothing."),
    )


def _answers(report: Report, more: Sequence[Section]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The four answers, with what the data says before them and what was paid elsewhere in them."""
    said = {section.name: section.claims for section in more}
    first = (("Is there anything to gain?", said["data"]),) if said.get("data") else ()
    rest = [(question, tuple(sentences)) for question, sentences in answers(report)]
    question, paid = rest[-1]
    rest[-1] = (question, (*paid, *said.get("tax", ()), *said.get("dose", ())))
    question, whom = rest[1]
    rest[1] = (question, (*whom, *said.get("adaptation", ())[:MOST_CLAIMS]))
    return (*first, *rest)


def _lead(report: Report) -> str:
    found = report.comparison
    which = "" if report.asked.users is None else f"{report.asked.users} users, "
    baseline = "" if found.baseline is None else f"; gains are over {found.baseline}"
    return f"Which model answers as each person would? {which}{report.asked.split} rows{baseline}."


def pictures(report: Report) -> list[Picture]:
    """The pictures of a report that have anything to draw."""
    found = report.comparison
    first = accuracy_picture(found) if found.baseline is None else gain_picture(found)
    drawn = [
        first,
        against(found, "accuracy-parameters", "parameters kept", lambda cost: cost.parameters),
        against(
            found, "accuracy-judgements", "judgements learnt from", lambda cost: cost.judgements
        ),
    ]
    return [picture for picture in drawn if not picture.empty]


def _people(report: Report) -> Section | None:
    found = report.people()
    if found is None:
        return None
    names = [entry.name for entry in report.entries]
    best = leader(report.comparison)
    shown = 0 if best is None else next(
        i for i, entry in enumerate(report.entries) if entry is best.entry
    )  # fmt: skip
    base = next((i for i, n in enumerate(names) if n == report.comparison.baseline), shown)
    table = _everybody(found, names, base, shown)
    note = Line(
        "Figures of one person are descriptions: with few judgements each they differ by chance"
        " alone. Intervals are Wilson's, on the effective number of prompts."
    )
    cells = found.value.size
    folds = tuple(_person(found, names, u) for u in range(len(found.names)))
    if cells > MOST_FOLDS:
        told = Line(
            f"{len(found.names):,} people under {len(names)} runs are too many for one page: plt"
            " report ... --by-user --format csv has them all."
        )
        return Section("people", "Each person", (note, table, told))
    return Section("people", "Each person", (note, table), folds, linked=True)


def _everybody(found: People, names: Sequence[str], base: int, best: int) -> Table:
    """One row a person: the baseline and the run to speak of."""
    chosen = [base] if base == best else [base, best]
    columns = ("#", "user", "judgements", *(names[i] for i in chosen))
    columns += ("difference",) if len(chosen) > 1 else ()
    rows = []
    for u, user in enumerate(found.names):
        cells = [str(u + 1), user, str(found.n_judgements[u])]
        cells += [_with_ends(found, i, u) for i in chosen]
        if len(chosen) > 1:
            cells.append(f"{100 * (found.value[best, u] - found.value[base, u]):+.0f}")
        rows.append(tuple(cells))
    return Table(columns, tuple(rows), None, frozenset({*columns} - {"user"}))


def _with_ends(found: People, run: int, user: int) -> str:
    value, low, high = (x[run, user] for x in (found.value, found.low, found.high))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(value) else MISSING


def _person(found: People, names: Sequence[str], user: int) -> Fold:
    """One person under every run."""
    rows = tuple((name, _with_ends(found, i, user)) for i, name in enumerate(names))
    summary = f"{user + 1}. {found.names[user]}: {found.n_judgements[user]} judgements"
    return Fold(summary, Table(("run", "accuracy"), rows, None, frozenset({"accuracy"})))


def _published(report: Report) -> Section | None:
    pairs = report.published()
    if not pairs:
        return None
    return Section("published", "What the papers report", published_blocks(pairs, report.dataset))


def _words() -> Section:
    cards = glossary()
    rows = tuple((cards[name].column, cards[name].what, cards[name].read) for name in EXPLAINED)
    table = Table(("figure", "what it is", "how to read it"), rows)
    return Section("words", "What the figures are", (table,), closed=True)


def _origin(report: Report, command: str | None) -> Section:
    """Which files and versions stand behind the page."""
    blocks: list[Block] = []
    if report.runs:
        columns = ("run", "command", "method", "seed", "made", "plt", "data (SHA-256)")
        rows = tuple(
            (
                str(run.path),
                run.identity.command,
                run.identity.method,
                str(run.identity.seed),
                str(run.record.get("ended", MISSING)),
                str(run.record.get("packages", {}).get("plt-toolkit", MISSING)),
                str(run.identity.inputs.get("preferences", MISSING))[:16],
            )
            for run in report.runs
        )
        blocks.append(Table(columns, rows))
    blocks.append(Line(f"Test rows, in full: SHA-256 {report.comparison.test_rows}."))
    if command is not None:
        blocks.append(Line(f"This page again: {command}"))
    return Section("origin", "Where it comes from", tuple(blocks), closed=True)
