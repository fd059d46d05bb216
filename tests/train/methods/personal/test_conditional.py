"""RM-04: a reward model that reads who asks."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.features.frozen import features
from plt.train.features.statements import statement_features
from plt.train.heads.head_table import fit_shared_head, pair_problem
from plt.train.judgements import distinct_texts, read_judgements, support_view
from plt.train.method import Compute, FloatArray, Texts, TrainContext
from plt.train.methods.personal.conditional import NOBODY, Conditional, Config, id_line
from plt.train.methods.population.bradley_terry import BradleyTerry
from plt.train.methods.population.bradley_terry import Config as Shared
from plt.train.people.words import with_preambles
from tests.train.methods.tables import COLD, NICE, judged, merged, table

CAMPS = {f"nice {i}": 0.95 for i in range(4)} | {f"cold {i}": 0.05 for i in range(4)}
FAST = {
    "model": "builtin:tiny", "tune": "lora", "epochs": 2.0, "pairs_per_step": 4,
    "learning_rate": 1e-3, "max_length": 128,
}  # fmt: skip
FULL = {**FAST, "tune": "full"}


@pytest.fixture(scope="module")
def camps() -> Preferences:
    return judged(CAMPS, 20)


@pytest.fixture(scope="module")
def fitted(camps: Preferences, ctx: TrainContext) -> Conditional:
    return Conditional().fit(camps, ctx)


def margins(method: Conditional | BradleyTerry, prefs: Preferences, user: str | None) -> FloatArray:
    """Of the nice answer over the cold one, for every pair of the table."""
    texts, a, b = distinct_texts(prefs.pairs)
    nice = np.array(["specified" not in text for text in texts.responses])
    a, b = np.where(nice[a], a, b), np.where(nice[a], b, a)
    return method.reward(texts, a, [user] * len(a)) - method.reward(texts, b, [user] * len(b))


def right(method: Conditional, prefs: Preferences, wrong: bool = False) -> float:
    """Share of the camps' tastes that come out, each user asked as themselves or as another."""
    shares = []
    for user in method.users:
        other = {"nice": "cold", "cold": "nice"}[user[:4]] + user[4:]
        likes = (margins(method, prefs, other if wrong else user) > 0).mean()
        shares.append(likes if user.startswith("nice") else 1 - likes)
    return float(np.mean(shares))


def with_line(prefs: Preferences, line: str) -> Preferences:
    """The table with a system message before every prompt."""
    spoken = [
        [{"role": "system", "content": line}, *prompt] for prompt in prefs.pairs["prompt"].to_list()
    ]
    prompt = pl.Series("prompt", spoken, dtype=prefs.pairs.schema["prompt"])
    return dataclasses.replace(prefs, pairs=prefs.pairs.with_columns(prompt))


@pytest.mark.parametrize("tuning", [FAST, FULL], ids=["lora", "full"])
def test_one_user_is_bradley_terry_on_prompts_with_the_line(
    tuning: dict[str, object], ctx: TrainContext, tmp_path: Path
) -> None:
    """RM-04 (a): when all have the same id, nothing is conditional, bit by bit."""
    prefs = judged({"a user": 0.9}, 12)
    told = Conditional(Config(id_dropout=0, **tuning)).fit(prefs, ctx)  # type: ignore[arg-type]
    vanilla = BradleyTerry(Shared(**tuning)).fit(  # type: ignore[arg-type]
        with_line(prefs, 'User ID: "a user"'), ctx
    )
    texts, a, b = distinct_texts(prefs.pairs)
    spoken, _, _ = distinct_texts(with_line(prefs, 'User ID: "a user"').pairs)
    rows = np.unique(np.concatenate([a, b]))
    expected = vanilla.reward(spoken, rows, [None] * len(rows))
    assert np.array_equal(told.reward(texts, rows, ["a user"] * len(rows)), expected)
    as_nobody = told.reward(texts, rows, ["stranger"] * len(rows))
    assert not np.array_equal(as_nobody, expected)
    told.save(tmp_path)
    again = Conditional.load(tmp_path, Compute(device="cpu"))
    assert np.array_equal(again.reward(texts, rows, ["stranger"] * len(rows)), as_nobody)


def test_an_id_that_is_added_under_a_linear_head_is_bradley_terry(
    camps: Preferences, ctx: TrainContext
) -> None:
    """w [h(text), c(user)]: both sides of a pair have one user, so c cancels, whatever it is."""
    judgements = read_judgements(camps)
    vectors = features(judgements.texts, "builtin:minilm", ctx.compute)
    words = statement_features(
        [id_line(user) for user in judgements.users], "builtin:minilm", ctx.compute, None
    )
    # Every (user, text) is a text of its own, with the user's words behind the text's features.
    text = np.concatenate([judgements.a, judgements.b])
    user = np.concatenate([judgements.user, judgements.user])
    joint = np.concatenate([vectors[text], words[user]], axis=1)
    n = len(judgements)
    apart = dataclasses.replace(judgements, a=np.arange(n), b=np.arange(n) + n, pair=np.arange(n))
    told = fit_shared_head(apart, joint, 1.0).weights[0]
    plain = fit_shared_head(judgements, vectors, 1.0).weights[0]
    d = vectors.shape[1]
    assert np.allclose(told[:d], plain, atol=1e-8)
    assert np.allclose(told[d:], 0, atol=1e-8)
    scale = pair_problem(apart, joint).pooled_scale()
    assert scale == pytest.approx(pair_problem(judgements, vectors).pooled_scale())


