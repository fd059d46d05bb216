import numpy as np
import polars as pl

from plt.data.tables.preferences import build
from plt.data.tables.table import Meta
from plt.train.heads.head_table import (
    HeadTable,
    blind_table,
    fit_shared_head,
    pair_problem,
    user_problems,
)
from plt.train.heads.newton import Problems
from plt.train.heads.ridge import fit_ridge
from plt.train.judgements import read_judgements
from plt.train.method import Judgements

SAY = [{"role": "user", "content": "say"}]


def judgements(seed: int = 0, n_rows: int = 80) -> Judgements:
    """Five users (one of them nobody) who judge ten pairs of five responses again and again."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_rows):
        one, two = rng.permutation(5)[:2]
        rows.append(
            {
                "prompt": SAY,
                "response_1": f"r{one}",
                "response_2": f"r{two}",
                "label": float(rng.choice([0.0, 1.0, 1.0, 0.5, 0.25])),
                "user_id": [None, "a", "b", "c\0", "c"][rng.integers(5)],
                "split": "train",
            }
        )
    return read_judgements(build(pl.DataFrame(rows), Meta(dataset="toy")))


def features(seed: int = 0, d: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(5, d)).astype(np.float32)


def test_one_weighted_row_a_pair_is_the_concatenation_of_all_votes() -> None:
    found, x = judgements(), features()
    merged = pair_problem(found, x)
    assert len(merged.a) == 10
    assert merged.totals.tolist() == [80.0]
    every = Problems(x, found.a, found.b, found.label, np.ones(80), np.array([0, 80]))
    assert np.allclose(fit_ridge(merged).weights, fit_ridge(every).weights, rtol=0, atol=1e-9)


def test_majority_labels_leave_tied_pairs_out() -> None:
    found = judgements(n_rows=40)
    shares = pl.DataFrame({"pair": found.pair, "label": found.label}).group_by("pair")
    share = shares.agg(pl.col("label").mean()).sort("pair")["label"].to_numpy()
    merged = pair_problem(found, features(), "majority")
    assert (share == 0.5).any()
    assert merged.label.tolist() == [float(s > 0.5) for s in share if s != 0.5]
    assert set(merged.weight) == {1.0}


def test_rows_of_each_user_in_the_order_that_was_asked() -> None:
    found, x = judgements(), features()
    assert found.users == ("a", "b", "c", "c\0")
    problems = user_problems(found, x, ["c", "a", "c\0"])
    for group, user in enumerate(["c", "a", "c\0"]):
        rows = slice(problems.starts[group], problems.starts[group + 1])
        mine = found.user == found.users.index(user)
        cells: dict[tuple[int, int], list[float]] = {}
        for a, b, label in zip(found.a[mine], found.b[mine], found.label[mine], strict=True):
            cells.setdefault((int(a), int(b)), []).append(float(label))
        merged = zip(problems.a[rows], problems.b[rows], strict=True)
        assert [(int(a), int(b)) for a, b in merged] == list(cells)
        assert problems.weight[rows].tolist() == [len(labels) for labels in cells.values()]
        assert np.allclose(problems.label[rows], [np.mean(labels) for labels in cells.values()])
    without = user_problems(found.select(found.user != 1), x, ["b", "a"])
    assert without.sizes[0] == 0


def test_a_user_who_judged_pairs_again_has_the_head_of_every_judgement() -> None:
    found, x = judgements(n_rows=200), features()
    problems = user_problems(found, x, ["a", "b"])
    assert len(problems.a) < 30 < problems.totals.min()
    for group, user in enumerate(["a", "b"]):
        rows = found.user == found.users.index(user)
        every = Problems(
            x, found.a[rows], found.b[rows], found.label[rows], np.ones(rows.sum()),
            np.array([0, rows.sum()]),
        )  # fmt: skip
        alone = fit_ridge(every)
        together = fit_ridge(problems)
        assert alone.l2[0] == together.l2[group]
        assert np.allclose(alone.weights[0], together.weights[group], rtol=0, atol=1e-9)


def test_validation_rows_move_no_weight() -> None:
    found, x = judgements(n_rows=200), features()
    half = np.arange(200) % 2 == 0
    marked = Judgements(
        found.texts, found.a, found.b, found.pair, found.user, found.users, found.label, half
    )
    turned = Judgements(
        found.texts, found.a, found.b, found.pair, found.user, found.users,
        np.where(half, 1 - found.label, found.label), half,
    )  # fmt: skip
    fit = fit_shared_head(marked, x, l2=0.1)
    assert np.array_equal(fit.weights, fit_shared_head(turned, x, l2=0.1).weights)
    assert fit.weights.any()
    assert fit_shared_head(marked, x, l2=None).by_validation.tolist() == [True]


def test_a_reward_is_the_inner_product_with_the_head_of_the_user() -> None:
    x = features()
    table = HeadTable(("a", "b"), np.arange(14.0).reshape(2, 7), np.ones(7))
    rows = np.array([4, 0, 0, 3, 2])
    rewards = table.reward(x, rows, ["b", "a", None, "stranger", "b"])
    heads = [table.heads[1], table.heads[0], np.ones(7), np.ones(7), table.heads[1]]
    assert np.allclose(rewards, [x[row] @ head for row, head in zip(rows, heads, strict=True)])
    assert np.array_equal(
        blind_table(np.ones(7)).reward(x, rows, ["a"] * 5), (x.astype(float).sum(axis=1))[rows]
    )


def test_new_heads_leave_the_others_bit_identical() -> None:
    rng = np.random.default_rng(3)
    table = HeadTable(("b", "d"), rng.normal(size=(2, 4)), rng.normal(size=4))
    new = rng.normal(size=(2, 4))
    grown = table.with_heads(("d", "a"), new)
    assert grown.users == ("b", "d", "a")
    assert np.array_equal(grown.heads, np.stack([table.heads[0], new[0], new[1]]))
    assert table.users == ("b", "d")
    assert grown.population is table.population
