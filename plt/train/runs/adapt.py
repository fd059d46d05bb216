"""New people, from n of their answers: what `plt adapt` does with one fitted method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from plt.data.splitting.shots import ALL, Newcomers
from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.judgements import support_view
from plt.train.method import Method, MethodCard, TrainContext
from plt.train.registry import METHODS
from plt.train.runs.scoring import WRONG_USER, Label, Scores, score_pairs, wrong_users

ALL_ANSWERS = "all answers"
"""The `variant` of scores that were adapted on all answers that a person gave."""


@dataclass(frozen=True)
class Shown:
    """How much is shown of everybody, and which of it.

    Attributes:
        n_shots: Answers of each person; `plt.data.splitting.shots.ALL` is all that they gave.
        draw: Which draw.
    """

    n_shots: int | None
    draw: int

    @property
    def name(self) -> str:
        """What its scores are called while the run is made."""
        return f"shots-{'all' if self.n_shots is ALL else self.n_shots}-draw-{self.draw}"


def shown_of(
    card: MethodCard, n_shots: Sequence[int], draws: int, *, everything: bool
) -> tuple[Shown, ...]:
    """What is shown, in the order that it is scored in; nothing first.

    Without shots all draws are one, and so they are for a method that scores everybody alike.

    Args:
        card: The method's.
        n_shots: Numbers of answers, ascending.
        draws: How often each is drawn.
        everything: Whether all answers of each person are shown too.
    """
    found = [Shown(0, 0)]
    if card.personal:
        found += [Shown(n, draw) for n in n_shots if n for draw in range(draws)]
        found += [Shown(ALL, 0)] if everything else []
    return tuple(found)


def can_adapt() -> tuple[str, ...]:
    """The methods that learn something of a new person from their answers."""
    return tuple(name for name, card in METHODS.items() if card.personal and not card.reads_truth)


def score_newcomers(
    method: Method,
    people: Newcomers,
    shown: Shown,
    ctx: TrainContext,
    label: Label,
    card: MethodCard,
) -> Scores:
    """Adapts a fitted method to everybody at once, and scores their questions.

    Who gave fewer answers than `shown` asks for is left out and counted; who gave none, where none
    are shown, is the generic user with their own words. With answers shown, everybody's questions
    are also scored as another of these people (``wrong-user``).

    Args:
        method: Fitted, knowing none of `people`.
        people: Whom.
        shown: What of their answers, and which draw.
        ctx: As in `fit`; its seed draws the shots.
        label: What identifies the pass; shots, draw and variant are filled here.
        card: The method's. Only one that says so is told the truth of the table.

    Raises:
        UsageError: The method knows none of the people whose answers it was given.
    """
    told = people.questions.meta.truth if card.reads_truth else None
    ctx = replace(ctx, truth=told)
    everybody = shown.n_shots == 0
    who = people.users if everybody else people.enough(shown.n_shots)
    questions = _of(people.questions, who)
    label = replace(
        label,
        n_shots=shown.n_shots,
        draw=shown.draw,
        variant=ALL_ANSWERS if shown.n_shots is ALL else None,
    )
    dropped = {}
    if questions.votes.height < people.questions.votes.height:
        reason = f"of a person with fewer than {shown.n_shots or 1} answers"
        dropped[reason] = people.questions.votes.height - questions.votes.height
    shots = people.shots(shown.n_shots, shown.draw, label.seed)
    adapted = method.adapt(support_view(shots, ctx.users), ctx) if who else method
    own = score_pairs(adapted, questions, label)
    frames = [own.frame]
    if not everybody and who:
        known = set(adapted.users) & set(who)
        if not known:
            raise UsageError(
                f"a run of {label.method} as it was fitted cannot adapt: it learns nothing of new"
                " people from their answers",
                problems=["these methods can: " + ", ".join(can_adapt())],
                hint="plt train DATA --method eb-shrinkage",
            )
        ring = wrong_users(sorted(known), label.seed)
        if ring:
            asked = _of(questions, [user for user in ring if user is not None])
            sham = score_pairs(adapted, asked, label, control=WRONG_USER, scored_as=ring)
            frames.append(sham.frame)
    return Scores(pl.concat(frames), dropped, own.notes)


def _of(prefs: Preferences, users: Sequence[str]) -> Preferences:
    names = pl.Series(users, dtype=pl.String)
    return prefs.filter(pl.col("user_id").cast(pl.String).is_in(names.implode()))


def too_few(people: Newcomers, n_shots: Sequence[int]) -> Iterator[str]:
    """A sentence for each number of shots that some people do not have."""
    for n in n_shots:
        missing = len(people.users) - len(people.enough(n)) if n else 0
        if missing == len(people.users):
            most = max(people.count().values(), default=0)
            yield f"nobody has {n} answers besides the questions (at most {most}): no scores there"
        elif missing:
            yield (
                f"{missing} of {len(people.users)} people have fewer than {n} answers besides"
                " their questions and are left out there"
            )
