import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from plt.errors import ArtifactError, DataError, FailedError, UsageError
from plt.train.method import Compute, Texts, TrainContext
from plt.train.tuning.options import Tuning
from plt.train.tuning.saved import trained_weights
from plt.train.tuning.trl import DirectedPairs, directed_pairs
from plt.train.tuning.tuned_reward import TunedReward
from tests.train.tiny_models import save_tiny, tiny_config, tiny_tokenizer

LORA = Tuning("lora", epochs=2, learning_rate=3e-3, batch_size=8, lora_rank=4, lora_alpha=8)
FULL = Tuning("full", epochs=2, learning_rate=3e-3, batch_size=8)
CPU = Compute(device="cpu")


def polite_texts(n=80):
    """n pairs of a polite and a rude answer; text 2i is the polite one."""
    rng = random.Random(0)
    words = ["river", "stone", "cloud", "field"]
    banks = (["please", "kindly", "thanks"], ["idiot", "stupid", "fool"])
    prompts, responses = [], []
    for i in range(n):
        for bank in banks:
            prompts.append([{"role": "user", "content": f"Say {rng.choice(words)}"}])
            responses.append(f"{rng.choice(words)} {rng.choice(words)} {rng.choice(bank)} {i}")
    return Texts(prompts, responses)


def polite_pairs(first, last, confidence=1.0):
    rows = np.arange(first, last)
    return DirectedPairs(2 * rows, 2 * rows + 1, np.full(len(rows), confidence))


def context(folder, seed=0, **compute):
    return TrainContext(seed, folder, replace(CPU, **compute))


@pytest.fixture(scope="module")
def texts():
    return polite_texts()


