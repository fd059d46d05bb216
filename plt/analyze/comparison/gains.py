"""What every run of a table gains over its baseline, how much of it is the user's, who loses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from plt.analyze.comparison.entries import Entry
from plt.analyze.comparison.power import Power, power
from plt.analyze.intervals.claims import Whose, whose_gain
from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.simultaneous import Difference, Judged, simultaneous
from plt.analyze.intervals.uncertainty import Average, Target
from plt.analyze.scores.evaluation import JUDGEMENT, EvaluationRows, select_rows
from plt.analyze.scores.harmed import Harmed, harmed_users
from plt.data.tables.schema import UNDECIDED


@dataclass(frozen=True)
class Gain:
    """One run against its baseline. All differences of one kind hold together over the table.

    Attributes:
        name: What the run is called.
        undecided: Share of its margins that are no opinion.
        own: Accuracy minus the baseline's.
        these_users: The same about these users alone, where `own` is about the population.
        part: Accuracy as oneself minus accuracy as the wrong user, on the rows that have both: the
            user's part; None where nobody was scored as another.
        part_these_users: The same about these users alone.
        wrong_user: Accuracy as the wrong user minus the baseline's; None likewise.
        shuffled_ids: Accuracy of the same method fitted on shuffled ids minus the baseline's.
        over_shuffled: Accuracy minus that.
        whose: Whether the gain is the user's.
        whose_these_users: The same about these users alone; None where there is no such claim.
        power: What the table could have seen; None where the gain is beyond chance.
        harmed: Users who are served worse; None for data without users.
    """

    name: str
    undecided: float
    own: Difference
    these_users: Difference | None
    part: Difference | None
    part_these_users: Difference | None
    wrong_user: Difference | None
    shuffled_ids: Difference | None
    over_shuffled: Difference | None
    whose: Whose
    whose_these_users: Whose | None
    power: Power | None
    harmed: Harmed | None


@dataclass(frozen=True)
class Run:
    """One run on the judgements with a side that all runs share.

    Attributes:
        name: What it is called.
        rows: Its answers.
        wrong_user: Its share of right answers as another user, NaN where nobody has a score,
            [rows]; None without such scores.
        shuffled_ids: The same fitted on shuffled ids.
    """

    name: str
    rows: EvaluationRows
    wrong_user: FloatArray | None
    shuffled_ids: FloatArray | None


def read_run(
    entry: Entry,
    rows: EvaluationRows,
    keys: pl.DataFrame,
    splits: Sequence[str],
    user_split: str | None,
) -> Run:
    """A run and its controls on the same judgements.

    Only on the judgements that have a score under a control: a person without training rows cannot
    be scored as somebody else, and must not take the control from everybody else.

    Args:
        entry: The scores, controls included.
        rows: What `evaluation_rows` made of the judgements in `keys`.
        keys: `JUDGEMENT` of each row.
        splits: As `select_rows`.
        user_split: As `select_rows`.
    """

    def right(control: str) -> FloatArray | None:
        sham = entry.scores.filter(pl.col("control").cast(pl.String) == control)
        sham = select_rows(sham.with_columns(control=None), splits, user_split)
        found = keys.join(
            sham.select(*JUDGEMENT, "margin"),
            on=JUDGEMENT, how="left", maintain_order="left", nulls_equal=True,
        )["margin"]  # fmt: skip
        if found.null_count() == found.len():
            return None
        margin = found.fill_null(np.nan).to_numpy()
        won = np.where(np.abs(margin) < UNDECIDED, 0.5, rows.prefers_a == (margin > 0))
        return np.where(np.isnan(margin), np.nan, won)

    return Run(entry.name, rows, right("wrong-user"), right("shuffled-ids"))


def gains(
    runs: Sequence[Run], references: Sequence[int | None], target: Target
) -> list[Gain | None]:
    """The gain of each run over the run that `references` names; None for a baseline itself.

    Args:
        runs: On the same judgements, in the same order.
        references: The place of each run's baseline.
        target: What the intervals are about.
    """
    first = runs[0].rows
    average: Average = "pair" if first.users is None else "user"
    judged = Judged(first.users, first.groups, target, average)
    pairs = [
        None if place is None else (run, runs[place])
        for run, place in zip(runs, references, strict=True)
    ]
    own = [None if p is None else p[0].rows.correct - p[1].rows.correct for p in pairs]
    wrong = [_minus(p[0].wrong_user, p[1].rows.correct) if p else None for p in pairs]
    shuffled = [_minus(p[0].shuffled_ids, p[1].rows.correct) if p else None for p in pairs]
    part = [_minus(p[0].rows.correct, p[0].wrong_user) if p else None for p in pairs]
    over = [_minus(p[0].rows.correct, p[0].shuffled_ids) if p else None for p in pairs]
    kinds = [simultaneous(each, judged) for each in (own, part, wrong, shuffled, over)]
    # Where intervals are about the population, these users alone are a claim of their own.
    narrow = replace(judged, target="these-users")
    both = judged.target == "population"
    these = [
        simultaneous(each, narrow) if both else [None] * len(runs) for each in (own, part, over)
    ]
    found: list[Gain | None] = []
    for i, pair in enumerate(pairs):
        difference, values = kinds[0][i], own[i]
        if pair is None or difference is None or values is None:
            found.append(None)
            continue
        found.append(
            Gain(
                name=pair[0].name,
                undecided=float(np.mean(pair[0].rows.undecided)),
                own=difference,
                these_users=these[0][i],
                part=kinds[1][i],
                part_these_users=these[1][i],
                wrong_user=kinds[2][i],
                shuffled_ids=kinds[3][i],
                over_shuffled=kinds[4][i],
                whose=_whose(kinds[1][i], kinds[4][i]),
                whose_these_users=_whose(these[1][i], these[2][i]) if both else None,
                power=power(difference, values, judged),
                harmed=harmed_users(pair[0].rows, pair[1].rows),
            )
        )
    return found


def _minus(one: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    return None if one is None or other is None else one - other


def _whose(part: Difference | None, over: Difference | None) -> Whose:
    blind = part is not None and part.same_answers
    if over is not None and over.same_answers and not blind:
        return "not shown"
    controls = [None if each is None else each.together for each in (part, over)]
    return whose_gain(controls, blind=blind)
