"""What was new to a model, and who is a minority user: worked by hand and written beside scores."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.registry import METRICS
from plt.analyze.scores.evaluation import compute, evaluation_rows, measure
from plt.analyze.scores.minority_flags import with_minority
from plt.analyze.scores.novelty import KINDS, with_novelty
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.schema import METRICS_TABLE, validate
from plt.data.tables.table import Meta
from tests.analyze.score_tables import scores
from tests.data.made_tables import raw_frame, user_turn


def judged(rows: list[tuple[str, str, str, str, str]]) -> Preferences:
    """(user, prompt, winner, loser, split) of each judgement."""
    raw = raw_frame(
        [
            {"user_id": user, "prompt": user_turn(prompt), "response_1": one, "response_2": two,
             "label": 1.0, "split": split, "user_split": "seen"}
            for user, prompt, one, two, split in rows
        ]
    )  # fmt: skip
    return build(raw, Meta(dataset="toy"))


def as_scores(prefs: Preferences) -> pl.DataFrame:
    votes = prefs.votes.sort("pair_id")
    label, users = votes["label"].to_list(), votes["user_id"].cast(pl.String).to_list()
    made = scores(label, label, users, votes["pair_id"].to_list())
    return made.with_columns(split=votes["split"])


def test_each_kind_of_novelty_by_hand() -> None:
    prefs = judged(
        [
            ("u", "p", "one", "two", "train"),
            ("u", "p", "three", "two", "train"),
            ("v", "p", "two", "one", "test"),  # the pair that u judged, the other way round
            ("u", "p", "one", "three", "test"),  # both responses known, in other pairs
            ("u", "p", "one", "four", "test"),
            ("u", "q", "one", "two", "test"),  # known texts, but to another prompt
            ("u", "p", "five", "two", "val"),
            ("u", "p", "five", "one", "test"),  # 'five' is only known from validation
        ]
    )
    texts = prefs.pairs.with_columns(both=pl.concat_list("response_a", "response_b").list.sort())
    found = with_novelty(as_scores(prefs), prefs).join(texts, on="pair_id")
    by_pair = {
        (row["prompt"][0]["content"], *row["both"], row["split"]): row["novelty"]
        for row in found.iter_rows(named=True)
    }
    assert by_pair["p", "one", "two", "test"] == "known pair"
    assert by_pair["p", "one", "three", "test"] == "new pair"
    assert by_pair["p", "four", "one", "test"] == "new response"
    assert by_pair["q", "one", "two", "test"] == "new prompt"
    assert by_pair["p", "five", "one", "test"] == "new response"


def test_unseen_users_teach_nothing() -> None:
    prefs = judged([("u", "p", "one", "two", "train"), ("v", "q", "one", "two", "train"),
                    ("u", "q", "one", "two", "test")])  # fmt: skip
    kind = pl.when(pl.col("user_id") == "v").then(pl.lit("unseen")).otherwise(pl.lit("seen"))
    votes = prefs.votes.with_columns(user_split=kind.cast(prefs.votes.schema["user_split"]))
    prefs = replace(prefs, votes=votes)
    found = with_novelty(as_scores(prefs), prefs).filter(pl.col("split") == "test")
    assert found["novelty"].to_list() == ["new prompt"]


def test_kinds_are_measured_apart_and_sum_to_all() -> None:
    kinds = [KINDS[i % 4] for i in range(40)]
    margin = np.where(np.arange(40) % 8 < 4, 1.0, -1.0)
    table = scores([1.0] * 40, margin, [f"u{i % 5}" for i in range(40)], novelty=kinds)
    made = measure(table, command="train")
    assert validate(made, METRICS_TABLE) == []
    names = ["known_pairs_accuracy", "new_pairs_accuracy", "new_responses_accuracy",
             "new_prompts_accuracy"]  # fmt: skip
    pooled = made.filter(pl.col("metric").is_in(names), pl.col("average") == "pair")
    assert pooled["n_pairs"].sum() == 40
    assert pooled["value"].to_list() == [0.5] * 4
    one_kind = scores([1.0] * 4, [1.0] * 4, ["u"] * 4, novelty=["new pair"] * 4)
    missing = compute(METRICS["new_prompts_accuracy"], evaluation_rows(one_kind), "pair")
    assert (missing.value, missing.n_rows) == (None, 0)
    assert missing.reason == "no judgement is of a new prompt"
    unknown = compute(
        METRICS["new_pairs_accuracy"], evaluation_rows(one_kind.drop("novelty")), "pair"
    )
    assert unknown.reason == "the scores do not say what was new to the model"


def contrarian(splits: str) -> Preferences:
    """Four who agree and one who never does, on 20 pairs in `splits` and 20 in test."""
    rows = [
        (user, f"prompt {split} {i}", *(("x", "y") if user != "no" else ("y", "x")), split)
        for split in (splits, "test")
        for i in range(20)
        for user in ("a", "b", "c", "d", "no")
    ]
    return judged(rows)


def test_minority_users_are_found_on_training_and_validation_votes_alone() -> None:
    for split in ("train", "val"):
        prefs = contrarian(split)
        flagged = with_minority(as_scores(prefs), prefs.votes)
        found = dict(flagged.select("user_id", "minority_user").unique().iter_rows())
        assert found == {"a": False, "b": False, "c": False, "d": False, "no": True}
    later = prefs.votes.with_columns(split=pl.lit("test", dtype=prefs.votes.schema["split"]))
    nobody = with_minority(as_scores(prefs), later)
    assert nobody["minority_user"].null_count() == nobody.height
    figure = compute(METRICS["minority_accuracy"], evaluation_rows(nobody), "user")
    assert figure.reason == "nobody could be tested for being a minority"


def test_minority_accuracy_as_worked_in_its_docstring() -> None:
    users = ["m"] * 4 + ["n"] * 4 + ["other"] * 4
    margin = [1, 1, 1, -1, 1, -1, -1, -1, 1, 1, 1, 1]
    flags = [True] * 8 + [False] * 4
    table = scores([1.0] * 12, [float(m) for m in margin], users, minority_user=flags)
    figure = compute(METRICS["minority_accuracy"], evaluation_rows(table), "user")
    assert (figure.value, figure.n_users, figure.n_rows) == (0.5, 2, 8)
    none = table.with_columns(minority_user=False)
    reason = compute(METRICS["minority_accuracy"], evaluation_rows(none), "user").reason
    assert reason == "none of 3 users tested is a minority user"
    assert compute(
        METRICS["minority_accuracy"], evaluation_rows(table.drop("minority_user")), "pair"
    ).value is None  # fmt: skip


@pytest.mark.parametrize("name", ["novelty", "minority_user"])
def test_the_columns_change_no_other_figure(name: str) -> None:
    rng = np.random.default_rng(0)
    table = scores(rng.integers(0, 2, 60).astype(float), rng.normal(size=60),
                   [f"u{i % 6}" for i in range(60)])  # fmt: skip
    value = pl.lit("new pair") if name == "novelty" else pl.lit(True)
    plain, more = (measure(t, command="x") for t in (table, table.with_columns(value.alias(name))))
    other = pl.col("metric").is_in(["accuracy", "auc", "log_loss", "worst_user_accuracy"])
    assert plain.filter(other).equals(more.filter(other))
