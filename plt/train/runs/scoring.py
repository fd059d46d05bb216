"""The one way from a scorer to a scores table.

Every distinct text reaches the method once, however many people judged it, and no label does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences
from plt.data.tables.schema import SCORES, conform
from plt.errors import FailedError, UsageError
from plt.train.judgements import distinct_texts
from plt.train.method import FloatArray, IntArray, MarginScorer, Method, RewardScorer, Texts

Control: TypeAlias = Literal["wrong-user", "shuffled-ids"]
WRONG_USER: Control = "wrong-user"
SHUFFLED_IDS: Control = "shuffled-ids"
KEPT = (
    "pair_id", "user_id", "occurrence", "dataset", "group", "split", "user_split", "subset",
    "label",
)  # fmt: skip
MAX_ROWS_NAMED = 10


@dataclass(frozen=True)
class Scores:
    """What a method said about a table.

    Attributes:
        frame: A `scores/1` table, in the order of the votes.
        dropped: Reason to number of judgements without a score; with the rows of `frame` they are
            all judgements.
        notes: What is missing and why, in sentences.
    """

    frame: pl.DataFrame
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoringRows:
    """N judgements as a scorer sees them.

    Attributes:
        texts: Distinct texts.
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        users: Whose reward, one a judgement; None is the population.
    """

    texts: Texts
    a: IntArray
    b: IntArray
    users: Sequence[str | None]


@dataclass(frozen=True)
class Label:
    """What stands beside every score of a pass.

    Attributes:
        run_id: The run that scores.
        method: Registry name.
        seed: The run's seed.
        n_shots: Answers adapted on; None outside `adapt`.
        draw: Which draw of the shots; None outside `adapt`.
        variant: What of a model was scored, where it is not the whole; None otherwise.
    """

    run_id: str
    method: str
    seed: int
    n_shots: int | None = None
    draw: int | None = None
    variant: str | None = None


def score_pairs(
    method: Method,
    prefs: Preferences,
    label: Label,
    *,
    control: Control | None = None,
    scored_as: Mapping[str | None, str | None] | None = None,
) -> Scores:
    """Scores every judgement of a table, or says why one has no score.

    A user whom the method does not know is scored as the population, and `scored_as` is null then.

    Args:
        method: A fitted method.
        prefs: Whose pairs to score; labels are carried along, never shown.
        label: What identifies the pass.
        control: ``wrong-user`` scores every judgement of a known user as another known user, the
            same one for all their judgements: by `scored_as`, or where that is None by
            `wrong_users`; ``shuffled-ids`` marks the scores of a method that was fitted on
            shuffled ids.
        scored_as: Whose reward to use for each user, instead of their own; None is the population.

    Raises:
        UsageError: `scored_as` names somebody whom the method does not know.
        FailedError: A margin is no finite number; the rows are named.
    """
    votes = prefs.votes.with_columns(pl.col("user_id").cast(pl.String))
    notes: tuple[str, ...] = ()
    dropped: dict[str, int] = {}
    if control == WRONG_USER:
        scored_as = wrong_users(method.users, label.seed) if scored_as is None else scored_as
        kept = votes.filter(pl.col("user_id").is_in(list(scored_as)))
        if not scored_as:
            notes = (f"no wrong-user control: {_why_no_control(method)}",)
        if kept.height < votes.height:
            dropped["no other user to score as"] = votes.height - kept.height
        votes = kept
    elif scored_as is not None:
        _refuse_unknown(scored_as, method.users)
    known = set(method.users)
    whose = [(scored_as or {}).get(user, user) for user in votes["user_id"].to_list()]
    whose = [user if user in known else None for user in whose]
    frame = scored_rows(scorer_of(method), votes, prefs.pairs, whose, label)
    frame = frame.with_columns(control=pl.lit(control, dtype=SCORES.column("control").dtype))
    return Scores(frame, dropped, notes)


def scored_rows(
    scorer: RewardScorer | MarginScorer,
    votes: pl.DataFrame,
    pairs: pl.DataFrame,
    whose: Sequence[str | None],
    label: Label,
) -> pl.DataFrame:
    """A `scores/1` table of judgements, in their order, each text seen by the method once.

    Args:
        scorer: Fitted.
        votes: The judgements; names are String.
        pairs: The texts of at least their pairs.
        whose: Whose reward, one a judgement; None is the population.
        label: What identifies the pass.

    Raises:
        FailedError: A margin is no finite number; the rows are named.
    """
    plan = _plan(votes, pairs, whose)
    margin, reward_a, reward_b = _score_range(scorer, plan, 0, votes.height)
    _refuse_not_finite(margin, votes, label)
    frame = votes.select(KEPT).with_columns(
        pl.Series("scored_as", whose, dtype=pl.String),
        pl.Series("margin", margin, dtype=pl.Float64),
        run_id=pl.lit(label.run_id),
        method=pl.lit(label.method),
        seed=pl.lit(label.seed, dtype=pl.UInt64),
        control=pl.lit(None, dtype=SCORES.column("control").dtype),
        n_shots=pl.lit(label.n_shots, dtype=pl.UInt32),
        draw=pl.lit(label.draw, dtype=pl.UInt16),
        variant=pl.lit(label.variant, dtype=pl.String),
    )
    if reward_a is not None:
        rewards = {"reward_a": reward_a, "reward_b": reward_b}
        frame = frame.with_columns(pl.Series(name, values) for name, values in rewards.items())
    return conform(frame, SCORES).select(SCORES.names)


def wrong_users(users: Sequence[str], seed: int) -> dict[str | None, str | None]:
    """Another user for each: one cycle through all of them in an order drawn from the seed.

    Args:
        users: Whom the method knows.
        seed: The run's seed.

    Returns:
        User to somebody else; empty for fewer than two users.
    """
    if len(users) < 2:
        return {}
    names = sorted(users)
    ring = np.random.default_rng(seed).permutation(len(names))
    return {names[one]: names[other] for one, other in zip(ring, np.roll(ring, 1), strict=True)}


def _why_no_control(method: Method) -> str:
    if not method.users:
        return "the method scores everybody alike"
    return f"it knows one user only, {method.users[0]!r}"


def _refuse_unknown(scored_as: Mapping[str | None, str | None], users: Sequence[str]) -> None:
    unknown = sorted({user for user in scored_as.values() if user is not None} - set(users))
    if unknown:
        raise UsageError(
            "the model cannot score as people whom it does not know",
            problems=[f"unknown user {user!r}" for user in unknown],
            hint="plt score RUN DATA --as-user population -o scores.parquet",
        )


def _plan(votes: pl.DataFrame, pairs: pl.DataFrame, users: Sequence[str | None]) -> ScoringRows:
    judged = pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi").sort("pair_id")
    texts, first, second = distinct_texts(judged)
    index = judged.select("pair_id").with_row_index("pair")
    found = votes.select("pair_id").join(index, on="pair_id", how="left", maintain_order="left")
    pair = found["pair"].to_numpy().astype(np.int64)
    return ScoringRows(texts, first[pair], second[pair], users)


def scorer_of(method: Method) -> RewardScorer | MarginScorer:
    """The method as what it scores by; TypeError for one that does not keep its contract."""
    if isinstance(method, MarginScorer | RewardScorer):
        return method
    raise TypeError(f"{type(method).__name__} has neither reward nor margin")


def _score_range(
    scorer: RewardScorer | MarginScorer, plan: ScoringRows, start: int, stop: int
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Margins, and rewards of a and b where the method has them, of judgements start to stop.

    No judgement depends on another, so processes can share a plan by ranges.
    """
    a, b, users = plan.a[start:stop], plan.b[start:stop], plan.users[start:stop]
    if not len(a):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    if isinstance(scorer, MarginScorer):
        return scorer.margin(plan.texts, a, b, users), None, None
    both = scorer.reward(plan.texts, np.concatenate([a, b]), [*users, *users])
    reward_a, reward_b = both[: stop - start], both[stop - start :]
    return reward_a - reward_b, reward_a, reward_b


def _refuse_not_finite(margin: FloatArray, votes: pl.DataFrame, label: Label) -> None:
    bad = np.flatnonzero(~np.isfinite(margin))
    if len(bad):
        rows = votes.select("user_id", "pair_id")[bad[:MAX_ROWS_NAMED].tolist()]
        raise FailedError(
            f"{label.method} gave {len(bad)} of {len(margin)} judgements a margin that is no"
            " finite number",
            problems=[
                f"user {user!r}, pair {pair}: {value}"
                for (user, pair), value in zip(rows.iter_rows(), margin[bad], strict=False)
            ],
        )
