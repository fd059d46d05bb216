"""From a table of texts to a conclusion: what is used, left out, null with a reason, and said."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.taste.heterogeneity import HeterogeneityResult, examine, heterogeneity
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.schema import MESSAGES
from plt.data.tables.table import Meta
from tests.analyze.taste.taste_worlds import World

WORDS = ("river", "stone", "lamp", "green", "walk", "paper", "cloud", "table")


def conversations(
    tastes: list[float], *, n_groups: int = 5, seed: int = 0, conversation: bool = True
) -> pl.DataFrame:
    """One user a taste for length; each has conversations of three choices of their own."""
    rng = np.random.default_rng(seed)
    rows = []
    for user, taste in enumerate(tastes):
        for group in range(n_groups):
            for turn in range(3):
                n_words = rng.integers(3, 60, 2)
                bangs = rng.integers(0, 4, 2)
                texts = [
                    " ".join(rng.choice(WORDS, size)) + "!" * bang
                    for size, bang in zip(n_words, bangs, strict=True)
                ]
                margin = taste * (np.log(n_words[0]) - np.log(n_words[1]))
                rows.append(
                    {
                        "user_id": f"u{user:03d}",
                        "group": f"c{user}-{group}" if conversation else None,
                        "prompt": [{"role": "user", "content": f"{user} {group} {turn}?"}],
                        "response_1": texts[0],
                        "response_2": texts[1],
                        "label": float(margin + rng.logistic() > 0),
                    }
                )
    return pl.DataFrame(rows, schema_overrides={"prompt": MESSAGES, "group": pl.String})


def table(raw: pl.DataFrame) -> Preferences:
    return build(raw, Meta(dataset="made"))


OPPOSED = [3.0, -3.0] * 20
ALIKE = [1.5] * 40


def test_people_who_want_different_lengths_are_found() -> None:
    found = heterogeneity(table(conversations(OPPOSED)), n_resamples=199)
    assert found.p_value == found.p_permutation == 1 / 200
    assert found.p_beyond_strength == 1 / 200
    assert found.differing == ("length",)
    assert found.gain is not None
    assert found.gain.log_loss.low is not None
    assert found.gain.log_loss.low > 0
    assert "weigh length differently" in found.conclusion
    assert "not only more or less firmly" in found.conclusion
    length = next(feature for feature in found.features if feature.name == "length")
    assert length.slope_sd > 1
    assert abs(length.pooled_slope) < 0.5


def test_people_who_want_the_same_are_not_told_apart() -> None:
    found = heterogeneity(table(conversations(ALIKE)), n_resamples=199)
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert found.differing == ()
    assert found.conclusion.startswith("No difference in taste is detectable between the 40 users")
    assert [row["name"] for row in found.rows()] == ["length", "exclamation"]


def test_firmness_alone_is_called_that() -> None:
    rows = World(firmness=1.0).draw(250, np.random.default_rng(1), k=3)
    found = examine(rows, ("x", "y", "z"), seed=0, n_resamples=199)
    assert found.p_value is not None
    assert found.p_value <= 0.05
    assert found.p_beyond_strength is not None
    assert found.p_beyond_strength > 0.05
    assert "perhaps only more or less firmly" in found.conclusion


def test_what_the_test_rests_on() -> None:
    raw = conversations(ALIKE)
    ties = raw.head(4).with_columns(label=pl.lit(0.5))
    unlabelled = raw.slice(4, 3).with_columns(label=pl.lit(None, dtype=pl.Float64))
    anonymous = raw.slice(7, 2).with_columns(user_id=pl.lit(None, dtype=pl.String))
    again = raw.slice(300, 5)
    lonely = raw.slice(400, 1).with_columns(user_id=pl.lit("lonely"), group=pl.lit("alone"))
    raw = pl.concat([ties, unlabelled, anonymous, raw.slice(9), again, lonely])
    found = heterogeneity(table(raw), n_resamples=19)
    assert found.coverage.dropped == {"tie": 4, "no label": 3, "no user id": 2, "repeat": 5}
    assert found.coverage.n_judgments == 40 * 15 - 9 + 1
    assert (found.coverage.n_users, found.coverage.n_users_tested) == (41, 40)
    # The nine rows left out are three whole conversations, and `lonely` judged a pair of another's.
    assert found.coverage.n_cells_tested == found.coverage.n_groups == 40 * 5 - 3
    assert found.coverage.n_shared_groups == 1
    assert found.coverage.group == "conversation"
    assert found.coverage.features_left_out == (
        "lists", "emphasis", "code", "questions", "hedging", "refusal",
    )  # fmt: skip
    assert found.coverage.share_english == 0


def test_prompts_stand_in_for_conversations_and_that_is_said() -> None:
    found = heterogeneity(table(conversations(ALIKE, conversation=False)), n_resamples=19)
    assert found.coverage.group == "prompt"
    assert found.coverage.n_groups == 40 * 15


def test_json_is_json_and_says_what_it_assumes() -> None:
    found = heterogeneity(table(conversations(OPPOSED)), n_resamples=19, seed=3)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["assumption"] == found.assumption
    assert "no quality of sources, which are unknown) fits everybody alike" in found.assumption
    assert document["conclusion"] == found.conclusion
    assert document["seed"] == 3
    assert document["gain"]["accuracy"]["target"] == "population"
    assert document["features"] == found.rows()
    assert document["reasons"] == {}


def test_the_same_seed_gives_the_same_result() -> None:
    prefs = table(conversations(OPPOSED[:12]))
    one, two = (heterogeneity(prefs, n_resamples=49, seed=4) for _ in range(2))
    assert one == two


def by_good_and_bad_models(*, named: bool) -> pl.DataFrame:
    """Everybody wants the good model's answers; they are long in half of the people's material."""
    raw = conversations([0.0] * 60)
    rng = np.random.default_rng(4)
    long_first = raw["response_1"].str.len_chars() > raw["response_2"].str.len_chars()
    odd = raw["user_id"].str.slice(-1).cast(pl.Int64) % 2 == 1
    good_first = (long_first != odd).to_numpy() ^ (rng.random(raw.height) < 0.2)
    chosen = rng.random(raw.height) < np.where(good_first, 0.85, 0.15)
    sides = {
        "source_1": np.where(good_first, "good", "bad"),
        "source_2": np.where(good_first, "bad", "good"),
    }
    return raw.with_columns(
        label=pl.Series(chosen.astype(float)),
        **{side: pl.Series(names if named else [None] * raw.height, dtype=pl.String)
           for side, names in sides.items()},
    )  # fmt: skip


def test_quality_of_unknown_sources_is_said_to_look_like_taste() -> None:
    found = heterogeneity(table(by_good_and_bad_models(named=False)), n_resamples=199)
    assert found.p_value == 1 / 200
    assert found.conclusion.endswith(
        "Who wrote the responses is not known: if good responses are, say, longer in some people's"
        " material and not in others', their quality looks like this taste."
    )
    assert (found.coverage.n_sources, found.coverage.share_sources) == (0, 0)


def test_quality_of_known_sources_is_no_taste() -> None:
    raw = by_good_and_bad_models(named=True)
    found = heterogeneity(table(raw), n_resamples=199)
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert (found.coverage.n_sources, found.coverage.share_sources) == (2, 1)
    assert "a quality of each of 2 sources" in found.assumption
    half = raw.with_columns(source_1=pl.when(pl.int_range(pl.len()) % 2 == 0).then("source_1"))
    found = heterogeneity(table(half), n_resamples=19)
    assert found.coverage.share_sources == 0.75
    assert json.loads(json.dumps(found.to_json()))["coverage"]["n_sources"] == 2


def test_taste_is_found_beside_known_sources() -> None:
    raw = conversations(OPPOSED)
    rng = np.random.default_rng(0)
    names = ("m1", "m2", "m3")
    raw = raw.with_columns(
        source_1=pl.Series(rng.choice(names, raw.height)),
        source_2=pl.Series(rng.choice(names, raw.height)),
    )
    found = heterogeneity(table(raw), n_resamples=199)
    assert found.differing == ("length",)
    assert "not known" not in found.conclusion
    partly = raw.with_columns(source_2=pl.when(pl.int_range(pl.len()) % 5 > 0).then("source_2"))
    found = heterogeneity(table(partly), n_resamples=199)
    assert "Who wrote 10% of the responses is not known" in found.conclusion


def all_null(found: HeterogeneityResult, reason: str) -> bool:
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    figures = ("p_value", "p_permutation", "p_beyond_strength", "gain")
    assert found.rows() == []
    assert reason in found.conclusion
    return all(document[name] is None and document["reasons"][name] == reason for name in figures)


def test_nulls_have_reasons() -> None:
    raw = conversations(ALIKE)
    few = table(raw.filter(pl.col("user_id") < "u009"))
    reason = "9 of 9 users have judgements in two groups, and the test needs 10 of them"
    assert all_null(heterogeneity(few), reason)
    nobody = table(raw.with_columns(user_id=pl.lit(None, dtype=pl.String)))
    assert all_null(heterogeneity(nobody), "no judgement has a user, a label and no tie")
    shared = table(raw.with_columns(group=pl.lit("g") + (pl.int_range(pl.len()) % 5).cast(str)))
    assert all_null(heterogeneity(shared), "there are 5 groups, and the test needs 20")
    same = pl.col("response_1").str.replace_all(r"\w", "x")
    bland = raw.with_columns(response_1=same, response_2=same.str.replace("x", "y"))
    assert all_null(heterogeneity(table(bland)), "no feature differs in 1 % of the judgements")


def test_shared_groups_leave_the_permutation_null() -> None:
    raw = conversations(OPPOSED)
    shared = table(raw.with_columns(group=pl.lit("g") + (pl.int_range(pl.len()) % 40).cast(str)))
    found = heterogeneity(shared, n_resamples=99)
    assert found.p_permutation is None
    assert found.reasons == {"p_permutation": "40 groups are shared by several users"}
    assert found.p_value is not None
    assert found.p_value <= 0.05


@pytest.mark.parametrize(
    ("p_value", "p_beyond", "said"),
    [
        (0.04, None, "though perhaps only more or less firmly."),
        (0.04, 0.5, "though perhaps only more or less firmly (p = 0.5 for more than that)."),
        (0.04, 0.04, "and not only more or less firmly (p = 0.04)."),
        (0.06, 0.01, "No difference in taste is detectable"),
    ],
)
def test_conclusions(p_value: float, p_beyond: float | None, said: str) -> None:
    rows = World().draw(20, np.random.default_rng(0), k=2)
    found = examine(rows, ("x", "y"), seed=0, n_resamples=9)
    found = replace(found, p_value=p_value, p_beyond_strength=p_beyond)
    assert said in found.conclusion
    if p_value <= 0.05:
        assert "these features taken together" in found.conclusion
