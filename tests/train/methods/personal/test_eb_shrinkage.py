import numpy as np

from plt.train.features.frozen import features
from plt.train.heads.empirical_bayes import Prior, shrunken_heads
from plt.train.heads.head_table import HeadTable, fit_shared_head, user_problems
from plt.train.judgements import read_judgements, support_view
from plt.train.method import TrainContext
from plt.train.methods.personal.eb_shrinkage import Config, EbShrinkage
from plt.train.methods.population.bradley_terry import BradleyTerry
from tests.train.methods.tables import judged, table


def test_without_variance_everybody_is_vanilla(ctx: TrainContext) -> None:
    prefs = judged({"a": 0.9, "b": 0.2, "c": 0.7}, 20)
    fitted = EbShrinkage(Config(variance=0.0)).fit(prefs, ctx)
    vanilla = BradleyTerry().fit(prefs, ctx)
    assert fitted.table is not None
    assert isinstance(vanilla.reward_model, HeadTable)
    for head in (fitted.table.population, *fitted.table.heads):
        assert np.array_equal(head, vanilla.reward_model.population)


def test_much_variance_and_no_learning_is_everybody_alone(ctx: TrainContext) -> None:
    """Up to the shared head, whose weight vanishes against the prior's."""
    prefs = judged({"a": 0.9, "b": 0.2}, 20)
    fitted = EbShrinkage(Config(variance=1e4, iterations=0)).fit(prefs, ctx)
    judgements = read_judgements(prefs)
    vectors = features(judgements.texts, "builtin:minilm", ctx.compute)
    problems = user_problems(judgements, vectors, ("a", "b"))
    wide = np.eye(384) * 100 / problems.pooled_scale()
    assert fitted.table is not None
    shared = fit_shared_head(judgements, vectors, None).weights[0]
    assert np.allclose(fitted.table.heads, shrunken_heads(problems, Prior(shared, wide)))
    x = vectors[judgements.a].astype(np.float64) - vectors[judgements.b]
    alone = shrunken_heads(problems, Prior(np.zeros(384), wide))
    for code in (0, 1):
        mine = x[judgements.user == code]
        assert np.allclose(mine @ fitted.table.heads[code], mine @ alone[code], atol=0.05)


def test_a_user_with_few_answers_borrows_from_people_like_them(ctx: TrainContext) -> None:
    """Two camps; a newcomer shows two cold choices and is placed with the cold camp."""
    camps = {f"nice {i}": 0.95 for i in range(15)} | {f"cold {i}": 0.05 for i in range(15)}
    fitted = EbShrinkage().fit(judged(camps, 20), ctx)
    few = table([("new", "a lovely day, thank you", "as specified in the section", 0.0)] * 2)
    adapted = fitted.adapt(support_view(few), ctx)
    texts = read_judgements(judged({"x": 1.0}, 30)).texts
    nice = np.array([i for i, text in enumerate(texts.responses) if "lovely" in text])
    cold = np.array([i for i, text in enumerate(texts.responses) if "lovely" not in text])
    rewards = adapted.reward(texts, np.arange(len(texts)), ["new"] * len(texts))
    assert rewards[cold].min() > rewards[nice].max()
    strangers = adapted.reward(texts, np.arange(len(texts)), [None] * len(texts))
    assert abs(strangers[cold].mean() - strangers[nice].mean()) < 1.0


def test_the_margin_of_a_new_user_shrinks_with_the_number_of_answers(ctx: TrainContext) -> None:
    camps = {f"nice {i}": 0.9 for i in range(8)} | {f"cold {i}": 0.1 for i in range(8)}
    fitted = EbShrinkage().fit(judged(camps, 15), ctx)
    row = ("new", "a lovely day, thank you", "as specified in the section", 1.0)
    judgements = read_judgements(table([row]))
    margins = []
    for n in (0, 1, 3, 10):
        method = fitted.adapt(support_view(table([row] * n)), ctx) if n else fitted
        a, b = method.reward(
            judgements.texts, np.array([judgements.a[0], judgements.b[0]]), ["new", "new"]
        )
        margins.append((a - b) * (1 if judgements.label[0] == 1 else -1))
    assert margins == sorted(margins)


def test_few_validation_rows_leave_the_variance_to_evidence(ctx: TrainContext) -> None:
    """Of people who answer by coin nobody differs; two opposite camps do."""
    coins = judged({f"u{i}": 0.5 for i in range(12)}, 30)
    camps = judged({f"u{i}": 0.95 if i % 2 else 0.05 for i in range(12)}, 30)
    found = {}
    for name, prefs in (("coins", coins), ("camps", camps)):
        fitted = EbShrinkage().fit(prefs, ctx)
        assert "chosen by evidence" in fitted.notes[1]
        assert fitted.table is not None
        found[name] = float(np.abs(fitted.table.heads - fitted.table.population).max())
    assert found["coins"] < 0.1 * found["camps"]
