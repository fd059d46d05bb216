"""A report: runs side by side, with what they cost, whom they serve and what stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plt.study.entries import entries_of, gather
from plt.study.run_facts import Looks, check_untouched, count_looks

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.adaptation.curves import Adaptation
    from plt.analyze.comparison.compare import Comparison
    from plt.analyze.comparison.entries import Entry
    from plt.analyze.comparison.sweep import Pivot, SweepTable
    from plt.analyze.report.beside import Beside
    from plt.analyze.report.people import People
    from plt.data.run import Run
    from plt.data.tables.table import Source
    from plt.study.costs.dose import DosedRun
    from plt.study.costs.tax import Taxed

APART = ("tax",)
"""Commands whose runs are of other rows than anybody's test judgements."""


@dataclass(frozen=True)
class Asked:
    """What of the runs a report is about.

    Attributes:
        baseline: As `compare`.
        split: ``train``, ``val`` or ``test``.
        users: ``seen``, ``unseen``; None for all.
        margin: As `compare`.
        pivot: As `sweep_tables`.
    """

    baseline: str | None = None
    split: str = "test"
    users: str | None = "seen"
    margin: float | None = None
    pivot: Pivot = "auto"


@dataclass(frozen=True)
class Report:
    """Everything that a report says, in every form.

    Attributes:
        asked: What it is about.
        entries: What is compared.
        comparison: The figures.
        sweep: The same by training size or model, where these vary.
        looks: How often the test rows were looked at; None where there are scores tables alone.
        runs: The runs among the entries.
        warnings: What looks wrong, in sentences.
    """

    asked: Asked
    entries: tuple[Entry, ...]
    comparison: Comparison
    sweep: tuple[SweepTable, ...]
    looks: Looks | None = None
    runs: tuple[Run, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def dataset(self) -> str:
        """What the judgements are called."""
        return str(self.entries[0].scores["dataset"][0])

    @property
    def data_argument(self) -> str | None:
        """What was typed as DATA when the first run was made; None where nobody knows."""
        from plt.study.run_facts import data_argument

        return data_argument(self.runs[0]) if self.runs else None

    def folder_of(self, entry: Entry) -> str | None:
        """The run directory behind an entry; None for a scores table."""
        found = (str(run.path) for run in self.runs if run.run_id == entry.run_id)
        return next(found, None)

    def people(self) -> People | None:
        """Each person's accuracy under each run; None for data without users."""
        from plt.analyze.report.people import people

        return people(self.comparison)

    def published(self) -> tuple[Beside, ...]:
        """Figures of the papers on this dataset, beside ours where there is a run of the method."""
        from plt.analyze.report.beside import beside

        return beside(self.comparison, self.dataset)


@dataclass(frozen=True)
class Findings:
    """What stands behind everything that was named; one of them at least is there.

    Attributes:
        report: Runs side by side.
        adaptation: Runs of ``plt adapt`` side by side, by the number of answers.
        taxes: Runs of ``plt tax``.
        doses: Runs of ``plt dose``; those that scored their people are compared too.
    """

    report: Report | None
    adaptation: Adaptation | None = None
    taxes: tuple[Taxed, ...] = ()
    doses: tuple[DosedRun, ...] = ()


def find(
    sources: Sequence[Source | pl.DataFrame], asked: Asked, report: Callable[[str], None]
) -> Findings:
    """Compares what was named.

    Args:
        sources: As `gather`.
        asked: What of it.
        report: Takes one sentence of each run that is left out, and of scores given twice.

    Raises:
        UsageError: As `gather`, `compare`.
        ArtifactError: As `gather`; or the scores of a run are not what it wrote.
        DataError: As `entries_of`, `compare`.
    """
    from plt.analyze.adaptation.answers import is_adapted
    from plt.analyze.adaptation.curves import adaptation

    found = gather(sources, report, APART)
    taxes = tuple(_taxed(run) for run in found.apart.get("tax", ()))
    everything = (*found.runs, *found.apart.get("dose", ()))
    doses = tuple(_dosed(run) for run in everything if run.identity.command == "dose")
    if not found.compared and (taxes or doses):
        return Findings(None, None, taxes, doses)
    entries = entries_of(found, report)
    adapted = [entry for entry in entries if is_adapted(entry)]
    compared = [entry for entry in entries if not is_adapted(entry)]
    ids = {entry.run_id for entry in compared}
    runs = tuple(run for run in found.runs if run.run_id in ids)
    return Findings(
        report=_report(compared, runs, asked) if compared else None,
        adaptation=adaptation(adapted) if adapted else None,
        taxes=taxes,
        doses=doses,
    )


def _dosed(run: Run) -> DosedRun:
    from pathlib import Path

    from plt.study.costs.dose import DosedRun

    trained = Path(run.record["trained"]["run"])
    return DosedRun(run.identity.method, trained, run.path, run.run_id, run.record["dose"])


def _taxed(run: Run) -> Taxed:
    from plt.data.run import SCORES_FILE
    from plt.study.costs.tax import load_tax

    check_untouched(run, SCORES_FILE)
    return load_tax(run.path)


def _report(entries: Sequence[Entry], runs: tuple[Run, ...], asked: Asked) -> Report:
    from plt.analyze.comparison.compare import compare
    from plt.analyze.comparison.sweep import sweep_tables
    from plt.analyze.report.beside import too_good

    comparison = compare(
        entries,
        baseline=asked.baseline,
        splits=(asked.split,),
        user_split=asked.users,
        margin=asked.margin,
    )
    dataset = str(entries[0].scores["dataset"][0])
    return Report(
        asked=asked,
        entries=tuple(entries),
        comparison=comparison,
        sweep=sweep_tables(comparison, asked.pivot),
        looks=count_looks(runs),
        runs=runs,
        warnings=tuple(too_good(comparison, dataset)),
    )
