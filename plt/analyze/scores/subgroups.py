"""Accuracy on a part of the judgements: of minority users, and of what was new to the model."""

from plt.analyze.intervals.uncertainty import Average, Interval
from plt.analyze.scores.accuracy import accuracy
from plt.analyze.scores.evaluation import EvaluationRows
from plt.analyze.scores.novelty import KINDS, KNOWN_PAIR, NEW_PAIR, NEW_PROMPT, NEW_RESPONSE


def minority_accuracy(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy for users who vote against the majority more often than a coin would.

    Who they are is decided on training and validation votes (`plt.analyze.scores.minority_flags`).
    Null, with the reason, where the table does not say, where nobody could be tested (no shared
    pairs, or fewer than five a user), and where nobody was found. Of two minority users with 3 of
    4 and 1 of 4 right, whatever the others get, it is 1/2.

    References:
        Dong et al., "When Personalization Meets Reality", section 4: protection of minorities.
    """
    if rows.minority is None or rows.minority_tested is None:
        return _nothing(rows, "the scores do not say who is a minority user")
    if not rows.minority.any():
        n_tested = rows.where(rows.minority_tested).user_names.len()
        why = f"none of {n_tested} users tested is a minority user"
        return _nothing(rows, why if n_tested else "nobody could be tested for being a minority")
    return accuracy(rows.where(rows.minority), average)


def known_pairs(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy on pairs that somebody judged in the training rows (`novelty`)."""
    return _of_kind(rows, average, KNOWN_PAIR)


def new_pairs(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy on pairs that are new but whose responses both occur in training rows."""
    return _of_kind(rows, average, NEW_PAIR)


def new_responses(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy on pairs with a response that no training row has, to a prompt that one has."""
    return _of_kind(rows, average, NEW_RESPONSE)


def new_prompts(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy on prompts that no training row has."""
    return _of_kind(rows, average, NEW_PROMPT)


def _of_kind(rows: EvaluationRows, average: Average, kind: str) -> Interval:
    if rows.novelty is None:
        return _nothing(rows, "the scores do not say what was new to the model")
    mask = rows.novelty == KINDS.index(kind)
    if not mask.any():
        return _nothing(rows, f"no judgement is of a {kind}")
    return accuracy(rows.where(mask), average)


def _nothing(rows: EvaluationRows, reason: str) -> Interval:
    return Interval(None, None, None, rows.target, "none", 0.95, reason=reason)
