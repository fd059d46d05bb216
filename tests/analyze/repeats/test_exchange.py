import numpy as np
import polars as pl
import pytest

from plt.analyze.permutation.exchange import UNANIMOUS
from plt.analyze.repeats import exchange as module
from plt.analyze.repeats.self_and_others import SelfAndOthers, self_and_others
from plt.analyze.votes.votes import read_rows
from tests.analyze.populations_of_voters import camps, crowd, one_truth
from tests.analyze.vote_tables import Row, frame, table


def found_in(votes: pl.DataFrame) -> SelfAndOthers:
    found = self_and_others(read_rows(votes))
    assert found is not None
    return found


def test_judgements_that_all_agree_exchange_nothing() -> None:
    test = found_in(table({"u": "aa bb", "v": "aa bb", "w": "a b"})).exchanged
    assert (test.p_value, test.reason) == (None, UNANIMOUS)


def test_opposed_and_steady_users_cannot_come_about_by_exchange() -> None:
    columns = {f"u{i}": " ".join(["aa" if i % 2 else "bb"] * 12) for i in range(4)}
    assert found_in(table(columns)).exchanged.p_value == 1 / (module.N_EXCHANGES + 1)


def test_many_judgements_are_a_sample_of_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    votes = crowd(camps(20, 300, rng, share=0.4), rng, per_group=25, voters=4, repeated=0.5)
    whole = found_in(votes).exchanged
    monkeypatch.setattr(module, "MAX_EXCHANGED", 700)
    sample = found_in(votes).exchanged
    assert sample.n_judgements <= 700 < whole.n_judgements
    assert sample.p_value == whole.p_value == 1 / (module.N_EXCHANGES + 1)
    assert found_in(votes[rng.permutation(votes.height)]).exchanged == sample


@pytest.mark.parametrize("repeated", [0.1, 0.3, 0.6, 1.0])
def test_camps_are_found_at_any_share_of_repeats(repeated: float) -> None:
    """12 prompts of 25 pairs, four judges a pair: hardly two persons judged the same pairs."""
    rng = np.random.default_rng(1)
    for _ in range(8):
        votes = crowd(
            camps(20, 300, rng, share=0.4), rng, per_group=25, voters=4, repeated=repeated
        )
        test = found_in(votes).exchanged
        assert test.unit == "judgements"
        assert test.share_moved == 1.0
        assert test.p_value is not None
        assert test.p_value <= 0.025


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "voters"), [("margins", 4), ("rare", 4), ("coins", 4), ("margins", 20)]
)
def test_noise_rejects_no_more_often_than_the_level_says(kind: str, voters: int) -> None:
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(200):
        q = one_truth(kind, 20, 60, rng)
        p = found_in(crowd(q, rng, per_group=5, voters=voters, repeated=0.5)).exchanged.p_value
        rejected += p is not None and p <= 0.025
    assert rejected / 200 <= 0.025 + 2 * 0.011


@pytest.mark.slow
def test_rare_noise_rejects_no_more_often_than_the_level_says() -> None:
    """20 users, 30 pairs, 2 % flips, few repeats: Student's t alone is wrong in 1 of 10 cases."""
    rng = np.random.default_rng(0)
    by_exchange, by_t = 0, 0
    for _ in range(200):
        rows: list[Row] = []
        for pair in range(30):
            truth = rng.integers(0, 2)
            for user in range(20):
                for occurrence in range(2 if rng.random() < 0.05 else 1):
                    flip = rng.random() < 0.02
                    rows.append((f"u{user}", pair, float(truth ^ flip), occurrence, None))
        found = self_and_others(read_rows(frame(rows)))
        assert found is not None
        p_value = found.exchanged.p_value
        by_exchange += p_value is not None and p_value <= 0.025
        by_t += found.difference.low is not None and found.difference.low > 0
    assert by_t / 200 > 0.05
    assert by_exchange / 200 <= 0.045
