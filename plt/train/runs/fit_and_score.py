"""From a split table to a fitted method and its scores: what `plt train` does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from plt.data.run import CHECKPOINTS
from plt.data.tables.preferences import Preferences
from plt.train.judgements import training_view
from plt.train.method import Method, MethodCard, TrainContext
from plt.train.runs.scoring import SHUFFLED_IDS, WRONG_USER, Label, Scores, score_pairs
from plt.train.runs.shams import Sham, shuffled_ids

SCORED_SPLITS = ("val", "test")


@dataclass(frozen=True)
class Fitted:
    """A fitted method and what it said about the rows it did not learn from.

    Attributes:
        method: Ready to save.
        scores: Own scores and those of the shams in one table.
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
    *,
    card: MethodCard | None = None,
    sham: Sham = "score",
    learn_from: Preferences | None = None,
) -> Fitted:
    """Fits on the training view and scores the val and test rows of seen users.

    Args:
        prefs: The whole split table.
        method: Not yet fitted.
        ctx: Seed, work directory, compute.
        label: What identifies the run; its seed must be that of `ctx`.
        splits: Which rows to score.
        card: The method's. Only one that says so is told the truth of `prefs`; without a card
            nothing is told.
        sham: ``score`` adds scores as the wrong user; ``train`` also fits the method a second time
            with shuffled ids (`plt.train.runs.shams`) and scores the same rows with that.
        learn_from: A sample of `prefs` whose training view is learnt from instead.

    Returns:
        The fitted method; scores, in which the rows of `control` null and `dropped` together are
        all judgements of the table; and notes. Where the method depends on the user, the same
        rows follow with `control` = ``wrong-user`` and ``shuffled-ids``.

    Raises:
        DataError: Nothing can be learnt from (`training_view`).
        FailedError: The fit diverges, or a margin is not finite.
    """
    view = training_view(learn_from or prefs)
    told = prefs.meta.truth if card is not None and card.reads_truth else None
    ctx = replace(ctx, truth=told)
    fitted = method.fit(view, ctx)
    rows, dropped = _scored_rows(prefs, splits)
    passes = [score_pairs(fitted, rows, label)]
    if sham != "none":
        passes.append(score_pairs(fitted, rows, label, control=WRONG_USER))
    if sham == "train" and len(fitted.users) > 1:
        # Its checkpoints must not be taken for those of the method itself.
        elsewhere = replace(ctx, work_dir=ctx.work_dir / CHECKPOINTS / SHUFFLED_IDS)
        blind = method.fit(shuffled_ids(view, ctx.seed), elsewhere)
        passes.append(score_pairs(blind, rows, label, control=SHUFFLED_IDS))
    frame = pl.concat([scores.frame for scores in passes])
    notes = [note for scores in passes[1:] for note in scores.notes]
    return Fitted(fitted, Scores(frame, {**dropped, **passes[0].dropped}), (*fitted.notes, *notes))


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
