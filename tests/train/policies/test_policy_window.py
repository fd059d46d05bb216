"""Texts that do not fit: what is cut is said, and soft tokens have positions of their own."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from plt.errors import UsageError
from plt.train.judgements import training_view
from plt.train.method import Compute, Texts, TrainContext
from plt.train.policies.fit import fit_policy
from plt.train.policies.settings import PersonalSettings, PolicySettings
from plt.train.policies.sft_fit import fit_language_model
from tests.contracts.population import population
from tests.train.tiny_models import save_tiny, tiny_config

POSITIONS = 64
CUT = "lose their middle"


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
@pytest.mark.slow
def test_soft_tokens_and_the_longest_text_fit_the_positions(
    model_type: str, tmp_path: Path
) -> None:
    """GPT-2 has a vector for each of its positions and none behind them; 64 hold no text here."""
    model = str(save_tiny(tmp_path / "m"))
    config = tiny_config(model_type, max_position_embeddings=POSITIONS, n_positions=POSITIONS)
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
    ctx = TrainContext(0, tmp_path, Compute(device="cpu"))
    view = training_view(population())

    def settings(n_tokens: int = 10, max_length: int | None = None) -> PersonalSettings:
        return PersonalSettings(model, "full", max_length, max_steps=1, n_tokens=n_tokens)

    policy, notes = fit_policy(view, settings(), ctx)
    assert policy.encoder.max_length == POSITIONS - 10
    assert any(CUT in note for note in notes)
    texts = Texts([[{"role": "user", "content": "Tea?"}]] * 2, ["Yes.", "No. " * 40])
    values = policy.log_probs(texts, np.arange(len(texts)), [None] * len(texts), ctx.compute)
    assert np.isfinite(values).all()
    with pytest.raises(UsageError, match="64 positions") as caught:
        fit_policy(view, settings(max_length=60), ctx)
    assert caught.value.hint == "--max-length 54"
    with pytest.raises(UsageError, match="leave 14 of the 64"):
        fit_policy(view, settings(n_tokens=50), ctx)
    whole = PolicySettings(model, "full", max_steps=1)
    sft, notes = fit_language_model(view, whole, ctx, chosen_only=True, whole=False)
    assert sft.encoder.max_length == POSITIONS
    assert any(CUT in note for note in notes)


def test_nothing_is_said_where_every_text_fits(tmp_path: Path) -> None:
    model = str(save_tiny(tmp_path / "m"))
    ctx = TrainContext(0, tmp_path, Compute(device="cpu"))
    settings = PersonalSettings(model, "full", max_steps=1)
    _, notes = fit_policy(training_view(population()), settings, ctx)
    assert not any(CUT in note for note in notes)
