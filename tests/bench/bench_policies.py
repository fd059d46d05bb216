"""A P-DPO step against TRL's own DPO step on the same pairs, at 128 tokens or more.

Run with `make bench`. Both train the same Llama-style model (d 128, 3 layers) with TRL; a step has
8 judgements of 128 tokens a response with its prompt. P-DPO passes every response twice, as the
user and as the generic user, with 10 soft tokens each.
"""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM
from trl import DPOTrainer

from plt.train.models.backbone import load_language_model
from plt.train.models.log_probs import Answer
from plt.train.models.source import ModelSource, resolve_model
from plt.train.policies.dpo_trainer import PolicyCollator, PolicyRows, PolicyTrainer, policy_dataset
from plt.train.tuning.trl import silenced
from tests.train.tiny_models import tiny_tokenizer
from tests.train.tiny_policies import arguments_for, make_network, objective

pytestmark = pytest.mark.bench

N_PAIRS, N_TOKENS, BEGINS, STEPS = 8, 128, 64, 6


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    tokenizer = tiny_tokenizer()
    config = AutoConfig.for_model(
        "llama", vocab_size=1000, hidden_size=128, intermediate_size=256, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return resolve_model(str(tmp_path / "model"))


def answers() -> list[Answer]:
    rng = np.random.default_rng(0)
    return [
        Answer(rng.integers(5, 260, N_TOKENS).astype(np.int32), BEGINS) for _ in range(2 * N_PAIRS)
    ]


class Stock(DPOTrainer):  # type: ignore[misc]
    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


def stock_step(source: ModelSource, folder: Path, *, cached: bool) -> Callable[[], None]:
    told = answers()
    columns: dict[str, Any] = {
        "prompt_ids": [told[2 * i].ids[:BEGINS].tolist() for i in range(N_PAIRS)],
        "chosen_ids": [told[2 * i].ids[BEGINS:].tolist() for i in range(N_PAIRS)],
        "rejected_ids": [told[2 * i + 1].ids[BEGINS:].tolist() for i in range(N_PAIRS)],
    }
    arguments = arguments_for(folder, pairs=N_PAIRS)
    arguments.precompute_ref_log_probs = cached
    with silenced():
        model = load_language_model(source, torch.float32)
        trainer = Stock(
            model=model,
            ref_model=None if cached else copy.deepcopy(model),
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            processing_class=tiny_tokenizer(),
        )
    return stepper(trainer)


def our_step(source: ModelSource, folder: Path, alpha: float, n_tokens: int) -> Callable[[], None]:
    rows = PolicyRows(
        chosen=2 * np.arange(N_PAIRS),
        rejected=2 * np.arange(N_PAIRS) + 1,
        confidence=np.ones(N_PAIRS),
        user=1 + np.arange(N_PAIRS) % 3,
        ref_chosen=np.zeros(N_PAIRS),
        ref_rejected=np.zeros(N_PAIRS),
    )
    with silenced():
        trainer = PolicyTrainer(
            objective=objective(alpha, personal=n_tokens > 0),
            users_rate=1e-2,
            model=make_network(source, n_tokens),
            args=arguments_for(folder, pairs=N_PAIRS),
            data_collator=PolicyCollator(answers()),
            train_dataset=policy_dataset(rows),
            processing_class=tiny_tokenizer(),
        )
    return stepper(trainer)


def stepper(trainer: Any) -> Callable[[], None]:
    """One training step, the optimiser's included."""
    trainer.create_optimizer()
    (batch,) = list(trainer.get_train_dataloader())

    def step() -> None:
        trainer.model.train()
        trainer.optimizer.zero_grad()
        trainer.compute_loss(trainer.model, dict(batch)).backward()
        trainer.optimizer.step()

    return step


def medians(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """CPU seconds of a step; the candidates take turns, so that a busy machine meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(STEPS):
        for name, step in steps.items():
            began = time.process_time()
            step()
            taken[name].append(time.process_time() - began)
    return {name: float(np.median(seconds[1:])) for name, seconds in taken.items()}


def test_a_p_dpo_step(source: ModelSource, tmp_path: Path) -> None:
    found = medians(
        {
            "TRL, reference computed": stock_step(source, tmp_path / "a", cached=False),
            "TRL, reference cached": stock_step(source, tmp_path / "b", cached=True),
            "P-DPO": our_step(source, tmp_path / "c", 0.5, 10),
            "alpha 0": our_step(source, tmp_path / "d", 0.0, 10),
            "alpha 1": our_step(source, tmp_path / "e", 1.0, 10),
        }
    )
    computed, cached = found["TRL, reference computed"], found["TRL, reference cached"]
    print()
    for name, seconds in found.items():
        print(
            f"{name}: {1000 * seconds:.0f} ms, {seconds / computed:.2f} x computed,"
            f" {seconds / cached:.2f} x cached"
        )
    assert found["P-DPO"] <= 1.6 * computed
    assert found["P-DPO"] <= 2.1 * cached
    assert found["alpha 0"] <= 1.1 * cached
    assert found["alpha 1"] <= 1.1 * cached
