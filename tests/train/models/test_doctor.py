from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from plt.train.models.doctor import diagnose
from plt.train.models.source import ARCHITECTURES
from tests.train.tiny_models import save_tiny

EVERY = (
    "states are finite", "batch size", "padding side", "positions from the mask", "pooling",
    "one begin token", "truncation keeps the response",
)  # fmt: skip


@pytest.mark.parametrize(
    "model_type",
    ["llama", "gpt2", "opt", "bloom", "gpt_neo", "gemma2", "qwen3", "bert", "roberta", "mpnet"],
)
def test_models_of_many_architectures_are_read_as_they_must_be(
    model_type: str, tmp_path: Path
) -> None:
    causal = ARCHITECTURES[model_type].causal
    found = diagnose(str(save_tiny(tmp_path / "m", model_type, causal=causal)), "cpu")
    assert tuple(check.name for check in found.checks) == EVERY
    assert found.ok, [check for check in found.checks if not check.ok]
    assert found.facts["hidden_size"] == 32
    assert found.facts["kind"] == ("causal" if causal else "encoder")
    assert found.facts["pooling"] == ("last" if causal else "mean")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_reward_model_gives_the_rewards_of_the_stock_class(dtype: str) -> None:
    found = diagnose("builtin:tiny-reward", "cpu", dtype)
    (head,) = [check for check in found.checks if check.name == "reward head"]
    assert found.ok
    assert head.difference is not None
    assert 0 <= head.difference <= head.allowed
    assert found.facts["kind"] == "reward"
    assert found.facts["begin_tokens"] == ["<|bos|>"]


def test_without_a_template_texts_are_paragraphs(tmp_path: Path) -> None:
    found = diagnose(str(save_tiny(tmp_path / "m", chat_template=None)), "cpu", max_length=100)
    assert found.ok
    assert "paragraphs" in found.facts["template"]
    assert found.facts["end_tokens"] == ["<|im_end|>"]
    assert found.facts["max_length"] == 100


def test_states_that_are_no_numbers_fail_and_are_not_measured(tmp_path: Path) -> None:
    """Batch, padding and pooling cannot pass either where there is nothing to compare."""
    folder = save_tiny(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    found = diagnose(str(folder), "cpu")
    assert not found.ok
    by_name = {check.name: check for check in found.checks}
    assert by_name["states are finite"].difference == 4
    assert by_name["padding side"].difference is None
    assert not by_name["padding side"].ok
    assert by_name["one begin token"].ok


def test_an_architecture_without_listed_layers_has_none(tmp_path: Path) -> None:
    found = diagnose(str(save_tiny(tmp_path / "m", "starcoder2")), "cpu")
    assert found.ok
    assert found.facts["lora_targets"] is None
