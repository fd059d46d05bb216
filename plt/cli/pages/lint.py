"""What `plt dataset-lint` found, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.cli.shell.streams import STDIN, Block, Heading, Line

if TYPE_CHECKING:
    from plt.analyze.lint import Finding, LintReport


def lint_blocks(report: LintReport, data: str) -> tuple[Block, ...]:
    """Findings, notes and the verdict, for a person.

    Args:
        report: What was found.
        data: What the table is called in hints.
    """
    blocks: list[Block] = []
    for title, found in (("Findings", report.findings), ("Notes", report.notes)):
        if found:
            blocks.append(Heading(title))
            blocks += [Line(line) for one in found for line in _lines(one, data)]
    verdict = "is clean" if report.clean else f"has {_count(len(report.findings), 'finding')}"
    name = report.dataset or data
    blocks.append(Line(f"{name} {verdict}: {_count(report.n_judgments, 'judgement')} looked at."))
    return tuple(blocks)


def _lines(found: Finding, data: str) -> list[str]:
    lines = [f"{found.check}: {found.what}."]
    for example in found.examples:
        place = "" if example.pair_id is None else f"pair {example.pair_id}: "
        lines.append(f"  see {place}{example.text}")
    if found.hint:
        lines.append(f"  hint: {found.hint if data == STDIN else found.hint.replace('DATA', data)}")
    return lines


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
