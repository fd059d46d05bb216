"""What may be claimed: targets in words, controls, both targets, and the cluster that dominates."""

from dataclasses import replace

import numpy as np
import pytest

from plt.analyze.intervals.claims import about, disagree, ground, side, whose_gain
from plt.analyze.intervals.figures import with_names, without_interval
from plt.analyze.intervals.uncertainty import Interval, mean_interval


def between(low: float, high: float) -> Interval:
    return replace(without_interval((low + high) / 2), low=low, high=high)


def test_sides() -> None:
    assert side(between(0.1, 0.2)) == "above"
    assert side(between(-0.2, -0.1)) == "below"
    assert side(between(0.0, 0.2)) == "open"
    assert side(between(0.52, 0.6), 0.5) == "above"
    assert side(without_interval(0.3)) == "unknown"
    assert side(None) == "unknown"


def test_a_gain_is_personal_only_where_every_known_control_loses_it() -> None:
    lost, kept = between(0.1, 0.2), between(-0.1, 0.2)
    assert whose_gain([lost, None]) == "personal"
    assert whose_gain([lost, lost]) == "personal"
    assert whose_gain([lost, kept]) == "not shown"
    assert whose_gain([None, None]) == "unknown"
    assert whose_gain([without_interval(0.2), lost]) == "unknown"
    assert whose_gain([lost], blind=True) == "user-blind"


def test_targets_are_named() -> None:
    assert about("population") == "other users and prompts of this kind"
    assert about("these-users", 5) == "these 5 users, on other prompts"
    assert about("these-users", 1) == "this user, on other prompts"
    assert about("these-prompts") == "other users, on these prompts"
    assert about("these-judgements") == "these judgements only"


def test_claims_differ_only_where_both_are_known() -> None:
    assert disagree("open", "above")
    assert not disagree("above", "above")
    assert not disagree("unknown", "above")


def test_the_ground_of_figures() -> None:
    right = np.random.default_rng(0).random(100) < 0.6
    groups = np.array([0] * 60 + list(range(1, 41)))
    figure = mean_interval(right, np.arange(100) % 20, groups)
    found = ground(figure)
    assert (found.n_users, found.n_groups) == (20, 41)
    assert found.effective_users == pytest.approx(20)
    assert found.effective_groups == pytest.approx(100**2 / (60**2 + 40))
    assert found.target == "these-prompts"
    assert found.caveats == ("One group holds 60 % of the judgements.",)
    named = ground(with_names(figure, None, [f"g{i}" for i in range(41)]))
    assert named.caveats == ("The group g0 holds 60 % of the judgements.",)
    alone = ground(mean_interval(right, None, np.arange(100)))
    assert (alone.about, alone.caveats) == ("other prompts of this kind", ())
