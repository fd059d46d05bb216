"""Published figures beside ours, with the reasons why they may differ."""

from dataclasses import dataclass

from plt.analyze.comparison.compare import Compared, Comparison
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.report.published import TOO_GOOD, Published, published

ALWAYS = (
    "the papers divide rows or users in ways of their own, and some of them share pairs between"
    " training and test",
    "their figures are of one run each, mostly without an interval, and some are averaged over"
    " judgements and not over users",
)
NOT_OURS = "no run of this method here"


@dataclass(frozen=True)
class Beside:
    """A published figure and ours.

    Attributes:
        theirs: What a paper prints.
        name: What our run is called; None where there is none of that method.
        ours: Our accuracy; None likewise.
        reasons: Why the two may differ, beyond `ALWAYS`.
    """

    theirs: Published
    name: str | None
    ours: Interval | None
    reasons: tuple[str, ...]


def beside(found: Comparison, dataset: str) -> tuple[Beside, ...]:
    """Every published figure of a dataset; with each of our runs of its method, if there is one."""
    pairs = []
    for theirs in published(dataset):
        rows = [row for row in found.rows if row.entry.method == theirs.method]
        if not rows:
            pairs.append(Beside(theirs, None, None, (NOT_OURS,)))
        for row in rows:
            ours = row.macro if row.macro.value is not None else row.pooled
            pairs.append(Beside(theirs, row.entry.name, ours, _reasons(row)))
    return tuple(pairs)


def _reasons(row: Compared) -> tuple[str, ...]:
    condition = row.entry.condition
    reasons = []
    if condition.model is not None:
        tuned = "" if condition.tune is None else f", {condition.tune}"
        reasons.append(f"our model is {condition.model}{tuned}")
    if condition.train_size is not None:
        reasons.append(f"{condition.size_label} of our training rows")
    elif row.entry.cost.judgements is not None:
        reasons.append(f"{row.entry.cost.judgements:,} training rows here")
    if row.entry.footnote is not None:
        reasons.append(row.entry.footnote)
    return tuple(reasons)


def too_good(found: Comparison, dataset: str) -> list[str]:
    """A sentence on each run that is better than anybody was on that data."""
    most = TOO_GOOD.get(dataset.partition(":")[0])
    if most is None:
        return []
    sentences = []
    for row in found.rows:
        ours = row.macro if row.macro.value is not None else row.pooled
        if ours.value is not None and ours.value > most:
            sentences.append(
                f"{row.entry.name} reaches {100 * ours.value:.1f} % on {dataset}, where"
                f" {100 * most:.0f} % is more than anybody has shown: look for a leak before"
                " believing it (plt dataset-lint DATA)."
            )
    return sentences