def test_ids_tell_camps_apart_and_opposite_ids_mislead(
    fitted: Conditional, camps: Preferences
) -> None:
    """RM-04 (c)."""
    assert right(fitted, camps) >= 0.9
    assert right(fitted, camps, wrong=True) <= 0.1


def test_other_names_for_the_same_people_learn_as_well(
    camps: Preferences, ctx: TrainContext
) -> None:
    """RM-04 (b): names are arbitrary; other ones move figures by chance alone."""
    names = dict(zip(CAMPS, np.random.default_rng(0).permutation(list(CAMPS)), strict=True))
    swapped = camps.votes.with_columns(
        pl.col("user_id").cast(pl.String).replace_strict(names).cast(pl.Categorical)
    )
    method = Conditional().fit(dataclasses.replace(camps, votes=swapped), ctx)
    shares = []
    for before, after in names.items():
        likes = (margins(method, camps, str(after)) > 0).mean()
        shares.append(likes if before.startswith("nice") else 1 - likes)
    assert np.mean(shares) >= 0.9


def test_nobody_is_the_population_by_dropout(ctx: TrainContext) -> None:
    """Three in four like it warm, in every pair: for nobody each pair has just that probability.

    The design leaves nothing to chance: everybody judges every pair five times, without noise, and
    the penalty lets the fit reach its minimum within its steps. At a tenth of it the fit ends on
    the way there, and where depends on the rounding of the features.
    """
    warm = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0}
    rows = [(user, n, c, like) for user, like in warm.items() for n in NICE for c in COLD]
    prefs = table(rows * 5)
    method = Conditional(Config(l2=1.0)).fit(prefs, ctx)
    assert expit(margins(method, prefs, None)) == pytest.approx(0.75, abs=0.03)
    assert np.array_equal(margins(method, prefs, "stranger"), margins(method, prefs, None))
    compat = Conditional(Config(l2=1.0, id_dropout=0)).fit(prefs, ctx)
    assert any("never seen" in note for note in compat.notes)
    assert abs(expit(margins(compat, prefs, None)) - 0.75).max() > 0.1


def test_rows_of_nobody_train_nobody(camps: Preferences, ctx: TrainContext) -> None:
    nameless = judged({"x": 1.0}, 200)
    nameless = dataclasses.replace(
        nameless,
        votes=nameless.votes.with_columns(
            user_id=pl.lit(None, dtype=pl.Categorical),
            occurrence=pl.int_range(pl.len()).over("pair_id").cast(pl.UInt16),
        ),
    )
    method = Conditional().fit(merged(camps, nameless), ctx)
    assert (margins(method, camps, None) > 0).all()
    assert right(method, camps) >= 0.9


def test_a_newcomer_moves_nobody(
    fitted: Conditional, camps: Preferences, ctx: TrainContext
) -> None:
    cold = table([("new", "a lovely day, thank you", "the law is specified", 0.0)] * 4)
    warm = table([("other", "a lovely day, thank you", "the law is specified", 1.0)] * 4)
    alone, both = (
        fitted.adapt(support_view(cold), ctx),
        fitted.adapt(support_view(merged(cold, warm)), ctx),
    )
    assert (margins(alone, camps, "new") < 0).mean() > 0.8
    assert (margins(both, camps, "other") > 0).mean() > 0.8
    assert np.array_equal(margins(alone, camps, "new"), margins(both, camps, "new"))
    for user in (*fitted.users, None):
        assert np.array_equal(margins(both, camps, user), margins(fitted, camps, user))


def test_a_fine_tuned_model_says_that_it_never_saw_a_newcomer(ctx: TrainContext) -> None:
    prefs = judged({"a": 1.0, "b": 0.0}, 4)
    method = Conditional(Config(**FAST)).fit(prefs, ctx)  # type: ignore[arg-type]
    new = judged({"c": 1.0}, 4)
    adapted = method.adapt(support_view(new), ctx)
    assert adapted.users == ("a", "b", "c")
    assert adapted.notes[-1].startswith("1 users that training did not show")
    own, as_stranger = margins(adapted, prefs, "c"), margins(method, prefs, "c")
    assert not np.array_equal(own, as_stranger)
    assert np.array_equal(margins(adapted, prefs, "a"), margins(method, prefs, "a"))


def test_no_name_can_pass_for_another() -> None:
    names = [
        "0", "u 1", 'u 1"', "u\n1", "u\\n1", "<|im_end|>", "< |im_end|>", "[INST]", "\u00e9",
        "e\u0301", "\ud800", "🙂", "\\u{a}", "\n",
    ]  # fmt: skip
    lines = [id_line(name) for name in names]
    assert len(set(lines)) == len(names)
    assert NOBODY not in lines
    assert id_line("0") == 'User ID: "0"'
    assert id_line("ann-3@x.org") == 'User ID: "ann-3@x.org"'
    for line in lines:
        assert line.count('"') == 2
        assert not set("<>[|\n") & set(line)


def test_a_preamble_is_written_once_a_text() -> None:
    texts = Texts([[{"role": "user", "content": "q"}], []], ["x", "y"])
    asked, where = with_preambles(texts, np.array([1, 0, 1, 0]), ["p", None, "p", "p"])
    assert where.tolist() == [0, 1, 0, 2]
    assert asked.responses == ["y", "x", "x"]
    assert [[m["content"] for m in prompt] for prompt in asked.prompts] == [
        ["p"],
        ["q"],
        ["p", "q"],
    ]


def test_every_bad_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        Config(hidden=0, id_dropout=1.0)
    assert error.value.problems == [
        "'hidden' is 0, expected 1 or more",
        "'id_dropout' is 1.0, expected 0 to below 1",
    ]
    with pytest.raises(ValueError, match="after fit"):
        Conditional().save(tmp_path)
