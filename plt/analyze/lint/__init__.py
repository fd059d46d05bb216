"""What gives the label away, what straddles splits, and what no model should see.

`lint` asks of a table, before anything is trained on it, whether a trivial rule about the form of
the texts predicts who wins, whether its split keeps what it promised, and whether its rows
contradict one another. Findings are defects; notes are facts worth knowing.
"""

from plt.analyze.lint.context import context_findings
from plt.analyze.lint.decisions import read_decisions
from plt.analyze.lint.findings import CHECKS, Example, Finding, LintReport
from plt.analyze.lint.folds import make_folds
from plt.analyze.lint.form import form_findings
from plt.analyze.lint.length_and_author import fit_taste, taste_findings
from plt.analyze.lint.markers import marker_findings
from plt.analyze.lint.people import people_findings
from plt.analyze.lint.places import across_findings, split_findings
from plt.analyze.lint.records import (
    control_token_findings,
    label_findings,
    position_findings,
    repeat_findings,
    score_findings,
)
from plt.data.tables.preferences import Preferences
from plt.errors import DataError

__all__ = ["CHECKS", "Example", "Finding", "LintReport", "lint"]


def lint(prefs: Preferences, *, seed: int = 0) -> LintReport:
    """Everything that is suspicious about a table.

    Args:
        prefs: Any table, also one whose keys are repeated (`read_preferences` with
            `unique_keys=False`).
        seed: Of the folds in which rules are learned and tried.

    Returns:
        Findings and notes in the order of `CHECKS`. The order of the rows and the names of the
        users change nothing.

    Raises:
        DataError: Not a single row has a label: there is nothing that could be given away.
    """
    if prefs.votes["label"].null_count() == prefs.votes.height:
        raise DataError(
            "the table has no labels, so nothing can be said about what gives them away",
            hint="plt dataset-convert generic DATA --map label=COLUMN -o prefs.parquet",
        )
    decisions = read_decisions(prefs)
    folds = make_folds(decisions, seed)
    tastes = fit_taste(decisions, folds)
    found = [
        *form_findings(decisions, folds, tastes),
        *marker_findings(decisions),
        *context_findings(prefs, decisions, seed),
        *taste_findings(decisions, folds, tastes),
        *position_findings(prefs.votes),
        *score_findings(prefs.votes),
        *split_findings(prefs),
        *across_findings(prefs),
        *people_findings(prefs),
        *repeat_findings(prefs.votes),
        *label_findings(prefs.votes),
        *control_token_findings(prefs),
    ]
    return LintReport(
        dataset=prefs.meta.dataset,
        n_judgments=prefs.n_judgements,
        n_decisions=decisions.n_rows,
        findings=tuple(one for one in found if one.failed),
        notes=tuple(one for one in found if not one.failed),
    )
