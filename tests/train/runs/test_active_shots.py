"""Sessions of active questions over the answers of a table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from plt.errors import UsageError
from plt.train.heads.empirical_bayes import moments, shrunken_heads
from plt.train.heads.head_table import user_problems
from plt.train.heads.posterior import gaussian_posterior
from plt.train.heads.selection import CRITERIA, Criterion
from plt.train.judgements import support_view, training_view
from plt.train.method import (
    Compute,
    FloatArray,
    Judgements,
    Placed,
    Placement,
    Support,
    Texts,
    TrainContext,
)
from plt.train.methods.personal.individual import Individual
from plt.train.registry import METHODS, make_method
from plt.train.runs.active_shots import active_order, active_places
from tests.contracts.population import population

PLACED = ("pref", "lore", "eb-shrinkage", "p-rm", "individual")


class Plane:
    """A placed method whose texts are points of a plane."""

    def __init__(self, points: FloatArray, factor: FloatArray) -> None:
        self.points, self.factor = points, factor

    def phi(self, texts: Texts) -> FloatArray:
        return self.points

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        from plt.train.heads.empirical_bayes import Prior

        problems = user_problems(answers, phi, answers.users)
        return gaussian_posterior(problems, Prior(np.zeros(2), self.factor), answers.users)


def plane(seed: int, sizes: list[int], n_texts: int = 40) -> tuple[Plane, Judgements]:
    rng = np.random.default_rng(seed)
    points = 2 * rng.normal(size=(n_texts, 2))
    user = np.repeat(np.arange(len(sizes)) - 1, sizes)
    n = len(user)
    a = rng.integers(0, n_texts, n)
    b = (a + rng.integers(1, n_texts, n)) % n_texts
    heads = rng.normal(size=(len(sizes), 2))
    margin = np.einsum("nj,nj->n", points[a] - points[b], heads[user])
    label = (rng.random(n) < expit(margin)).astype(np.float64)
    texts = Texts([[]] * n_texts, [str(i) for i in range(n_texts)])
    names = tuple(f"user {u}" for u in range(len(sizes) - 1))
    pool = Judgements(texts, a, b, np.arange(n), user, names, label, np.zeros(n, dtype=bool))
    return Plane(points, np.eye(2)), pool


@pytest.mark.parametrize("criterion", CRITERIA)
def test_sessions_are_nested_and_end_with_the_pool(criterion: Criterion) -> None:
    """The first group is nobody's; one person has a single pair."""
    method, pool = plane(0, [3, 30, 1, 12])
    long = active_order(method, pool, 25, criterion, 0)
    assert (long[:3] == -1).all()
    for code, size in enumerate((30, 1, 12)):
        mine = long[pool.user == code]
        assert sorted(mine[mine >= 0]) == list(range(min(size, 25)))
    short = active_order(method, pool, 7, criterion, 0)
    assert short.tolist() == np.where(long < 7, long, -1).tolist()
    assert (active_order(method, pool, 0, criterion, 0) == -1).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_label_is_not_read_before_its_pair_is_asked(criterion: Criterion) -> None:
    method, pool = plane(1, [0, 30, 25])
    order = active_order(method, pool, 8, criterion, 0)
    never = order < 0
    turned = replace(pool, label=np.where(never, 1 - pool.label, pool.label))
    assert active_order(method, turned, 8, criterion, 0).tolist() == order.tolist()
    last = replace(pool, label=np.where(order == 7, 1 - pool.label, pool.label))
    assert active_order(method, last, 8, criterion, 0).tolist() == order.tolist()


def test_answers_decide_what_is_asked_next_except_by_chance() -> None:
    method, pool = plane(2, [0, 30, 25])
    for criterion in CRITERIA:
        order = active_order(method, pool, 8, criterion, 0)
        turned = replace(pool, label=np.where(order == 1, 1 - pool.label, pool.label))
        same = active_order(method, turned, 8, criterion, 0).tolist() == order.tolist()
        assert same == (criterion == "random")


def test_what_is_asked_does_not_depend_on_who_else_is() -> None:
    method, pool = plane(3, [0, 30, 25, 4])
    for criterion in CRITERIA:
        together = active_order(method, pool, 10, criterion, 0)
        alone = active_order(method, pool.select(pool.user == 1), 10, criterion, 0)
        assert alone.tolist() == together[pool.user == 1].tolist()


