"""Users harmed: an exact test of each, by hand, by enumeration and in worlds with a known truth."""

import itertools

import numpy as np
import polars as pl
import pytest
from scipy import stats

from plt.analyze.scores.evaluation import EvaluationRows
from plt.analyze.scores.harmed import HARM, Harmed, _p_values, harmed_users


def rows(right: np.ndarray, users: np.ndarray, groups: np.ndarray) -> EvaluationRows:
    names = pl.Series([f"u{i:03d}" for i in range(int(users.max()) + 1)])
    margin = np.where(right, 1.0, -1.0)
    return EvaluationRows(margin, np.ones(users.size, dtype=bool), users, groups, names, 0)


def world(
    loss: np.ndarray, n: int, rng: np.random.Generator, *, agree: float, a_prompt: int = 1
) -> Harmed:
    """Baseline right with 0.7, the model with 0.7 - loss; alike within a prompt, often equal."""
    users = np.repeat(np.arange(loss.size), n)
    groups = users * n + np.tile(np.arange(n) // a_prompt, loss.size)
    groups = np.unique(groups, return_inverse=True)[1]
    draw = rng.random((2, groups.max() + 1))[:, groups]
    own = rng.random((2, users.size))
    draw = np.where(rng.random(users.size) < (0.7 if a_prompt > 1 else 0.0), draw, own)
    draw[1] = np.where(rng.random(users.size) < agree, draw[0], draw[1])
    base, model = draw[0] < 0.7, draw[1] < (0.7 - loss)[users]
    found = harmed_users(rows(model, users, groups), rows(base, users, groups))
    assert found is not None
    return found


def test_the_p_value_worked_in_the_docstring() -> None:
    level = 0.05 / 840
    rate = stats.beta.ppf(level, 10, 11)
    against = 0.5 + HARM / (2 * rate)
    expected = stats.binom.sf(8, 10, against) + level
    got = _p_values(np.array([1.0]), np.array([9.0]), np.array([20]), level)[0]
    assert got == pytest.approx(expected, rel=1e-6)
    assert got == pytest.approx(0.035, abs=0.002)
    assert _p_values(np.zeros(1), np.zeros(1), np.array([20]), level)[0] == 1.0


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("n", [6, 15])
def test_the_test_is_exact_whatever_the_rate(rate: float, n: int) -> None:
    """Every outcome of n prompts at a loss of exactly 2 points, summed: P(p <= a) <= a."""
    lost, won = (rate + HARM) / 2, (rate - HARM) / 2
    outcomes = [(w, k) for w, k in itertools.product(range(n + 1), repeat=2) if w + k <= n]
    wins, losses = (np.array(side, dtype=float) for side in zip(*outcomes, strict=True))
    mass = np.array([stats.multinomial.pmf([w, k, n - w - k], n, [won, lost, 1 - won - lost])
                     for w, k in outcomes])  # fmt: skip
    p = _p_values(wins, losses, np.full(wins.size, n), 1e-4)
    assert mass.sum() == pytest.approx(1)
    for level in (0.001, 0.01, 0.05, 0.1, 0.3):
        assert mass[p <= level].sum() <= level + 1e-12


def test_who_loses_everything_is_named_and_nobody_else() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), 40)
    base = rng.random(users.size) < 0.8
    model = np.where(users == 7, ~base & (rng.random(users.size) < 0.3), base)
    found = harmed_users(rows(model, users, np.arange(800)), rows(base, users, np.arange(800)))
    assert found is not None
    assert (found.users, found.at_least, found.n_tested) == (("u007",), 1, 20)
    assert found.loss[0] == pytest.approx(float(base[users == 7].mean() - model[users == 7].mean()))
    assert found.to_json()["share"] is None


def test_copies_of_a_prompt_are_no_evidence() -> None:
    """Two prompts lost, a hundred pairs each: one draw a prompt, so nobody can be named."""
    users, groups = np.zeros(200, dtype=int), np.repeat([0, 1], 100)
    found = harmed_users(
        rows(np.zeros(200, dtype=bool), users, groups),
        rows(np.ones(200, dtype=bool), users, groups),
    )
    assert found is not None
    assert (found.users, found.at_least, found.n_tested) == ((), None, 0)
    assert found.reason


def test_nobody_is_harmed_by_the_same_answers_and_without_users_nothing_is_said() -> None:
    users = np.repeat(np.arange(12), 30)
    right = np.random.default_rng(1).random(360) < 0.6
    same = rows(right, users, np.arange(360))
    found = harmed_users(same, same)
    assert found is not None
    assert (found.users, found.at_least) == ((), 0)
    nobody = EvaluationRows(
        same.margin, same.prefers_a, None, same.groups, pl.Series([], dtype=pl.String), 0
    )
    assert harmed_users(nobody, nobody) is None


WORLDS = {
    "a fifth harmed": (lambda r: np.where(np.arange(60) < 12, 0.3, 0.0), 100, 0.5, 1),
    "nobody harmed": (lambda r: np.zeros(60), 60, 0.5, 1),
    "all at the border": (lambda r: np.full(60, HARM), 60, 0.0, 1),
    "at the border, several a prompt": (lambda r: np.full(60, HARM), 60, 0.0, 5),
    "at the border, rarely differing": (lambda r: np.full(60, HARM), 100, 0.9, 1),
    "heavy tails": (lambda r: np.clip(r.standard_t(2, 60) * 0.08 - 0.05, -0.3, 0.6), 100, 0.3, 1),
    "few prompts": (lambda r: np.full(60, HARM), 8, 0.0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_levels_hold_in_every_world(name: str) -> None:
    make, n, agree, a_prompt = WORLDS[name]
    shares, broken, power = [], 0, []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        loss = make(rng)
        found = world(loss, n, rng, agree=agree, a_prompt=a_prompt)
        harmed = {f"u{i:03d}" for i in np.flatnonzero(loss > HARM + 1e-9)}
        named = set(found.users)
        shares.append(len(named - harmed) / max(len(named), 1))
        broken += (found.at_least or 0) > len(harmed)
        power.append(len(named & harmed) / max(len(harmed), 1))
    assert np.mean(shares) <= 0.1 + 2 * np.sqrt(0.09 / 120)
    assert broken <= 0.05 * 120 + 2 * np.sqrt(120 * 0.05)
    if name == "a fifth harmed":
        assert np.mean(power) > 0.8
