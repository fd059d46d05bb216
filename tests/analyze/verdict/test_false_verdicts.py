"""Worlds on which the verdict was once false, in both directions."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from plt.analyze.dataset.statistics import dataset_statistics
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, crowd, one_truth
from tests.analyze.vote_tables import frame

World = Callable[[np.random.Generator], pl.DataFrame]


def findings(world: World, n: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(n):
        votes = world(np.random.default_rng(seed))
        found[dataset_statistics(votes, Meta(dataset="toy"), seed=seed).verdict.finding] += 1
    return found


def opposed(share: float, repeated: float, *, large: bool = False) -> World:
    """Camps in crowd work where hardly two people judged the same pairs of a prompt."""
    n_users, n_pairs, per_group = (60, 1000, 5) if large else (20, 300, 25)

    def world(rng: np.random.Generator) -> pl.DataFrame:
        q = camps(n_users, n_pairs, rng, share=share)
        return crowd(q, rng, per_group=per_group, voters=4, repeated=repeated)

    return world


def same_taste(kind: str, repeated: float, n_users: int = 20, voters: int = 4) -> World:
    def world(rng: np.random.Generator) -> pl.DataFrame:
        q = one_truth(kind, n_users, 300, rng)
        return crowd(q, rng, per_group=25, voters=min(voters, n_users), repeated=repeated)

    return world


def rated_lists(grades: int) -> World:
    """Eight people grade five responses to each of 20 prompts, and want the same of them.

    The pairs of a list share its grades; equal ones are ties, so no two people have the same pairs.
    """

    def world(rng: np.random.Generator) -> pl.DataFrame:
        rows: list[tuple[str | None, int, float | None, int, str | None]] = []
        for group in range(20):
            quality = rng.normal(size=5)
            for user in range(8):
                grade = np.round((quality + rng.normal(size=5)) * grades / 4)
                for i, j in zip(*np.triu_indices(5, 1), strict=True):
                    label = 0.5 + 0.5 * float(np.sign(grade[i] - grade[j]))
                    rows.append((f"u{user}", group * 100 + 10 * i + j, label, 0, f"g{group}"))
        return frame(sorted(rows, key=lambda row: (row[1], str(row[0]))))

    return world


@pytest.mark.parametrize("repeated", [0.1, 0.3, 0.6, 1.0])
def test_opposed_camps_are_never_no_taste(repeated: float) -> None:
    assert findings(opposed(0.4, repeated), 6)["taste"] >= 5


@pytest.mark.parametrize("repeated", [0.1, 1.0])
def test_camps_of_unequal_size_are_not_called_care(repeated: float) -> None:
    assert findings(opposed(0.3, repeated), 6)["taste"] >= 5


def test_pairs_of_one_list_are_no_evidence_of_persons() -> None:
    """Exchanged one by one, judgements that share a grade feign persons in a third of tables."""
    found = findings(rated_lists(4), 20)
    assert found["taste"] + found["differences"] <= 3


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("share", [0.3, 0.4])
def test_power_in_crowd_work(share: float, repeated: float) -> None:
    found = findings(opposed(share, repeated, large=True), 30)
    assert found["taste"] >= 27 - 3  # .9, with two standard errors
    assert found["none found"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("share", [0.3, 0.4])
def test_power_on_twelve_prompts(share: float, repeated: float) -> None:
    found = findings(opposed(share, repeated), 30)
    assert found["taste"] >= 27 - 3
    assert found["none found"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["coins", "margins", "mixed", "rare"])
@pytest.mark.parametrize("repeated", [0.0, 0.2])
def test_one_budget_of_errors(kind: str, repeated: float) -> None:
    """Everybody has the same taste and the same care: at most 5 % may be told otherwise."""
    found = findings(same_taste(kind, repeated), 120)
    assert (found["taste"] + found["differences"]) / 120 <= 0.05 + 2 * 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["careless", "spammers", "half spammers", "temperatures"])
@pytest.mark.parametrize("repeated", [0.0, 0.3])
def test_unequal_care_is_no_taste(kind: str, repeated: float) -> None:
    assert findings(same_taste(kind, repeated), 80)["taste"] / 80 <= 0.05 + 2 * 0.024


@pytest.mark.slow
@pytest.mark.parametrize("n_users", [3, 5, 10])
def test_few_users(n_users: int) -> None:
    found = findings(same_taste("margins", 0.5, n_users, 3), 100)
    assert (found["taste"] + found["differences"]) / 100 <= 0.05 + 2 * 0.022


def test_one_inverted_user_of_thirty_is_said_and_not_contradicted() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 100)
    wants = np.tile(truth, (30, 1))
    wants[4] = 1 - truth
    for repeated in (0.0, 0.2):
        q = np.where(wants, 0.9, 0.1)
        votes = crowd(q, rng, per_group=5, voters=30, repeated=repeated)
        found = dataset_statistics(votes, Meta(dataset="toy")).verdict
        assert found.finding == "taste"
        assert "1 of 30 testable users votes against the majority" in found.sentence
        assert "No taste" not in found.sentence


def test_an_interval_above_0_is_never_none_found() -> None:
    """Whatever the world, interval, exchange test and verdict do not contradict each other."""
    worlds = [opposed(0.3, 0.05), same_taste("rare", 0.05, 20, 20), same_taste("spammers", 0.3)]
    for world in worlds:
        for seed in range(5):
            found = dataset_statistics(world(np.random.default_rng(seed)), Meta(), seed=seed)
            assert found.self_and_others is not None
            difference, test = found.self_and_others.difference, found.self_and_others.exchanged
            if found.verdict.finding == "none found":
                assert not difference.excludes()
                assert test.p_value is None or test.p_value > 0.025
            if found.verdict.finding == "taste" and found.minority.found.size == 0:
                assert test.p_value is not None
                assert test.p_value <= 0.025
                assert difference.excludes() or difference.only_these_users()


def test_what_holds_of_these_users_alone_is_said_so() -> None:
    """Care differs between 20 people; about others, 20 draws of it say little."""
    votes = same_taste("spammers", 0.5, voters=8)(np.random.default_rng(8))
    found = dataset_statistics(votes, Meta(dataset="toy"))
    assert found.self_and_others is not None
    assert found.self_and_others.difference.only_these_users()
    assert found.verdict.finding == "differences"
    assert found.verdict.sentence.startswith("These users differ beyond noise")
    assert "so about other users it cannot be told" in found.verdict.sentence


def test_the_sentence_says_what_it_assumes_and_on_what_it_rests() -> None:
    found = dataset_statistics(opposed(0.4, 0.6)(np.random.default_rng(0)), Meta(dataset="toy"))
    pairs = found.self_and_others
    assert pairs is not None
    assert pairs.remembered is not None
    again, others = pairs.self_agreement.value, pairs.between_persons.value
    assert again is not None
    assert others is not None
    assert pairs.remembered == pytest.approx((again - others) / (1 - others))
    assert "if a person's two answers are independent" in found.verdict.sentence
    assert f"({100 * pairs.remembered:.1f} % remembered ones would" in found.verdict.sentence
    assert "users and 1" in found.verdict.sentence
    assert "groups in effect" in found.verdict.sentence
    note = found.figure("self_minus_others").note
    assert "assumes that two answers of a person are independent" in note
    assert "(100 % of the repeats can move)" in note
    for untrue in ("only if tastes differ", "assumes nothing", "points are unlikely"):
        assert untrue not in found.verdict.sentence + note


@pytest.mark.parametrize(("n_pairs", "finding"), [(100, "none found"), (5, "cannot tell")])
def test_where_nobody_ever_disagrees_disagreement_is_not_called_noise(
    n_pairs: int, finding: str
) -> None:
    rng = np.random.default_rng(0)
    votes = crowd(np.ones((20, n_pairs)), rng, per_group=4, voters=5)
    found = dataset_statistics(votes, Meta(dataset="toy")).verdict
    assert found.finding == finding
    assert ("everybody agrees" in found.sentence) == (finding == "none found")
