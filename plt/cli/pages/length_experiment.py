"""P-RLHF's controlled experiment of one run: two tables and what they do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.figures import MISSING, number, with_interval
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.study.length_experiment import LengthExperiment

ABOUT = {
    "top": "judgements of workers that were learnt from, each as themselves",
    "generic": "judgements of other workers, as nobody in particular",
    "majority": "mean over the workers with the commoner wish",
    "minority": "mean over the workers with the rarer wish",
}


def length_experiment_blocks(found: LengthExperiment) -> tuple[Block, ...]:
    """Accuracies beside vanilla's, words by worker, and how little one run is."""
    return (_accuracies(found), *_reasons(found), _written(found), *_sentences(found))


def _accuracies(found: LengthExperiment) -> Table:
    columns = ("test accuracy", found.baseline, found.method, "of what")
    rows = tuple(
        (
            name,
            MISSING if found.vanilla is None else with_interval(getattr(found.vanilla, name)),
            with_interval(getattr(found.personal, name)),
            about,
        )
        for name, about in ABOUT.items()
    )
    title = f"whom one policy for everybody ({found.baseline}) serves, and whom {found.method} does"
    return Table(columns, rows, title, frozenset(columns[1:3]))


def _reasons(found: LengthExperiment) -> list[Block]:
    """Why a figure or its interval is missing."""
    reasons: dict[str, None] = {}
    for each in (found.vanilla, found.personal):
        for name in ABOUT if each is not None else ():
            figure: Any = getattr(each, name)
            if figure.low is None and figure.reason is not None:
                what = "figure" if figure.value is None else "interval"
                reasons[f"No {what} of {name}: {figure.reason}."] = None
    return [Line(reason) for reason in reasons]


def _written(found: LengthExperiment) -> Table:
    columns = ("writes for", "who wants", "words", "95 % interval", "ended by itself")
    rows = tuple(
        (
            row.worker or ("generic user" if row.control == "generic" else row.control),
            MISSING if row.wish is None else f"{row.wish} texts",
            number(row.words.value, 1),
            MISSING if row.words.low is None
            else f"[{number(row.words.low, 1)}, {number(row.words.high, 1)}]",
            MISSING if row.ended is None else f"{100 * row.ended:.0f} %",
        )
        for row in found.written
    )  # fmt: skip
    title = f"what {found.method} writes, greedily, on {found.n_prompts} test prompts"
    return Table(columns, rows, title, frozenset(columns[2:]))


def _sentences(found: LengthExperiment) -> list[Block]:
    lines: list[Block] = []
    if found.not_shown:
        lines.append(Line(f"Nothing was written for {found.not_shown} more workers."))
    if found.n_endless:
        lines.append(
            Line(
                f"Texts for {found.n_endless} of these did not end by themselves and were stopped"
                f" after {found.max_new_tokens} tokens: their words say nothing of a wish. The"
                " accuracies above are of log-probabilities, and do not suffer."
                " --set sft_weight=0.1 keeps the chosen texts likely, which lets them end."
            )
        )
    lines.append(
        Line(
            f"This is one seed ({found.seed}) at toy size, a run of {found.model} on simulated"
            " workers: it shows what the method can do, not how much it gains on people."
        )
    )
    return lines
