"""What holds of every simulator: reproducible, counted, and true to its own truth."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from plt.data.simulate import dirichlet, low_rank
from plt.data.simulate.world.survey import user_ids
from plt.data.tables.preferences import read_preferences, write_preferences
from plt.data.tables.schema import USERS, validate
from plt.data.tables.table import content_hash
from plt.errors import DataError, UsageError
from tests.data.simulate.populations import MODULES, rows, small

NAMES = sorted(MODULES)


def extra_test_rows(config) -> int:
    return getattr(config, "test_pairs", 0) * config.users


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_table_and_another_seed_another_one(name):
    module = MODULES[name]
    once, again = (module.simulate(small(module, seed=5)) for _ in range(2))
    other = module.simulate(small(module, seed=6))
    assert once.wide().equals(again.wide())
    assert once.meta == again.meta
    assert content_hash(once.votes) != content_hash(other.votes)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_judges_as_many_pairs_and_repeats_as_asked(name):
    module = MODULES[name]
    config = small(module, repeats=0.25)
    votes = module.simulate(config).votes
    assert votes.height == 8 * (20 + 5) + extra_test_rows(config)
    again = votes.filter(pl.col("occurrence") == 1)
    assert again.height == 8 * 5
    assert votes["occurrence"].max() == 1
    assert sorted(votes["user_id"].cast(pl.String).unique()) == user_ids(8)
    first = votes.filter(pl.col("occurrence") == 0)
    assert not first.select("user_id", "pair_id").is_duplicated().any()


@pytest.mark.parametrize("name", NAMES)
def test_noiseless_labels_are_the_sign_of_the_true_reward_even_from_a_file(name, tmp_path):
    module = MODULES[name]
    made = module.simulate(small(module, labels="hard", noise=0.0, repeats=0.5))
    write_preferences(made, tmp_path / "population.parquet")
    read = read_preferences(tmp_path / "population.parquet")
    assert read.meta.truth == made.meta.truth
    table = rows(read)
    assert set(table["label"]) == {0.0, 1.0}
    assert (np.sign(table["difference"]) == 2 * table["label"].to_numpy() - 1).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flips", [0.1, 0.5])
def test_labels_are_turned_round_at_the_stated_rate(name, flips):
    module = MODULES[name]
    config = small(module, pairs_per_user=100, overlap=8.0, labels="hard", noise=flips, repeats=1.0)
    table = rows(module.simulate(config))
    turned = (table["difference"] > 0) != (table["label"] == 1)
    assert table.height >= 1600
    assert turned.mean() == pytest.approx(
        flips, abs=5 * math.sqrt(flips * (1 - flips) / turned.len())
    )


@pytest.mark.parametrize("name", NAMES)
def test_repeats_are_judged_afresh(name):
    module = MODULES[name]
    votes = module.simulate(small(module, noise=0.5, repeats=1.0)).votes
    twice = votes.group_by("user_id", "pair_id").agg(pl.col("label").n_unique(), n=pl.len())
    twice = twice.filter(pl.col("n") == 2)
    assert (twice["label"] == 2).mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(160))


@pytest.mark.parametrize("name", NAMES)
def test_soft_labels_are_the_probabilities_that_sampled_labels_have(name):
    module = MODULES[name]
    size = {"pairs_per_user": 100, "overlap": 8.0, "scale": 1.5, "noise": 0.1, "repeats": 0.0}
    soft = rows(module.simulate(small(module, labels="soft", **size)))
    probability = expit(1.5 * soft["difference"].to_numpy())
    expected = 0.9 * probability + 0.1 * (1 - probability)
    np.testing.assert_allclose(soft["label"].to_numpy(), expected, atol=1e-6)
    drawn = rows(module.simulate(small(module, labels="sampled", **size)))
    np.testing.assert_allclose(drawn["difference"].to_numpy(), soft["difference"].to_numpy())
    assert set(drawn["label"]) == {0.0, 1.0}
    better = soft["difference"].to_numpy() > 0
    for side in (better, ~better):
        sd = math.sqrt((expected * (1 - expected))[side].sum())
        drawn_sum = drawn["label"].to_numpy()[side].sum()
        assert drawn_sum == pytest.approx(expected[side].sum(), abs=5 * sd)


@pytest.mark.parametrize("name", NAMES)
def test_the_users_table_describes_the_people_who_judged(name):
    module = MODULES[name]
    people = module.user_table(small(module))
    assert validate(people, USERS) == []
    assert people["user_id"].to_list() == user_ids(8)
    extra = set(people.columns) - {"user_id", "profile"}
    assert all(column.startswith("attr_") for column in extra)
    votes = module.simulate(small(module)).votes
    said = votes.select(pl.col("user_id", "profile").cast(pl.String)).unique().sort("user_id")
    if people["profile"].null_count() == 0:
        assert said.equals(people.select("user_id", "profile"))
    else:
        assert said["profile"].null_count() == said.height


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_refused_for_strangers_and_by_other_simulators(name):
    module = MODULES[name]
    truth = dict(module.simulate(small(module)).meta.truth)
    with pytest.raises(UsageError, match="no user 'u009'; they are u001 to u008"):
        module.true_reward(truth, ["text"], "u009")
    with pytest.raises(DataError, match="this truth is of 'other'"):
        module.true_reward({**truth, "simulator": "other"}, ["text"], "u001")
    unknown = {**truth, "parameters": {**truth["parameters"], "colour": 1}}
    with pytest.raises(DataError, match="has no parameter colour"):
        module.true_reward(unknown, ["text"], "u001")


@pytest.mark.parametrize("name", NAMES)
def test_any_text_has_a_finite_true_reward(name):
    module = MODULES[name]
    truth = module.simulate(small(module)).meta.truth
    hostile = ["", "\x1b[31m\x00\ud800", "Dogs! cats? 42", "a " * 9000]
    assert np.isfinite(module.true_reward(truth, hostile, "u002")).all()
    assert module.true_reward(truth, hostile, "u002").shape == (4,)
    assert module.true_reward(truth, [], "u002").shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_the_true_reward_of_a_text_does_not_depend_on_its_company(name):
    module = MODULES[name]
    prefs = module.simulate(small(module))
    texts = prefs.pairs["response_a"].to_list()
    together = module.true_reward(prefs.meta.truth, texts, "u003")
    alone = [module.true_reward(prefs.meta.truth, [text], "u003")[0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_says_what_the_table_is(name):
    module = MODULES[name]
    config = small(module, seed=3)
    meta = module.simulate(config).meta
    assert (meta.dataset, meta.license) == (f"synthetic:{name}", "CC0-1.0")
    assert meta.truth["seed"] == 3
    assert set(meta.truth["parameters"]) == {f.name for f in dataclasses.fields(config)} - {"seed"}


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_value_is_named_at_once(name):
    wrong = {"users": 0, "pairs_per_user": 1.5, "noise": 0.6, "repeats": -1, "overlap": math.nan}
    with pytest.raises(UsageError) as caught:
        MODULES[name].Config(**wrong, ties="never", labels=None, seed=-1)
    named = {problem.split()[0] for problem in caught.value.problems}
    assert named >= {*wrong, "ties", "labels", "seed"}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    field=st.sampled_from(["users", "noise", "repeats", "overlap", "tie_below", "scale"]),
    value=st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans()),
)
def test_a_config_is_right_or_refused(name, field, value):
    limits = {
        "users": (1, 1_000_000), "noise": (0, 0.5), "repeats": (0, 1), "overlap": (1, math.inf),
        "tie_below": (0, math.inf), "scale": (0, math.inf),
    }  # fmt: skip
    number = isinstance(value, int | float) and not isinstance(value, bool)
    low, high = limits[field]
    right = number and math.isfinite(value) and low <= value <= high
    if field == "users":
        right = right and isinstance(value, int)
    if right:
        assert getattr(MODULES[name].Config(**{field: value}), field) == value
    else:
        with pytest.raises(UsageError) as caught:
            MODULES[name].Config(**{field: value})
        assert [problem.split()[0] for problem in caught.value.problems] == [field]


def test_a_truth_that_was_written_today_can_be_read_for_ever():
    # Draws behind the true rewards of files that exist already: a change of them is a break.
    weights = dirichlet.weights(dirichlet.Config(users=2, alpha=1.0))
    np.testing.assert_allclose(weights[0, :3], [0.01515383, 0.20849085, 0.01593158], atol=1e-7)
    factors = low_rank.weights(low_rank.Config(users=2))
    np.testing.assert_allclose(factors[0, :3], [-0.21704377, 0.2754703, 0.25311201], atol=1e-7)
    traits = MODULES["attributes"].user_table(MODULES["attributes"].Config())
    assert traits["attr_trait"].head(3).to_list() == ["demure", "verbose", "confident"]