def test_seeds_and_names_decide_chance() -> None:
    method, pool = plane(4, [0, 30, 30])
    first, second = (active_order(method, pool, 30, "random", seed) for seed in (0, 1))
    assert first.tolist() != second.tolist()
    mine, other = first[pool.user == 0], first[pool.user == 1]
    assert mine.tolist() != other.tolist()


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


def test_the_linear_methods_are_placed_and_no_other() -> None:
    for name in METHODS:
        if name in PLACED:
            assert isinstance(make_method(name, {}), Placed)
    assert not isinstance(make_method("pal", {}), Placed)
    assert not isinstance(make_method("bradley-terry", {}), Placed)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pref", {"factors": 3}),
        ("lore", {"basis": 3}),
        ("eb-shrinkage", {"iterations": 2, "variance": 1.0}),
        ("p-rm", {}),
        ("p-rm", {"users": "cluster", "n_clusters": 3}),
        ("p-rm", {"users": "uniform"}),
        ("individual", {}),
    ],
)
def test_the_posterior_is_around_where_adapt_puts_people(
    name: str, settings: dict[str, object], compute: Compute, tmp_path: Path
) -> None:
    prefs = population()
    ctx = TrainContext(0, tmp_path, compute)
    method = make_method(name, settings).fit(training_view(prefs), ctx)
    assert isinstance(method, Placed)
    unseen = support_view(prefs.filter(pl.col("user_split") == "unseen"))
    answers = unseen.judgements
    phi = method.phi(answers.texts)
    placement = method.posterior(phi, answers)
    assert placement.users == answers.users
    covariance = placement.spread.covariance()
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    mean = placement.mean[answers.user]
    margin = np.einsum("nj,nj->n", phi[answers.a] - phi[answers.b], mean)
    if isinstance(method, Individual):
        heads = method.rewards.heads  # type: ignore[union-attr]
        problems = user_problems(answers, phi, answers.users)
        expected = shrunken_heads(problems, moments(heads))
        assert placement.mean == pytest.approx(expected, abs=1e-8)
    else:
        adapted = method.adapt(unseen, ctx)
        names = answers.names()
        reward_a, reward_b = (
            adapted.reward(answers.texts, rows, names)  # type: ignore[attr-defined]
            for rows in (answers.a, answers.b)
        )
        assert margin == pytest.approx(reward_a - reward_b, abs=1e-6)
    nobody = answers.select(np.zeros(len(answers), dtype=bool))
    x = phi[answers.a] - phi[answers.b]
    before, after = (
        method.posterior(phi, told).spread.variances(x).sum() for told in (nobody, answers)
    )
    if settings.get("users") == "uniform":
        assert before == after == 0
    else:
        assert after < before
    order = active_order(method, answers, 6, "weighted", 0)
    assert sorted(order[order >= 0]) == list(range(6))


def test_places_are_those_of_the_rows_of_a_table(compute: Compute, tmp_path: Path) -> None:
    prefs = population()
    ctx = TrainContext(0, tmp_path, compute)
    settings = {"iterations": 1, "variance": 1.0}
    method = make_method("eb-shrinkage", settings).fit(training_view(prefs), ctx)
    assert isinstance(method, Placed)
    unseen = prefs.filter(pl.col("user_split") == "unseen")
    places = active_places(method, unseen, 6, "weighted", 0)
    assert sorted(places[places >= 0]) == list(range(6))
    turned = replace(unseen, votes=unseen.votes.reverse())
    assert active_places(method, turned, 6, "weighted", 0).tolist() == places[::-1].tolist()
    silent = pl.when(pl.Series(places) == 0).then(None).otherwise(pl.col("label"))
    fewer = replace(unseen, votes=unseen.votes.with_columns(label=silent))
    again = active_places(method, fewer, 6, "weighted", 0)
    assert again[places == 0].tolist() == [-1]
    assert (again >= 0).sum() == 6


def test_whoever_has_no_coordinates_says_so() -> None:
    empty = Support((), *empty_answers())
    for name in ("p-rm", "individual"):
        with pytest.raises(UsageError, match="no linear heads"):
            make_method(name, {}).posterior(np.zeros((0, 1)), empty.judgements)  # type: ignore[attr-defined]


def empty_answers() -> tuple[Judgements, dict[str, str]]:
    return plane(5, [0])[1], {}
