import numpy as np
import polars as pl

from plt.train.heads.head_table import HeadTable
from plt.train.judgements import support_view
from plt.train.method import TrainContext
from plt.train.methods.personal.individual import Individual
from plt.train.methods.population.bradley_terry import BradleyTerry
from tests.train.methods.tables import judged, merged, table


def head(method: BradleyTerry | Individual, user: str | None = None) -> np.ndarray:
    table = method.rewards if isinstance(method, Individual) else method.reward_model
    assert isinstance(table, HeadTable)
    return table.population if user is None else table.heads[table.users.index(user)]


def test_each_user_is_bradley_terry_on_their_own_rows(ctx: TrainContext) -> None:
    """RM-03 (a), the chosen penalty included."""
    prefs = judged({"a": 0.95, "b": 0.1, "c": 0.6}, 25)
    everyone = Individual().fit(prefs, ctx)
    for user in "abc":
        alone = BradleyTerry().fit(prefs.filter(pl.col("user_id") == user), ctx)
        assert np.allclose(head(everyone, user), head(alone), rtol=0, atol=1e-8)


def test_other_users_do_not_matter(ctx: TrainContext) -> None:
    """RM-03 (b): neither who else is there nor in which order."""
    prefs = judged({"a": 0.95, "b": 0.1, "c": 0.6}, 25)
    everyone = Individual().fit(prefs, ctx)
    renamed = prefs.votes.with_columns(
        user_id=pl.col("user_id").cast(pl.String).replace({"a": "z", "c": "b", "b": "c"})
    )
    turned = Individual().fit(type(prefs)(renamed, prefs.pairs, prefs.meta), ctx)
    for old, new in (("a", "z"), ("b", "c"), ("c", "b")):
        assert np.allclose(head(everyone, old), head(turned, new), rtol=0, atol=1e-12)


def test_one_user_is_vanilla(ctx: TrainContext) -> None:
    """RM-03 (c), and the population of one is that one."""
    prefs = judged({"only": 0.8}, 40)
    individual, vanilla = Individual().fit(prefs, ctx), BradleyTerry().fit(prefs, ctx)
    assert np.allclose(head(individual), head(vanilla), rtol=0, atol=1e-8)
    assert np.array_equal(head(individual), head(individual, "only"))


def test_population_is_the_mean_head(ctx: TrainContext) -> None:
    fitted = Individual().fit(judged({"a": 0.95, "b": 0.1}, 20), ctx)
    assert np.allclose(head(fitted), (head(fitted, "a") + head(fitted, "b")) / 2)


def test_adapting_to_all_rows_is_fitting_them(ctx: TrainContext) -> None:
    prefs = judged({"a": 0.95, "b": 0.1}, 20)
    newcomer = judged({"new": 0.2}, 20, seed=5)
    adapted = Individual().fit(prefs, ctx).adapt(support_view(newcomer), ctx)
    assert adapted.users == ("a", "b", "new")
    fitted = Individual().fit(merged(prefs, newcomer), ctx)
    assert np.allclose(head(adapted, "new"), head(fitted, "new"), rtol=0, atol=1e-8)


def test_adapting_learns_from_every_row_whatever_its_split(ctx: TrainContext) -> None:
    fitted = Individual().fit(judged({"a": 0.95}, 10), ctx)
    rows = [("new", f"nice {i}", f"cold {i}", 1.0) for i in range(5)]
    heads = [
        head(fitted.adapt(support_view(table(rows, split)), ctx), "new")
        for split in ("train", "val", "test")
    ]
    assert heads[0].any()
    assert np.array_equal(heads[0], heads[1])
    assert np.array_equal(heads[0], heads[2])


def test_who_has_no_head_is_said(ctx: TrainContext) -> None:
    nameless = table([(None, "x", "y", 1.0)])
    only_val = table([("late", "x", "y", 1.0)], split="val")
    fitted = Individual().fit(merged(judged({"a": 0.9}, 10), nameless, only_val), ctx)
    assert fitted.users == ("a",)
    assert "1 of 2 users have no training row" in fitted.notes[1]
    assert "1 training rows name no user" in fitted.notes[2]


def test_users_in_thousands_are_not_a_loop(ctx: TrainContext) -> None:
    fitted = Individual().fit(judged({f"u{i}": i / 2000 for i in range(2000)}, 4), ctx)
    assert len(fitted.users) == 2000
    assert np.isfinite(head(fitted)).all()
