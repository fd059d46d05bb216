"""`plt.train.features.statements`: what stands alone is read as what it is."""

import numpy as np
import pytest

from plt.train.features.frozen import features
from plt.train.features.statements import last_questions, statement_features
from plt.train.method import Compute, Texts


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


def test_an_encoder_reads_a_statement_as_a_response(compute: Compute) -> None:
    said = ["Who are you?", "User ID: 3", ""]
    found = statement_features(said, "builtin:minilm", compute, None)
    assert np.array_equal(found, features(Texts([[]] * 3, said), "builtin:minilm", compute))
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_causal_model_reads_a_statement_as_a_question(compute: Compute) -> None:
    found = statement_features(["Who are you?", "User ID: 3"], "builtin:tiny", compute, 64)
    asked = Texts([[{"role": "user", "content": "Who are you?"}]], [""])
    assert np.array_equal(found[:1], features(asked, "builtin:tiny", compute, max_length=64))
    assert np.abs(found[0] - found[1]).max() > 1e-6


def test_the_last_question_is_that_of_the_user() -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "so"},
        {"role": "user", "content": "last"},
    ]
    texts = Texts([chat, chat[:1], [], chat[:3]], ["a", "b", "c", "d"])
    assert last_questions(texts) == ["last", "", "", "first"]
