"""Losses of preference learning, a row each, as pure functions of tensors.

`chosen` and `rejected` are log-ratios log pi(y|x) - log pi_ref(y|x) of shape (n,), summed over the
tokens of the response; DELTA stands for chosen - rejected.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from plt.train.policies.settings import PairLoss

NORMALISED = ("ipo", "sigmoid_norm")
DISCOPOP_TEMPERATURE = 0.05  # of Lu et al. 2024

Function: TypeAlias = Callable[[Tensor, Tensor, float, float], Tensor]


@dataclass(frozen=True)
class PolicyLoss:
    """A pairwise objective of a policy.

    Attributes:
        kind: Its name in TRL's `loss_type`.
        beta: Strength of the pull to the reference (tau in IPO).
        length_normalize: Whether log-ratios are divided by the number of response tokens, as TRL
            does in ``ipo``; the sum is the paper's form. Only for `NORMALISED`.
        label_smoothing: Assumed rate of wrong labels, of ``robust`` and ``exo_pair``.
    """

    kind: PairLoss = "sigmoid"
    beta: float = 0.1
    length_normalize: bool = True
    label_smoothing: float = 0.0

    def __call__(
        self, chosen: Tensor, rejected: Tensor, n_tokens: Tensor, confidence: Tensor
    ) -> Tensor:
        """Expected loss under each label: c loss(+, -) + (1 - c) loss(-, +).

        Args:
            chosen: (n,) log-ratios of the chosen responses.
            rejected: (n,) of the rejected ones.
            n_tokens: (2, n) response tokens of either.
            confidence: (n,) probability that the chosen response is preferred.

        Returns:
            (n,).
        """
        if self.normalised:
            lengths = n_tokens.clamp(min=1)
            chosen, rejected = chosen / lengths[0], rejected / lengths[1]
        function = _FUNCTIONS[self.kind]
        losses = function(chosen, rejected, self.beta, self.label_smoothing)
        if bool((confidence == 1).all()):
            return losses
        other = function(rejected, chosen, self.beta, self.label_smoothing)
        return confidence * losses + (1 - confidence) * other

    @property
    def normalised(self) -> bool:
        """Whether log-ratios are a mean over tokens."""
        return self.length_normalize and self.kind in NORMALISED


def _sigmoid(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """-log s(beta DELTA) (Rafailov et al. 2023, equation 7)."""
    return -logsigmoid(beta * (chosen - rejected))


def _ipo(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """(DELTA - 1 / (2 beta))^2 (Azar et al. 2023, equation 17)."""
    return (chosen - rejected - 1 / (2 * beta)) ** 2


def _hinge(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """max(0, 1 - beta DELTA) (Zhao et al. 2023, SLiC)."""
    return torch.relu(1 - beta * (chosen - rejected))


def _exo_pair(chosen: Tensor, rejected: Tensor, beta: float, smoothing: float) -> Tensor:
    """KL(s(beta DELTA) || 1 - smoothing) of two-point laws (Ji et al. 2024, equation 16)."""
    delta = beta * (chosen - rejected)
    rate = torch.tensor(smoothing, dtype=delta.dtype, device=delta.device)
    win = torch.sigmoid(delta) * (logsigmoid(delta) - torch.log1p(-rate))
    return win + torch.sigmoid(-delta) * (logsigmoid(-delta) - torch.log(rate))


def _nca_pair(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Noise-contrastive alignment of a pair (Chen et al. 2024)."""
    up, down = beta * chosen, beta * rejected
    return -logsigmoid(up) - 0.5 * logsigmoid(-up) - 0.5 * logsigmoid(-down)


def _robust(chosen: Tensor, rejected: Tensor, beta: float, smoothing: float) -> Tensor:
    """Unbiased under labels that are wrong at a known rate (Chowdhury et al. 2024)."""
    delta = beta * (chosen - rejected)
    clean = -(1 - smoothing) * logsigmoid(delta) + smoothing * logsigmoid(-delta)
    return clean / (1 - 2 * smoothing)


def _bco_pair(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Binary classification of either response (Jung et al. 2024)."""
    return -logsigmoid(beta * chosen) - logsigmoid(-beta * rejected)


def _sppo_hard(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Squared distance of log-ratios to +- 1 / (2 beta) (Wu et al. 2024, equation 4.7)."""
    return (chosen - 0.5 / beta) ** 2 + (rejected + 0.5 / beta) ** 2


def _apo_zero(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Chosen up, rejected down (D'Oosterlinck et al. 2024, equation 7)."""
    return 1 - torch.sigmoid(beta * chosen) + torch.sigmoid(beta * rejected)


def _apo_down(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Both down, the rejected further (D'Oosterlinck et al. 2024, equation 8)."""
    return torch.sigmoid(beta * chosen) + 1 - torch.sigmoid(beta * (chosen - rejected))


def _discopop(chosen: Tensor, rejected: Tensor, beta: float, _: float) -> Tensor:
    """Logistic and exponential loss, blended (Lu et al. 2024, equation 5)."""
    delta = beta * (chosen - rejected)
    share = torch.sigmoid(delta / DISCOPOP_TEMPERATURE)
    return -logsigmoid(delta) * (1 - share) + torch.exp(-delta) * share


_FUNCTIONS: Mapping[str, Function] = {
    "sigmoid": _sigmoid,
    "ipo": _ipo,
    "hinge": _hinge,
    "exo_pair": _exo_pair,
    "nca_pair": _nca_pair,
    "robust": _robust,
    "bco_pair": _bco_pair,
    "sppo_hard": _sppo_hard,
    "apo_zero": _apo_zero,
    "apo_down": _apo_down,
    "discopop": _discopop,
    "sigmoid_norm": _sigmoid,
}
