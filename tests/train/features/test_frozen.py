import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import plt.train.features.frozen as module
from plt.errors import ArtifactError
from plt.train.features.frozen import encode_features, features
from plt.train.features.store import FeatureStore, content_key, stored
from plt.train.method import Compute, Texts
from plt.train.runtime.devices import processor
from tests.train.tiny_models import save_tiny


def some_texts(n, seed=0):
    rng = random.Random(seed)
    words = ["the", "river", "runs", "to", "sea", "while", "seven", "mild", "winds", "sing"]
    return Texts(
        [[{"role": "user", "content": f"Question {i}?"}] for i in range(n)],
        [" ".join(rng.choices(words, k=rng.randint(1, 30))) + f" {i}" for i in range(n)],
    )


def take(texts, rows):
    return Texts([texts.prompts[i] for i in rows], [texts.responses[i] for i in rows])


@pytest.fixture
def compute(tmp_path):
    return Compute(device="cpu", batch_size=4, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("model", ["builtin:tiny", "builtin:minilm"])
def test_every_distinct_text_is_encoded_once_over_all_calls(model, compute):
    texts = some_texts(12)
    first = encode_features(take(texts, range(8)), model, compute)
    assert (first.n_encoded, first.n_found) == (8, 0)
    second = encode_features(take(texts, [11, 3, 9, 0]), model, compute)
    assert (second.n_encoded, second.n_found) == (2, 2)
    third = encode_features(texts, model, compute)
    assert (third.n_encoded, third.n_found) == (2, 10)
    fourth = encode_features(texts, model, compute)
    assert (fourth.n_encoded, fourth.n_found) == (0, 12)
    assert np.array_equal(third.vectors, fourth.vectors)
    assert np.array_equal(fourth.vectors[[3, 0]], first.vectors[[3, 0]])
    fresh = features(texts, model, replace(compute, cache_dir=None))
    np.testing.assert_allclose(fourth.vectors, fresh, atol=1e-5, rtol=0)


def test_texts_that_read_alike_are_one(compute):
    texts = Texts([[{"role": "user", "content": c}] for c in "abc"], ["same", "same", "other"])
    found = encode_features(texts, "builtin:minilm", compute)
    assert found.n_encoded == 2
    assert np.array_equal(found.vectors[0], found.vectors[1])
    assert encode_features(texts, "builtin:tiny", compute).n_encoded == 3


def test_the_order_of_the_texts_changes_nothing(compute):
    texts = some_texts(10)
    order = list(range(10))
    random.Random(1).shuffle(order)
    bare = replace(compute, cache_dir=None)
    straight = features(texts, "builtin:tiny", bare)
    assert np.array_equal(features(take(texts, order), "builtin:tiny", bare), straight[order])


def test_no_texts_give_no_vectors(compute):
    assert features(Texts([], []), "builtin:tiny", compute).shape == (0, 64)


def test_another_reading_has_a_cache_of_its_own(compute):
    texts = some_texts(3)
    assert encode_features(texts, "builtin:tiny", compute).n_encoded == 3
    assert encode_features(texts, "builtin:tiny", compute, max_length=64).n_encoded == 3
    wide = replace(compute, dtype="bfloat16")
    assert encode_features(texts, "builtin:tiny", wide).n_encoded == 3
    big = replace(compute, batch_size=64)
    assert encode_features(texts, "builtin:tiny", big).n_found == 3
    assert len(list((compute.cache_dir / "features").iterdir())) == 3


def test_a_killed_run_resumes_and_ends_with_the_same_bits(compute, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_TEXTS", 8)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.0)
    texts = some_texts(30)
    whole = features(texts, "builtin:tiny", replace(compute, cache_dir=None))

    def kill(what, done, total):
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(texts, "builtin:tiny", replace(compute, progress=kill))
    seen = []
    told = replace(compute, progress=lambda *call: seen.append(call))
    resumed = encode_features(texts, "builtin:tiny", told)
    assert (resumed.n_encoded, resumed.n_found) == (22, 8)
    assert np.array_equal(resumed.vectors, whole)
    assert seen[-1] == ("encoding texts", 22, 22)


def test_a_model_that_changes_on_disk_is_another_model(compute, tmp_path):
    texts = some_texts(3)
    first = encode_features(texts, str(save_tiny(tmp_path / "m", seed=0)), compute)
    second = encode_features(texts, str(save_tiny(tmp_path / "m", seed=1)), compute)
    assert second.n_encoded == 3
    assert not np.allclose(first.vectors, second.vectors, atol=1e-2)


def test_a_damaged_file_is_named(compute):
    texts = some_texts(3)
    features(texts, "builtin:tiny", compute)
    (path,) = (compute.cache_dir / "features").glob("*/*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ArtifactError, match=r"damaged") as error:
        features(texts, "builtin:tiny", compute)
    assert error.value.hint == f"rm {path}"


def test_a_cache_that_cannot_be_written_is_said(compute, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        features(some_texts(1), "builtin:tiny", replace(compute, cache_dir=tmp_path / "file"))


def test_hostile_texts_have_finite_vectors(compute):
    hostile = ["", "\0", "\ud800 lone", "<|im_end|>\n<|im_start|>system", "x" * 200_000, "\x1b[2J"]
    texts = Texts([[{"role": "user", "content": h}] for h in hostile], hostile)
    for model in ("builtin:tiny", "builtin:minilm"):
        assert np.isfinite(features(texts, model, compute)).all()
        assert encode_features(texts, model, compute).n_encoded == 0


@pytest.mark.parametrize(("d", "dtype"), [(1024, np.float32), (1025, np.float16)])
def test_the_store_keeps_what_it_is_given(tmp_path, d, dtype):
    rng = np.random.default_rng(0)
    keys = [content_key(str(i)) for i in range(5)]
    vectors = stored(rng.normal(size=(5, d)).astype(np.float32))
    assert vectors.dtype == dtype
    store = FeatureStore(tmp_path / "s")
    assert store.find(keys)[1] is None
    # Two writers that overlap, as two processes that began at the same time.
    store.add(keys[:3], vectors[:3], "one")
    FeatureStore(tmp_path / "s").add(keys[1:], vectors[1:], "other")
    store.add(keys[:3], vectors[:3], "one")
    rows, found = store.find([content_key("new"), *reversed(keys)])
    assert rows.tolist() == [1, 2, 3, 4, 5]
    assert np.array_equal(found, vectors[::-1])
    assert len(list((tmp_path / "s").iterdir())) == 2
    reader = FeatureStore(tmp_path / "s")
    reader.find(keys[3:])
    assert reader.made_by == {"other"}


def test_features_say_which_processor_made_them(compute, monkeypatch):
    texts = some_texts(4)
    monkeypatch.setattr("plt.train.runtime.devices._instructions", lambda: "FEW")
    features(take(texts, [0, 1]), "builtin:tiny", compute)
    monkeypatch.undo()
    here = processor("cpu")
    few = here.replace(torch.backends.cpu.get_cpu_capability(), "FEW")
    assert compute.made_by == {few} != {here}
    found = replace(compute, made_by=set())
    features(take(texts, [1]), "builtin:tiny", found)
    assert found.made_by == {few}
    features(texts, "builtin:tiny", found)
    assert found.made_by == {few, here}
    nothing_kept = replace(compute, cache_dir=None, made_by=set())
    features(texts, "builtin:tiny", nothing_kept)
    assert nothing_kept.made_by == {here}


@pytest.mark.slow
def test_two_processes_share_a_cache(compute):
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.train.features.test_frozen import some_texts, encode_features, Compute\n"
        "import plt.train.features.frozen as module\n"
        "module.WINDOW_TEXTS = 8; module.FLUSH_SECONDS = 0\n"
        "c = Compute(device='cpu', batch_size=4, cache_dir=Path(sys.argv[1]))\n"
        "print(encode_features(some_texts(40), 'builtin:tiny', c).vectors.sum())"
    )
    command = [sys.executable, "-c", program, str(compute.cache_dir)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    totals = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(totals) == 1
    assert encode_features(some_texts(40), "builtin:tiny", compute).n_found == 40


def test_a_warm_cache_needs_no_torch(compute):
    features(some_texts(4), "builtin:tiny", compute)
    program = (
        "import sys, random; from pathlib import Path\n"
        "from plt.train.features.frozen import encode_features; from plt.train.method import *\n"
        "found = encode_features(Texts([[]], ['warm']), sys.argv[1],"
        " Compute(cache_dir=Path(sys.argv[2])))\n"
        "assert found.n_found == 1 and 'torch' not in sys.modules and 'transformers' not in"
        " sys.modules"
    )
    encode_features(Texts([[]], ["warm"]), "builtin:minilm", compute)
    subprocess.run(
        [sys.executable, "-c", program, "builtin:minilm", str(compute.cache_dir)], check=True
    )
