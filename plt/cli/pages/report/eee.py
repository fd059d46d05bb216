"""Runs as records of Every Eval Ever, a schema by which evaluations are shared: one line a run.

The record says what the schema has words for: accuracy over users and over judgements, log loss and
AUC with their intervals, who was evaluated on what, and what made the figures. What a figure is
about stands in its `details`; figures that are null are left out, since a score is a number there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plt import __version__
from plt.analyze.registry import METRICS
from plt.analyze.report.figures_table import row_figures

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Compared
    from plt.analyze.intervals.uncertainty import Interval
    from plt.study.reports.report import Report

VERSION = "0.3.0"
"""Of the schema."""


def to_eee(report: Report, now: int) -> str:
    """One record a run, each a JSON object on a line of its own.

    Args:
        report: What was found.
        now: Seconds since 1970, when the records are made.
    """
    records = [_record(report, row, now) for row in report.comparison.rows]
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def _record(report: Report, row: Compared, now: int) -> dict[str, Any]:
    entry = row.entry
    model = f"{entry.method}/{entry.run_id}"
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{report.dataset}/{model}/{now}",
        "retrieved_timestamp": str(now),
        "source_metadata": {
            "source_name": "plt report",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "plt", "version": __version__},
        "model_info": {
            "name": entry.name,
            "id": model,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                "method": entry.method,
                **({"backbone": entry.condition.model} if entry.condition.model else {}),
            },
        },
        "evaluation_results": [
            _result(report, name, average, figure)
            for name, average, figure in row_figures(row)
            if figure.value is not None
        ],
    }


def _result(report: Report, name: str, average: str, figure: Interval) -> dict[str, Any]:
    card = METRICS[name]
    uncertainty: dict[str, Any] = {"num_samples": figure.n_rows}
    if figure.se is not None:
        uncertainty["standard_error"] = {"value": figure.se, "method": "jackknife over clusters"}
    if figure.low is not None:
        uncertainty["confidence_interval"] = {
            "lower": figure.low, "upper": figure.high, "confidence_level": figure.level,
            "method": figure.label,
        }  # fmt: skip
    details = {"about": figure.target, "average": average, "split": report.asked.split}
    if report.asked.users is not None:
        details["users"] = report.asked.users
    return {
        "evaluation_name": f"{report.dataset}, {report.asked.split}",
        "source_data": {
            "dataset_name": report.dataset,
            "source_type": "other",
            "additional_details": {
                "rows_sha256": report.comparison.test_rows,
                "judgements": str(report.comparison.n_shared),
            },
        },
        "metric_config": {
            "evaluation_description": card.summary,
            "metric_id": f"{name}.{average}",
            "metric_name": name,
            "lower_is_better": card.higher_is_better is False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": "Infinity" if name == "log_loss" else 1.0,
        },
        "score_details": {
            "score": figure.value, "details": details, "uncertainty": uncertainty,
        },
    }  # fmt: skip