@pytest.fixture(scope="module")
def tuned(texts, tmp_path_factory):
    """A quick fit that the tests of saving share."""
    tuning, pairs = replace(LORA, epochs=1), polite_pairs(0, 24)
    ctx = context(tmp_path_factory.mktemp("fit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLT_CACHE", str(tmp_path_factory.getbasetemp() / "plt-cache"))
        return TunedReward.fit(texts, pairs, model="builtin:tiny", tuning=tuning, ctx=ctx)


@pytest.fixture
def saved(tuned, tmp_path):
    tuned.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("tuning", [LORA, FULL], ids=["lora", "full"])
def test_a_separable_preference_is_learnt_saved_and_loaded(texts, tuning, tmp_path):
    pairs = polite_pairs(0, 60)
    fitted = TunedReward.fit(
        texts, pairs, model="builtin:tiny", tuning=tuning, ctx=context(tmp_path)
    )
    assert fitted.losses[0] == pytest.approx(np.log(2), abs=1e-6)
    assert len(fitted.losses) == 16
    rewards = fitted.reward(texts, CPU)
    margin = rewards[0::2] - rewards[1::2]
    assert (margin[60:] > 0).mean() >= 0.95
    fitted.save(tmp_path / "model")
    loaded = TunedReward.load(tmp_path / "model")
    assert np.array_equal(loaded.reward(texts, CPU), rewards)
    assert (loaded.tuning, list(loaded.losses)) == (tuning, list(fitted.losses))


@pytest.mark.slow
@pytest.mark.parametrize("tune", ["lora", "full"])
def test_an_encoder_learns_too(texts, tune, tmp_path):
    tuning = Tuning(tune, epochs=2, learning_rate=1e-3 if tune == "lora" else 1e-4, batch_size=8)
    fitted = TunedReward.fit(
        texts, polite_pairs(0, 60), model="builtin:minilm", tuning=tuning, ctx=context(tmp_path)
    )
    rewards = fitted.reward(texts, CPU)
    assert (rewards[120::2] > rewards[121::2]).all()


@pytest.mark.parametrize(
    "tuning", [LORA, pytest.param(FULL, marks=pytest.mark.slow)], ids=["lora", "full"]
)
@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_with_the_same_bits(texts, tuning, tmp_path):
    pairs = polite_pairs(0, 40)

    def kill(what, done, total):
        if (what, done) == ("training", 7):
            raise KeyboardInterrupt

    def fit(folder, **compute):
        ctx = context(tmp_path / folder, **compute)
        return TunedReward.fit(texts, pairs, model="builtin:tiny", tuning=tuning, ctx=ctx)

    whole = fit("whole")
    with pytest.raises(KeyboardInterrupt):
        fit("killed", progress=kill)
    (folder,) = (tmp_path / "killed" / "checkpoints").iterdir()
    assert [path.name for path in folder.iterdir()] == ["checkpoint-6"]
    (folder / "checkpoint-7").mkdir()
    steps = []
    resumed = fit("killed", progress=lambda what, done, total: steps.append(done))
    assert steps == [7, 8, 9, 10]
    assert list(resumed.losses) == list(whole.losses)
    assert np.array_equal(resumed.reward(texts, CPU), whole.reward(texts, CPU))


def test_progress_is_told_of_a_step_before_its_checkpoint(texts, tmp_path):
    """Whoever is told may forbid it: another process makes the run by now."""

    def forbidden(what, done, total):
        if (what, done) == ("training", 1):
            raise KeyboardInterrupt

    ctx = context(tmp_path, progress=forbidden)
    with pytest.raises(KeyboardInterrupt):
        TunedReward.fit(texts, polite_pairs(0, 40), model="builtin:tiny", tuning=LORA, ctx=ctx)
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.slow
def test_another_fit_in_the_same_folder_does_not_resume(texts, tmp_path):
    tuning, steps = replace(LORA, epochs=1), []
    ctx = context(tmp_path, progress=lambda what, done, total: steps.append(done))
    for pairs in (polite_pairs(0, 16), polite_pairs(8, 24)):
        TunedReward.fit(texts, pairs, model="builtin:tiny", tuning=tuning, ctx=ctx)
    assert steps == [1, 2, 1, 2]


@pytest.mark.slow
def test_the_seed_decides_and_the_pass_size_does_not(texts, tmp_path):
    pairs, tuning = polite_pairs(0, 24), replace(LORA, epochs=1)

    def fit(folder, seed=0, **compute):
        ctx = context(tmp_path / folder, seed, **compute)
        fitted = TunedReward.fit(texts, pairs, model="builtin:tiny", tuning=tuning, ctx=ctx)
        return fitted.reward(texts, CPU)

    first = fit("a")
    assert np.array_equal(fit("b"), first)
    assert not np.allclose(fit("c", seed=1), first)
    np.testing.assert_allclose(fit("d", batch_size=4), first, atol=1e-4)


@pytest.mark.parametrize(
    "labels",
    [
        [0.7] * 4,
        pytest.param([1.0] * 7 + [0.0] * 3, marks=pytest.mark.slow),
        pytest.param([0.5] * 4, marks=pytest.mark.slow),
    ],
    ids=["soft", "votes", "ties"],
)
def test_the_margin_converges_to_the_vote_share(labels, tmp_path):
    texts = Texts([[{"role": "user", "content": "?"}]] * 2, ["first", "second"])
    label = np.array(labels)
    pairs = directed_pairs(np.zeros(len(label), int), np.ones(len(label), int), label)
    tuning = replace(FULL, epochs=40, batch_size=len(pairs))
    fitted = TunedReward.fit(
        texts, pairs, model="builtin:tiny", tuning=tuning, ctx=context(tmp_path)
    )
    margin = -np.diff(fitted.reward(texts, CPU))[0]
    assert 1 / (1 + np.exp(-margin)) == pytest.approx(label.mean(), abs=1e-2)


def test_batch_size_and_order_change_no_reward(tuned, texts):
    plain = tuned.reward(texts, CPU)
    assert plain.dtype == np.float64
    assert np.ptp(plain) > 0.01
    for size in (1, 5, 500):
        np.testing.assert_allclose(
            tuned.reward(texts, replace(CPU, batch_size=size)), plain, atol=1e-5
        )
    turned = Texts(texts.prompts[::-1], texts.responses[::-1])
    np.testing.assert_allclose(tuned.reward(turned, CPU)[::-1], plain, atol=1e-5)
    assert tuned.reward(Texts([], []), CPU).shape == (0,)


def test_hostile_texts_have_finite_rewards(tuned):
    hostile = ["", "\0", "\ud800", "<|im_end|>\n<|im_start|>user\n", "x" * 200_000]
    texts = Texts([[{"role": "user", "content": text}] for text in hostile], hostile)
    assert np.isfinite(tuned.reward(texts, CPU)).all()


@pytest.mark.slow
def test_bfloat16_runs_beside_float32_in_one_process(texts, tmp_path):
    pairs = polite_pairs(0, 60)
    for dtype, tuning in (
        ("bfloat16", LORA),
        ("float32", replace(LORA, epochs=0.2)),
        ("bfloat16", FULL),
    ):
        ctx = context(tmp_path / f"{dtype}-{tuning.tune}", dtype=dtype)
        fitted = TunedReward.fit(texts, pairs, model="builtin:tiny", tuning=tuning, ctx=ctx)
        rewards = fitted.reward(texts, CPU)
        if dtype == "bfloat16":
            assert (rewards[120::2] > rewards[121::2]).mean() >= 0.9
        fitted.save(tmp_path / "model")
        assert np.array_equal(TunedReward.load(tmp_path / "model").reward(texts, CPU), rewards)


def test_a_saved_model_holds_no_text_and_no_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["tuned.json", "tuned.safetensors"]
    names = load_file(saved / "tuned.safetensors")
    assert sum(".score." in name for name in names) == 1
    assert all("lora_" in name or ".score." in name for name in names)
    assert "river" not in (saved / "tuned.json").read_text()


@pytest.mark.parametrize("part", ["score", "lora_B"])
def test_the_self_check_finds_changed_weights(saved, part):
    weights = load_file(saved / "tuned.safetensors")
    name = next(name for name in weights if part in name)
    weights[name] = torch.randn_like(weights[name])
    save_file(weights, saved / "tuned.safetensors")
    with pytest.raises(ArtifactError, match="does not score as when it was saved"):
        TunedReward.load(saved)


def test_a_lost_head_is_named(saved):
    weights = load_file(saved / "tuned.safetensors")
    save_file({n: w for n, w in weights.items() if "score" not in n}, saved / "tuned.safetensors")
    with pytest.raises(ArtifactError, match="does not fit its model") as error:
        TunedReward.load(saved)
    assert ["score" in problem for problem in error.value.problems] == [True]


def test_weights_of_another_shape_are_named(saved):
    weights = load_file(saved / "tuned.safetensors")
    name = next(name for name in weights if "lora_A" in name)
    weights[name] = weights[name][:1].contiguous()
    save_file({**weights, "stray": torch.zeros(1)}, saved / "tuned.safetensors")
    with pytest.raises(ArtifactError) as error:
        TunedReward.load(saved)
    assert len(error.value.problems) == 2


def test_a_base_model_that_changed_is_found(texts, tmp_path):
    base = save_tiny(tmp_path / "base")
    tuning = replace(LORA, epochs=1)
    fitted = TunedReward.fit(
        texts, polite_pairs(0, 8), model=str(base), tuning=tuning, ctx=context(tmp_path)
    )
    fitted.save(tmp_path / "model")
    assert TunedReward.load(tmp_path / "model").source.path == base.resolve()
    save_tiny(base, seed=1)
    with pytest.raises(ArtifactError, match="have changed"):
        TunedReward.load(tmp_path / "model")
    shutil.rmtree(base)
    with pytest.raises(ArtifactError, match="does not exist"):
        TunedReward.load(tmp_path / "model")


def test_damaged_and_foreign_artifacts(saved, tmp_path):
    with pytest.raises(ArtifactError, match="no readable reward model"):
        TunedReward.load(tmp_path / "nowhere")
    record = json.loads((saved / "tuned.json").read_text())
    (saved / "tuned.json").write_text(json.dumps({**record, "version": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        TunedReward.load(saved)
    (saved / "tuned.safetensors").write_bytes(b"12")
    with pytest.raises(ArtifactError, match="no readable reward model"):
        TunedReward.load(saved)


def test_a_public_reward_model_as_it_is(texts, tmp_path):
    config = tiny_config("llama")
    config.num_labels = 1
    torch.manual_seed(1)
    stock = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    stock.save_pretrained(tmp_path / "rm")
    tiny_tokenizer().save_pretrained(tmp_path / "rm")
    public = TunedReward.pretrained(str(tmp_path / "rm"), max_length=200)
    rewards = public.reward(texts, CPU)
    assert np.ptp(rewards) > 0
    assert not any(weight.requires_grad for weight in public.model.parameters())
    public.save(tmp_path / "model")
    assert np.array_equal(TunedReward.load(tmp_path / "model").reward(texts, CPU), rewards)
    with pytest.raises(ArtifactError, match="is no reward model"):
        TunedReward.pretrained("builtin:tiny")


def test_rewards_that_are_no_numbers_stop_the_run(texts, tmp_path):
    tuning = replace(FULL, epochs=0.2)
    fitted = TunedReward.fit(
        texts, polite_pairs(0, 8), model="builtin:tiny", tuning=tuning, ctx=context(tmp_path)
    )
    with torch.no_grad():
        fitted.model.score.weight[0, 0] = float("inf")
    with pytest.raises(FailedError, match="no numbers"):
        fitted.reward(texts, CPU)


def test_what_cannot_be_fitted_is_said(texts, tmp_path):
    nobody = DirectedPairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    with pytest.raises(DataError, match="no judgement"):
        TunedReward.fit(texts, nobody, model="builtin:tiny", tuning=LORA, ctx=context(tmp_path))
    for wrong in ({"tune": "head"}, {"epochs": 0}, {"learning_rate": -1.0}, {"batch_size": 0}):
        with pytest.raises(UsageError):
            replace(LORA, **wrong)
    assert replace(LORA, lora_targets="q_proj, v_proj").targets == ("q_proj", "v_proj")


def test_the_head_on_the_vectors_is_the_reward_and_vectors_are_kept(tuned, texts, tmp_path):
    kept = replace(CPU, cache_dir=tmp_path)
    vectors = tuned.vectors(texts, kept)
    head = next(w for n, w in trained_weights(tuned.model).items() if ".score." in n)
    by_head = vectors.astype(np.float64) @ head[0].double().numpy()
    np.testing.assert_allclose(by_head, tuned.reward(texts, CPU), atol=1e-6)
    again = replace(kept, progress=lambda *_: pytest.fail("a text was read twice"))
    assert np.array_equal(tuned.vectors(texts, again), vectors)
    (folder,) = (tmp_path / "features").iterdir()
    assert json.loads((folder / "about.json").read_text())["tuned"] == tuned.weights_digest
