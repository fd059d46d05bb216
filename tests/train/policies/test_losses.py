import math
from typing import get_args

import pytest
import torch
from torch.testing import assert_close

from plt.train.policies.losses import PolicyLoss
from plt.train.policies.settings import PairLoss
from plt.train.tuning.losses import bradley_terry, mixed

N = 64


def ratios(seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = 3 * torch.randn(2, N, generator=generator)
    return chosen, rejected, torch.randint(1, 40, (2, N), generator=generator)


def loss_of(kind, chosen, rejected, n_tokens, confidence=1.0, **options):
    smoothing = 0.1 if kind in ("robust", "exo_pair") else 0.0
    loss = PolicyLoss(kind, label_smoothing=smoothing, **{"beta": 0.5, **options})
    return loss(chosen, rejected, n_tokens, torch.full((len(chosen),), confidence))


def minimum(loss, confidence):
    """The DELTA at which the expected loss is least, by a fine grid."""
    grid = torch.arange(-20, 20, 0.001, dtype=torch.float64)
    weight = torch.full_like(grid, confidence)
    lengths = torch.ones(2, len(grid), dtype=torch.float64)
    values = loss(grid, torch.zeros_like(grid), lengths, weight)
    return grid[values.argmin()].item()


def test_a_policy_that_is_its_reference_has_the_loss_that_is_known():
    nothing = torch.zeros(3)
    lengths = torch.ones(2, 3)
    known = {
        "sigmoid": math.log(2),
        "hinge": 1,
        "ipo": 1 / (4 * 0.5**2),
        "bco_pair": 2 * math.log(2),
    }
    for kind, value in known.items():
        assert_close(loss_of(kind, nothing, nothing, lengths), torch.full((3,), float(value)))


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_dpo_aims_at_the_logit_of_the_vote_share(share):
    """PO-01: beta DELTA = logit(p)."""
    found = minimum(PolicyLoss("sigmoid", beta=0.5), share)
    assert found * 0.5 == pytest.approx(math.log(share / (1 - share)), abs=1e-3)


@pytest.mark.parametrize(("beta", "optimum"), [(0.1, 5), (0.5, 1)])
def test_ipo_stops_at_a_finite_margin(beta, optimum):
    """PO-03 (a), (b), O-3c: 1 / (2 beta), and (2p - 1) / (2 beta) under votes."""
    loss = PolicyLoss("ipo", beta=beta)
    assert minimum(loss, 1.0) == pytest.approx(optimum, abs=1e-3)
    assert minimum(loss, 0.7) == pytest.approx(0.4 * optimum, abs=1e-3)
    assert minimum(loss, 0.5) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("kind", get_args(PairLoss))
def test_a_tie_is_half_a_win_for_each_side_and_swapping_flips_the_label(kind):
    chosen, rejected, lengths = ratios()
    tie = loss_of(kind, chosen, rejected, lengths, 0.5)
    win = loss_of(kind, chosen, rejected, lengths)
    lost = loss_of(kind, rejected, chosen, lengths.flip(0))
    assert_close(tie, (win + lost) / 2)
    assert_close(
        loss_of(kind, rejected, chosen, lengths.flip(0), 0.2),
        loss_of(kind, chosen, rejected, lengths, 0.8),
    )


@pytest.mark.parametrize("kind", ["ipo", "sigmoid_norm"])
def test_log_ratios_are_per_token_or_summed(kind):
    chosen, rejected, lengths = ratios()
    ones = torch.ones_like(lengths)
    per_token = loss_of(kind, chosen, rejected, lengths)
    assert_close(per_token, loss_of(kind, chosen / lengths[0], rejected / lengths[1], ones))
    raw = loss_of(kind, chosen, rejected, lengths, length_normalize=False)
    assert_close(raw, loss_of(kind, chosen, rejected, ones))
    assert not torch.allclose(raw, per_token)


def test_bradley_terry_is_a_cross_entropy():
    margin = torch.tensor([0.0, 2.0, -1.0])
    assert_close(bradley_terry(margin, torch.ones(3)), torch.nn.functional.softplus(-margin))
    even = bradley_terry(margin, torch.full((3,), 0.5))
    assert_close(even, bradley_terry(-margin, torch.full((3,), 0.5)))


def test_both_branches_of_every_row_count():
    own, generic = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    assert_close(mixed(own, generic, 0.25), torch.tensor([2.5, 4.25]))
    assert mixed(own, None, 1.0) is own
    assert mixed(None, generic, 0.0) is generic
    with pytest.raises(ValueError, match="one branch"):
        mixed(None, None, 0.5)
