from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import ArtifactError, UsageError
from plt.train.in_context.retrieval import PastTexts, Seen, cosines
from plt.train.judgements import distinct_texts, read_judgements, support_view
from plt.train.method import FloatArray, Texts, TrainContext
from plt.train.methods.in_context.rag import INSTRUCTION, Config, Rag, as_example, question_vectors
from plt.train.models.ab_choice import Choice, load_judge
from plt.train.runs.fit_and_score import fit_and_score
from plt.train.runs.scoring import Label
from tests.train.methods.tables import merged
from tests.train.tiny_models import save_tiny

QUESTIONS = ("How do I bake bread?", "What is a good tax plan?", "Which dog is calm?", "Who won?")


def asked(user: str, question: str, one: str, two: str, label: float) -> Preferences:
    row = {
        "prompt": [{"role": "user", "content": question}],
        "user_id": user,
        "response_1": one,
        "response_2": two,
        "label": label,
        "split": "train",
    }
    return build(pl.DataFrame([row]), Meta(dataset="toy"))


def people() -> Preferences:
    """u answered all questions; v one of them, otherwise; w saw ties only."""
    rows = [asked("u", q, f"yes {i}", f"no {i}", 1.0) for i, q in enumerate(QUESTIONS)]
    rows += [asked("v", QUESTIONS[0], "yes 0", "no 0", 0.0)]
    rows += [asked("w", QUESTIONS[1], "yes 1", "no 1", 0.5)]
    return merged(*rows)


def query(question: str, one: str, two: str) -> Texts:
    prompt = [{"role": "user", "content": question}]
    return Texts([prompt, prompt], [one, two])


def examples(method: Rag, texts: Texts, user: str | None, a: int = 0, b: int = 1) -> list[str]:
    """The preferred responses that are shown before texts a and b."""
    vectors = question_vectors([texts.prompts[0]], method.config, method.compute)
    return [seen.preferred for seen in method.examples(texts, a, b, user, vectors[0])]


def margin(method: Rag, texts: Texts, *users: str | None) -> FloatArray:
    a, b = np.zeros(len(users), dtype=np.int64), np.ones(len(users), dtype=np.int64)
    return method.margin(texts, a, b, users)


@pytest.fixture(scope="module")
def fitted(ctx: TrainContext) -> Rag:
    return Rag().fit(people(), ctx)


def test_the_same_question_is_the_nearest_and_stands_last(fitted: Rag) -> None:
    for i, question in enumerate(QUESTIONS):
        found = examples(fitted, query(question, "maybe", "never"), "u")
        assert len(found) == 3
        assert found[-1] == f"yes {i}"


def test_a_judge_that_reads_letters_says_so_first(
    ctx: TrainContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: object, instruction: str, shown: list[list[Choice]], compute: object) -> Any:
        return np.array([3.0 + len(choices[-1].a) / 100 for choices in shown])

    monkeypatch.setattr("plt.train.models.ab_choice.OptionJudge.ask", ask)
    first, *_ = Rag().fit(people(), ctx).notes
    assert first.startswith("WARNING: builtin:tiny answered A in 100 % whatever the order, and B")
    assert first.endswith("reads letters, not texts, and is no judge of these")

    def read(self: object, instruction: str, shown: list[list[Choice]], compute: object) -> Any:
        return np.array([1.0 if choices[-1].a.startswith("yes") else -1.0 for choices in shown])

    monkeypatch.setattr("plt.train.models.ab_choice.OptionJudge.ask", read)
    first, *_ = Rag().fit(people(), ctx).notes
    assert first.startswith("builtin:tiny answered A in 0 % whatever the order, and B in 0 %")


def test_examples_are_those_of_the_user_alone(fitted: Rag) -> None:
    texts = query(QUESTIONS[2], "maybe", "never")
    assert examples(fitted, texts, "v") == ["no 0"]
    assert examples(fitted, texts, "w") == []
    assert examples(fitted, texts, None) == []
    assert examples(fitted, texts, "stranger") == []
    assert "1 users have ties only and are asked without examples" in fitted.notes


