"""From a split table to a fitted method and its scores: what `plt train` does."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from plt.data.preferences import Preferences
from plt.train.judgements import training_view
from plt.train.method import Method, TrainContext
from plt.train.scoring import Label, Scores, score_pairs

SCORED_SPLITS = ("val", "test")


@dataclass(frozen=True)
class Fitted:
    """A fitted method and what it said about the rows it did not learn from.

    Attributes:
        method: Ready to save.
        scores: Own and `wrong-user` scores in one table.
        notes: What a reader must know, in sentences.
    """

    method: Method
    scores: Scores
    notes: tuple[str, ...]


def fit_and_score(
    prefs: Preferences,
    method: Method,
    ctx: TrainContext,
    label: Label,
    splits: Sequence[str] = SCORED_SPLITS,
) -> Fitted:
    """Fits on the training view and scores the val and test rows of seen users.

    Args:
        prefs: The whole split table.
        method: Not yet fitted.
        ctx: Seed, work directory, compute.
        label: What identifies the run; its seed must be that of `ctx`.
        splits: Which rows to score.

    Returns:
        The fitted method; scores, in which the rows of `control` null and `dropped` together are
        all judgements of the table; and notes. Where the method depends on the user, the same
        rows follow with `control` = ``wrong-user``.

    Raises:
        DataError: Nothing can be learnt from (`training_view`).
        FailedError: The fit diverges, or a margin is not finite.
    """
    fitted = method.fit(training_view(prefs), ctx)
    rows, dropped = _scored_rows(prefs, splits)
    own = score_pairs(fitted, rows, label)
    sham = score_pairs(fitted, rows, label, control="wrong-user")
    scores = Scores(pl.concat([own.frame, sham.frame]), {**dropped, **own.dropped})
    return Fitted(fitted, scores, (*fitted.notes, *sham.notes))


def _scored_rows(prefs: Preferences, splits: Sequence[str]) -> tuple[Preferences, dict[str, int]]:
    seen = pl.col("user_split").fill_null("seen") == "seen"
    of_unseen = prefs.votes.filter(~seen).height
    rows = prefs.filter(seen)
    dropped = {}
    if of_unseen:
        dropped["unseen user: kept for adaptation"] = of_unseen
    counts = rows.votes.group_by(pl.col("split").cast(pl.String)).len().iter_rows()
    for split, count in sorted(counts, key=str):
        if split not in splits:
            dropped[f"{split} row" if split else "row without a split"] = count
    return rows.filter(pl.col("split").is_in(list(splits))), dropped
