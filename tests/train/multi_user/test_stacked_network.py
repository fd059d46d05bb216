"""Gathered adapters against peft's, one user at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from plt.errors import FailedError
from plt.train.models.backbone import Batch, load_tokenizer, pad_batch
from plt.train.models.source import ARCHITECTURES, resolve_model
from plt.train.multi_user.stacked_network import (
    ONE_USER_A_PASS,
    Chosen,
    StackedLinear,
    StackedNetwork,
)
from plt.train.tuning.network import encoder_of, network
from plt.train.tuning.options import Tuning
from plt.train.tuning.saved import put_weights
from tests.train.tiny_models import save_tiny

LORA = Tuning("lora", lora_rank=3, lora_alpha=7)
MIXED = torch.tensor([0, 1, 1, 0, 2])
# Plain linear layers, transposed ones, fused ones, and an encoder; the other families are slow.
QUICK = ("llama", "gpt2", "bloom", "bert")
SHARED = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in ARCHITECTURES
    if name not in ONE_USER_A_PASS
]


def saved(folder: Path, model_type: str) -> str:
    return str(save_tiny(folder, model_type, causal=ARCHITECTURES[model_type].causal))


def three_users(stacked: StackedNetwork) -> torch.Tensor:
    """(3, P) weights at which adapters and heads all matter."""
    noise = torch.randn(3, stacked.size, generator=torch.Generator().manual_seed(5))
    return stacked.initial + noise * 0.3


def five_texts(model: str) -> Batch:
    source = resolve_model(model)
    encoder = encoder_of(load_tokenizer(source), source, 64)
    prompts = [[{"role": "user", "content": "why " * i}] for i in range(5)]
    return pad_batch(encoder.encode(prompts, ["because " * (1 + i % 3) for i in range(5)]))


def by_peft(model: str, stacked: StackedNetwork, row: torch.Tensor, batch: Batch) -> torch.Tensor:
    net = network(resolve_model(model), LORA, "float32")
    own = {name: weight[0] for name, weight in stacked.split(row.unsqueeze(0)).items()}
    put_weights(net, own, Path("here"))
    return net(input_ids=batch[0], attention_mask=batch[1]).logits[:, 0]


@pytest.mark.parametrize("model_type", SHARED)
def test_a_mixed_pass_gives_each_row_its_own_user(model_type: str, tmp_path: Path) -> None:
    model = saved(tmp_path, model_type)
    batch = five_texts(model)
    with torch.inference_mode():
        stacked = StackedNetwork.of(network(resolve_model(model), LORA, "float32"))
        assert stacked.shared_passes
        rows = three_users(stacked)
        mixed = stacked.rewards(batch, rows, MIXED)
        for user in range(3):
            own = by_peft(model, stacked, rows[user], batch)
            alone = stacked.rewards(batch, rows[user : user + 1])
            assert torch.allclose(alone, own, rtol=0, atol=1e-5)
            mine = user == MIXED
            assert torch.allclose(mixed[mine], own[mine], rtol=1e-5, atol=1e-5)
    assert mixed.std() > 0.01


def test_gradients_of_a_mixed_pass_are_those_of_every_user_alone(tmp_path: Path) -> None:
    model = saved(tmp_path, "llama")
    stacked = StackedNetwork.of(network(resolve_model(model), LORA, "float32"))
    rows, batch = three_users(stacked).requires_grad_(), five_texts(model)
    (mixed,) = torch.autograd.grad(stacked.rewards(batch, rows, MIXED).square().sum(), rows)
    for user in range(3):
        row = rows[user : user + 1].detach().requires_grad_()
        own = tuple(part[user == MIXED] for part in batch)
        (alone,) = torch.autograd.grad(stacked.rewards(own, row).square().sum(), row)
        size = alone.abs().max()
        assert (mixed[user] - alone[0]).abs().max() < 1e-5 * size
        assert size > 1e-3


def test_everybody_begins_without_effect_and_with_a_zero_head(tmp_path: Path) -> None:
    model = saved(tmp_path, "llama")
    stacked = StackedNetwork.of(network(resolve_model(model), LORA, "float32"))
    begins = stacked.split(stacked.initial.unsqueeze(0))
    assert [name for name, weight in begins.items() if not weight.any()] == [
        name for name in begins if "lora_A" not in name
    ]
    assert not torch.any(stacked.rewards(five_texts(model), stacked.initial.unsqueeze(0)))
    assert not any(weight.requires_grad for weight in stacked.model.parameters())


def test_layers_that_read_no_rows_are_not_shared(tmp_path: Path) -> None:
    """DeBERTa adapts relative positions with the layers of its tokens."""
    model = saved(tmp_path / "deberta", "deberta-v2")
    stacked = StackedNetwork.of(network(resolve_model(model), LORA, "float32"))
    assert not stacked.shared_passes
    rows, batch = three_users(stacked), five_texts(model)
    with torch.inference_mode():
        own = by_peft(model, stacked, rows[1], batch)
        assert torch.allclose(stacked.rewards(batch, rows[1:2]), own, atol=1e-5)
    unknown = replace(resolve_model(saved(tmp_path / "llama", "llama")), model_type="novel")
    named = replace(LORA, lora_targets="q_proj,v_proj")
    assert not StackedNetwork.of(network(unknown, named, "float32")).shared_passes
    weights = {f"x.lora_{part}.default.weight": torch.ones(2, 3, 3) for part in "AB"}
    layer = StackedLinear(torch.nn.Linear(3, 3), "x", 1.0, Chosen(weights, torch.tensor([0, 1])))
    with pytest.raises(FailedError, match="row by row"):
        layer(torch.ones(3, 3))


def test_half_precision_bodies_keep_adapters_and_heads_in_float32(tmp_path: Path) -> None:
    model = saved(tmp_path, "llama")
    stacked = StackedNetwork.of(network(resolve_model(model), LORA, "bfloat16"))
    assert {weight.dtype for weight in stacked.model.parameters()} == {torch.bfloat16}
    assert stacked.initial.dtype == torch.float32
    rows = three_users(stacked)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = stacked.rewards(five_texts(model), rows, MIXED)
    full = StackedNetwork.of(network(resolve_model(model), LORA, "float32"))
    with torch.inference_mode():
        expected = full.rewards(five_texts(model), rows, MIXED)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, rtol=0.1, atol=0.1)
