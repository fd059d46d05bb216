import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.errors import ArtifactError, FailedError, UsageError
from plt.train.models.backbone import (
    _four_bits,
    align,
    last_real,
    load_backbone,
    load_body,
    pad_batch,
    pool,
)
from plt.train.models.source import ARCHITECTURES, resolve_model
from plt.train.runtime.devices import resolve_device, resolve_dtype
from tests.train.tiny_models import save_tiny, tiny_body

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(lengths=LENGTHS, data=st.data())
def test_align_brings_real_tokens_to_the_front_wherever_the_padding_is(lengths, data):
    width = max(lengths) + 3
    tokens, mask = torch.full((len(lengths), width), 7), torch.zeros(len(lengths), width).long()
    for row, n in enumerate(lengths):
        left = data.draw(st.integers(0, width - n))
        tokens[row, left : left + n] = torch.arange(10, 10 + n)
        mask[row, left : left + n] = 1
    moved, real = align(tokens, mask)
    for row, n in enumerate(lengths):
        assert moved[row, :n].tolist() == list(range(10, 10 + n))
        assert real[row].tolist() == [1] * n + [0] * (width - n)
    assert last_real(real).tolist() == [n - 1 for n in lengths]


@pytest.mark.parametrize("left", range(8))
@pytest.mark.parametrize("model_type", ["llama", "gpt2", "opt", "gpt_neo", "bert", "roberta"])
def test_left_padding_changes_no_vector(model_type, left):
    body = tiny_body(model_type)
    rows = [np.arange(4, 4 + n, dtype=np.int32) for n in (5, 12)]
    plain = pad_batch(rows)
    # The padding token here is one that also stands in the texts, as where pad equals eos.
    sides = (left, 7 - left)
    fills = zip(plain, (4, 0), strict=True)
    tokens, mask = (torch.nn.functional.pad(x, sides, value=v) for x, v in fills)
    with torch.inference_mode():
        found = [
            pool(body(input_ids=t, attention_mask=m).last_hidden_state, m, "last", False)
            for t, m in (align(*plain), align(tokens, mask))
        ]
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_every_listed_architecture_reads_the_same_in_any_batch(model_type):
    body, known = tiny_body(model_type), ARCHITECTURES[model_type]
    rows = [np.arange(4, 4 + n, dtype=np.int32) for n in (3, 9, 30)]
    pooling = "last" if known.causal else "mean"
    with torch.inference_mode():
        tokens, mask = pad_batch(rows)
        states = body(input_ids=tokens, attention_mask=mask).last_hidden_state
        together = pool(states, mask, pooling, False)
        for row, vector in zip(rows, together, strict=True):
            tokens, mask = pad_batch([row])
            states = body(input_ids=tokens, attention_mask=mask).last_hidden_state
            alone = pool(states, mask, pooling, False)[0]
            torch.testing.assert_close(alone, vector, atol=1e-5, rtol=0)


@given(lengths=LENGTHS)
@settings(deadline=None)
def test_pooling_reads_real_tokens_only(lengths):
    generator = torch.Generator().manual_seed(sum(lengths))
    states = torch.randn(len(lengths), max(lengths) + 2, 3, generator=generator)
    mask = torch.tensor([[1] * n + [0] * (states.shape[1] - n) for n in lengths])
    rows = [states[row, :n] for row, n in enumerate(lengths)]
    expected = {
        "last": [row[-1] for row in rows],
        "cls": [row[0] for row in rows],
        "mean": [row.mean(0) for row in rows],
        "max": [row.amax(0) for row in rows],
    }
    for pooling, vectors in expected.items():
        plain = torch.stack(vectors)
        torch.testing.assert_close(pool(states, mask, pooling, False), plain)
        unit = pool(states, mask, pooling, True)
        torch.testing.assert_close(unit * plain.norm(dim=1, keepdim=True), plain)


@pytest.mark.parametrize("model", ["builtin:tiny", "builtin:minilm"])
def test_batch_size_changes_no_embedding(model):
    backbone = load_backbone(model, "cpu")
    prompts = [[{"role": "user", "content": "q" * n}] for n in (1, 40, 7)]
    ids = backbone.encoder.encode(prompts, ["A short one.", "word " * 60, ""])
    together = backbone.embed(ids)
    assert together.dtype == np.float32
    for row, vector in zip(ids, together, strict=True):
        np.testing.assert_allclose(backbone.embed([row])[0], vector, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_sentence_encoder_gives_its_own_embedding():
    from sentence_transformers import SentenceTransformer

    source = resolve_model("builtin:minilm")
    texts = ["Tea is made of leaves.", "", "word " * 150]
    theirs = SentenceTransformer(str(source.path), device="cpu").encode(texts)
    backbone = load_backbone("builtin:minilm", "cpu")
    ours = backbone.embed(backbone.encoder.encode([[]] * 3, texts))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_states_that_are_no_numbers_stop_the_run(tmp_path):
    body = tiny_body("llama")
    with torch.no_grad():
        body.norm.weight.fill_(float("nan"))
    save_tiny(tmp_path / "nan")
    body.save_pretrained(tmp_path / "nan")
    backbone = load_backbone(str(tmp_path / "nan"), "cpu")
    with pytest.raises(FailedError, match="no numbers"):
        backbone.embed(backbone.encoder.encode([[]], ["x"]))


def test_the_pooler_of_bert_is_not_part_of_the_body(tmp_path):
    source = resolve_model(str(save_tiny(tmp_path / "bert", "bert", causal=False)))
    assert load_body(source, torch.float32).pooler is None
    assert resolve_model("builtin:minilm").model_type == "bert"


def test_a_model_without_tokenizer(tmp_path):
    tiny_body("llama").save_pretrained(tmp_path / "bare")
    with pytest.raises(ArtifactError, match="tokenizer"):
        load_backbone(str(tmp_path / "bare"), "cpu")


def test_devices_and_dtypes():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    for wrong in ("gpu", "cuda:99", "xpu"):
        with pytest.raises(UsageError, match="no device"):
            resolve_device(wrong)
    assert resolve_dtype("bfloat16") == torch.bfloat16
    with pytest.raises(UsageError, match="no dtype 'int8'"):
        resolve_dtype("int8")


def test_four_bits_are_those_of_the_qlora_paper() -> None:
    """The configuration alone: bitsandbytes, which obeys it, is not installed here."""
    four_bits = _four_bits()
    assert four_bits.load_in_4bit
    assert four_bits.bnb_4bit_quant_type == "nf4"
    assert four_bits.bnb_4bit_use_double_quant
    assert four_bits.bnb_4bit_compute_dtype == torch.bfloat16
