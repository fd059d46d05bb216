"""Losses of a fine-tuned reward: one pair, and a person beside the generic user."""

from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(margin: Tensor, confidence: Tensor) -> Tensor:
    """-c log s(m) - (1 - c) log s(-m), s the logistic function (Bradley and Terry 1952).

    Args:
        margin: (n,) reward of the chosen response minus reward of the rejected one.
        confidence: (n,) probability that the chosen response is preferred; 0.5 is a tie.

    Returns:
        (n,).
    """
    return -confidence * logsigmoid(margin) - (1 - confidence) * logsigmoid(-margin)


def mixed(own: Tensor | None, generic: Tensor | None, alpha: float) -> Tensor:
    """Alpha L(u) + (1 - alpha) L(u_0), row by row (Li et al. 2024, equation 6).

    The reference code doubles the rows and averages either kind inside a batch, which shrinks
    both terms by 1 - 2^-B on average; here both branches of every row count.

    Args:
        own: (n,) losses with the user's tokens; None where alpha is 0.
        generic: (n,) losses of the same rows with the generic user's; None where alpha is 1.
        alpha: Weight in [0, 1] of the user's.
    """
    if own is None or generic is None:
        found = generic if own is None else own
        if found is None:
            raise ValueError("one branch at least")
        return found
    return alpha * own + (1 - alpha) * generic