def test_swapping_the_responses_finds_the_same_examples_and_negates(fitted: Rag) -> None:
    texts = query(QUESTIONS[1], "maybe", "never")
    assert examples(fitted, texts, "u", 0, 1) == examples(fitted, texts, "u", 1, 0)
    users, ones, zeros = ["u", "v", None], np.ones(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    forth, back = (fitted.margin(texts, *pair, users) for pair in ((zeros, ones), (ones, zeros)))
    assert np.array_equal(forth, -back)
    assert np.all(forth != 0)


def test_only_the_question_finds_examples(fitted: Rag) -> None:
    """Responses that name another question's subject change nothing."""
    plain = query(QUESTIONS[0], "maybe", "never")
    baited = query(QUESTIONS[0], "a tax plan, a good tax plan", "who won? who won?")
    assert examples(fitted, plain, "u") == examples(fitted, baited, "u")


def test_the_target_and_its_responses_are_never_an_example(fitted: Rag) -> None:
    assert "yes 0" not in examples(fitted, query(QUESTIONS[0], "yes 0", "no 0"), "u")
    assert "yes 0" not in examples(fitted, query(QUESTIONS[3], "no 0", "else"), "u")
    assert "yes 3" in examples(fitted, query(QUESTIONS[3], "no 0", "else"), "u")


def test_a_margin_is_the_mean_log_odds_of_both_orders(fitted: Rag, ctx: TrainContext) -> None:
    """Without examples the question can be written by hand."""
    texts = query(QUESTIONS[1], "maybe", "never")
    judge = load_judge("builtin:tiny", ctx.compute, fitted.config.window)
    written = [
        f"{INSTRUCTION}\n<user>{QUESTIONS[1]}</user>\n<a>{one}</a>\n<b>{two}</b>"
        for one, two in (("maybe", "never"), ("never", "maybe"))
    ]
    forth, back = judge.log_odds(written, ctx.compute)
    assert margin(fitted, texts, None)[0] == pytest.approx((forth - back) / 2, abs=1e-12)
    shown = [[Choice(texts.prompts[0], *pair)] for pair in (("maybe", "never"), ("never", "maybe"))]
    assert np.array_equal(judge.ask(INSTRUCTION, shown, ctx.compute), [forth, back])


def test_without_examples_everybody_is_the_zero_shot_judge(ctx: TrainContext) -> None:
    none = Rag(Config(k=0)).fit(people(), ctx)
    some = Rag().fit(people(), ctx)
    texts = query(QUESTIONS[1], "maybe", "never")
    zero_shot = margin(some, texts, None)[0]
    assert np.allclose(margin(none, texts, "u", "v", "w", None), zero_shot, rtol=0, atol=1e-6)
    assert margin(some, texts, "w", "stranger") == pytest.approx([zero_shot] * 2, abs=1e-6)
    assert abs(margin(some, texts, "u")[0] - zero_shot) > 1e-6


@pytest.mark.slow
def test_past_choices_are_shown_in_both_orders() -> None:
    """A fair coin that seed and user throw: 100 throws lie within 4 standard deviations of 50."""
    past = [Seen(people().pairs["prompt"][0].to_list(), f"yes {i}", "no") for i in range(100)]
    drawn = [[as_example(seen, seed, user) for seen in past] for seed, user in ((0, "u"), (1, "u"))]
    for choices in drawn:
        assert 30 <= sum(choice.answer == "A" for choice in choices) <= 70
        for i, choice in enumerate(choices):
            assert (choice.a if choice.answer == "A" else choice.b) == f"yes {i}"
    assert drawn[0] != drawn[1]
    assert drawn[0] == [as_example(seen, 0, "u") for seen in past]


def test_no_label_of_a_scored_row_changes_a_margin(ctx: TrainContext) -> None:
    prefs = people()
    split = pl.when(pl.col("pair_id") == prefs.votes["pair_id"][0]).then(pl.lit("test"))
    votes = prefs.votes.with_columns(
        split.otherwise(pl.lit("train")).cast(prefs.votes["split"].dtype).alias("split")
    )
    flipped = votes.with_columns(
        label=pl.when(pl.col("split") == "test").then(1 - pl.col("label")).otherwise("label")
    )
    found = [
        fit_and_score(replace(prefs, votes=v), Rag(), ctx, Label("run", "rag", 0)).scores.frame
        for v in (votes, flipped)
    ]
    assert not found[0]["label"].equals(found[1]["label"])
    assert found[0]["margin"].equals(found[1]["margin"])


def test_a_pair_that_was_judged_again_counts_once(ctx: TrainContext) -> None:
    again = replace(people(), votes=pl.concat([people().votes] * 2))
    votes = again.votes.with_columns(
        occurrence=pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16),
    ).with_columns(
        label=pl.when(pl.col("occurrence") > 0).then(1 - pl.col("label")).otherwise("label")
    )
    history = Rag().fit(replace(again, votes=votes), ctx).history
    once = Rag().fit(people(), ctx).history
    assert history is not None
    assert once is not None
    assert np.array_equal(history.starts, once.starts)
    assert [history.seen(i) for i in range(5)] == [once.seen(i) for i in range(5)]


def test_adapt_replaces_what_was_known_of_a_user(fitted: Rag, ctx: TrainContext) -> None:
    newer = merged(
        asked("v", QUESTIONS[3], "left", "right", 0.0), asked("x", QUESTIONS[2], "up", "down", 1.0)
    )
    adapted = fitted.adapt(support_view(newer), ctx)
    assert adapted.users == ("u", "v", "w", "x")
    texts = query(QUESTIONS[3], "maybe", "never")
    assert examples(adapted, texts, "v") == ["right"]
    assert examples(adapted, texts, "x") == ["up"]
    assert examples(adapted, texts, "u") == examples(fitted, texts, "u")
    assert examples(fitted, texts, "v") == ["no 0"]


def test_another_retriever_than_at_writing_is_refused(ctx: TrainContext, tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "retriever", "bert", causal=False)
    Rag(Config(retriever=str(model))).fit(people(), ctx).save(tmp_path / "saved")
    save_tiny(model, "bert", causal=False, seed=1)
    with pytest.raises(ArtifactError, match="holds other weights than when"):
        Rag.load(tmp_path / "saved", ctx.compute)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="'k' is -1"):
        Config(k=-1)


def test_equally_near_questions_come_in_the_order_of_the_rows() -> None:
    history = PastTexts(
        ("u",), np.array([0, 3]), ([], [], []), ("a", "b", "c", "d"),
        np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([3, 3, 3]),
        np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32),
    )  # fmt: skip
    one = np.array([1, 0], dtype=np.float32)
    assert [seen.preferred for seen in history.nearest("u", one, 3)] == ["c", "b", "a"]
    assert [seen.preferred for seen in history.nearest("u", one, 1)] == ["a"]
    assert history.nearest("u", one, 3, without=["d"]) == []
    assert np.array_equal(cosines(history.vectors, np.zeros(2, dtype=np.float32)), [0, 0, 0])


def test_texts_of_all_judgements_are_kept_once(fitted: Rag) -> None:
    assert fitted.history is not None
    texts, _, _ = distinct_texts(people().pairs)
    assert sorted(fitted.history.responses) == sorted(texts.responses)
    assert len(fitted.history.prompts) == len(QUESTIONS)
    assert read_judgements(people()).users == fitted.users
