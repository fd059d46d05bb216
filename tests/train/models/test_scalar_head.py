import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from plt.errors import ArtifactError, UsageError
from plt.train.models.backbone import load_backbone, pad_batch
from plt.train.models.scalar_head import RewardModel, add_lora, build_reward_model
from plt.train.models.source import resolve_model
from tests.train.tiny_models import save_tiny, tiny_body, tiny_config, tiny_tokenizer

MODELS = ["builtin:tiny", "builtin:minilm"]


def some_ids(model, n=4):
    encoder = load_backbone(model, "cpu").encoder
    prompts = [[{"role": "user", "content": "Why? " * i}] for i in range(n)]
    return encoder.encode(prompts, ["Because. " * (i + 1) for i in range(n)])


def with_random_head(model):
    net = build_reward_model(resolve_model(model), torch.float32)
    torch.manual_seed(0)
    torch.nn.init.normal_(net.score.weight, std=1 / math.sqrt(net.score.in_features))
    return net


@torch.inference_mode()
def rewards(net, tokens, mask):
    return net(input_ids=tokens, attention_mask=mask).logits[:, 0]


@pytest.mark.parametrize("model", MODELS)
def test_the_head_begins_at_zero(model):
    net = build_reward_model(resolve_model(model), torch.float32)
    found = rewards(net, *pad_batch(some_ids(model)))
    assert torch.equal(found, torch.zeros(4))
    assert -torch.nn.functional.logsigmoid(found[0] - found[1]) == pytest.approx(math.log(2))


@pytest.mark.parametrize("model", MODELS)
def test_a_reward_is_linear_in_the_frozen_features(model):
    net, backbone, ids = with_random_head(model), load_backbone(model, "cpu"), some_ids(model)
    expected = backbone.embed(ids) @ net.score.weight[0].detach().numpy() * net.scale
    assert net.scale == (math.sqrt(384) if backbone.source.normalize else 1.0)
    found = rewards(net, *pad_batch(ids)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("left", range(8))
def test_neither_padding_nor_batch_changes_a_reward(model, left):
    net, ids = with_random_head(model), some_ids(model)
    tokens, mask = pad_batch(ids)
    plain = rewards(net, tokens, mask)
    sides = (left, 7 - left)
    # 3 is the end token of builtin:tiny, which also stands in its texts: pad equals eos.
    moved = rewards(
        net,
        torch.nn.functional.pad(tokens, sides, value=3),
        torch.nn.functional.pad(mask, sides, value=0),
    )
    torch.testing.assert_close(moved, plain, atol=1e-5, rtol=0)
    alone = torch.cat([rewards(net, *pad_batch([row])) for row in ids])
    torch.testing.assert_close(alone, plain, atol=1e-5, rtol=0)


def test_swapping_the_responses_negates_the_margin():
    net = with_random_head("builtin:tiny")
    ids = some_ids("builtin:tiny", 2)
    one, two = rewards(net, *pad_batch(ids)), rewards(net, *pad_batch(ids[::-1]))
    torch.testing.assert_close(one[0] - one[1], -(two[0] - two[1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lora_trains_adapters_and_a_float32_head_and_nothing_else(dtype):
    net = add_lora(build_reward_model(resolve_model("builtin:tiny"), dtype), rank=2, alpha=4)
    trained = {n: p for n, p in net.named_parameters() if p.requires_grad}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    heads = [name for name in trained if ".score." in name]
    adapters = [name for name in trained if "lora_" in name]
    assert len(heads) == 1
    assert len(adapters) == 2 * 7 * 2
    assert len(trained) == len(heads) + len(adapters)
    frozen = [p for n, p in net.named_parameters() if ".body." in n and "lora_" not in n]
    assert {p.dtype for p in frozen} == {dtype}
    assert not any(p.requires_grad for p in frozen)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "gpt_neox", "opt"])
def test_lora_begins_at_no_effect_and_reaches_every_adapter(tmp_path, model_type):
    causal = model_type != "bert"
    model = str(save_tiny(tmp_path / "m", model_type, causal=causal))
    plain, tokens = with_random_head(model), pad_batch(some_ids(model))
    expected = rewards(plain, *tokens)
    adapted = add_lora(plain, rank=2, alpha=4)
    torch.testing.assert_close(rewards(adapted, *tokens), expected)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    adapted(input_ids=tokens[0], attention_mask=tokens[1]).logits.square().sum().backward()
    for name, weight in adapted.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name


def test_lora_targets_by_name():
    source = resolve_model("builtin:tiny")
    net = add_lora(
        build_reward_model(source, torch.float32), rank=1, alpha=1, targets=("all-linear",)
    )
    assert sum("lora_A" in name for name, _ in net.named_parameters()) == 2 * 7
    model = build_reward_model(source, torch.float32)
    with pytest.raises(UsageError, match="no linear layer named score, wte") as error:
        add_lora(model, rank=1, alpha=1, targets=("q_proj", "wte", "score"))
    assert "q_proj" in error.value.problems[0]


def test_an_unknown_architecture_trains_with_all_linear(tmp_path):
    source = resolve_model(str(save_tiny(tmp_path / "m", "helium")))
    model = build_reward_model(source, torch.float32)
    with pytest.raises(ArtifactError, match="no LoRA layers"):
        add_lora(model, rank=1, alpha=1)
    assert add_lora(model, rank=1, alpha=1, targets=("all-linear",)) is not None


def test_activation_checkpointing_changes_no_gradient():
    tokens, mask = pad_batch(some_ids("builtin:tiny"))
    gradients = []
    for checkpointing in (False, True):
        net = with_random_head("builtin:tiny").train()
        if checkpointing:
            net.gradient_checkpointing_enable()
        net(input_ids=tokens, attention_mask=mask).logits.square().sum().backward()
        gradients.append(net.body.embed_tokens.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0].abs().max() > 0


def test_a_reward_model_keeps_its_own_head(tmp_path):
    config = tiny_config("llama")
    config.num_labels = 1
    torch.manual_seed(1)
    stock = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    stock.save_pretrained(tmp_path / "rm")
    tiny_tokenizer().save_pretrained(tmp_path / "rm")
    net = build_reward_model(resolve_model(str(tmp_path / "rm")), torch.float32)
    tokens, mask = pad_batch(some_ids(str(tmp_path / "rm")))
    with torch.inference_mode():
        expected = stock(input_ids=tokens, attention_mask=mask).logits[:, 0]
    assert expected.abs().max() > 0
    torch.testing.assert_close(rewards(net, tokens, mask), expected)


def test_building_a_reward_model_leaves_the_body_as_it_was():
    body = tiny_body("llama")
    before = {name: weight.clone() for name, weight in body.state_dict().items()}
    RewardModel(body, resolve_model("builtin:tiny"))
    assert all(torch.equal(weight, before[name]) for name, weight in body.state_dict().items())
