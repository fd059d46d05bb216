"""`plt dataset-lint`: what gives labels away, what straddles splits, what contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from plt.cli.shell.options import Config, Json, Quiet, Seed
from plt.cli.shell.streams import STDIN, Block, Heading, Line, Result

if TYPE_CHECKING:
    from plt.analyze.lint import Finding, LintReport


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Registry name, Parquet path or -.")],
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Look for what gives labels away and for splits that leak; exit 1 on a finding.

    Trivial rules about the form of the texts (brackets, blanks, quotes, last characters) are
    learned in some folds and tried in others; a finding is what predicts the label beyond length
    and authorship. Notes, such as how far length alone predicts it, never fail.

    Example: plt dataset-lint prefs.parquet

    Example: plt dataset-split prefs.parquet | plt dataset-lint - --json
    """
    from plt.analyze.lint import lint
    from plt.cli.shell.inputs import load_preferences

    report = lint(load_preferences(data, unique_keys=False), seed=seed)
    return Result(
        data=report.as_dict(),
        blocks=_blocks(report, data),
        exit_code=0 if report.clean else 1,
        hint=f"plt dataset-stats {data}" if report.clean and data != STDIN else None,
    )


def _blocks(report: LintReport, data: str) -> tuple[Block, ...]:
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
