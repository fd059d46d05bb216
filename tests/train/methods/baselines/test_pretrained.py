from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from plt.data.cache import cache_dir
from plt.errors import ArtifactError
from plt.train.judgements import distinct_texts, training_view
from plt.train.method import FloatArray, TrainContext
from plt.train.methods.baselines.pretrained import Config, Pretrained
from plt.train.models.embedded.tiny import tiny_reward_model
from tests.contracts.population import population
from tests.train.methods.tables import judged
from tests.train.tiny_models import save_tiny


def rewards(method: Pretrained) -> FloatArray:
    texts, _, _ = distinct_texts(population().pairs)
    return method.reward(texts, np.arange(len(texts)), [None] * len(texts))


def test_more_training_rows_change_no_bit(ctx: TrainContext) -> None:
    """Its figures in the tables of Dong et al. are the same at 1k, 10k and 100k rows."""
    prefs = training_view(population())
    few = prefs.filter(pl.col("user_id") == "user 03")
    everything, little = (Pretrained().fit(part, ctx) for part in (prefs, few))
    assert np.ptp(rewards(everything)) > 0.1
    assert np.array_equal(rewards(everything), rewards(little))
    assert everything.public is not None
    assert not any(weight.requires_grad for weight in everything.public.model.parameters())


def test_it_is_the_stock_model_on_its_own_template(ctx: TrainContext) -> None:
    """One begin token, the template's turns, and the stock class's own pooling and head."""
    folder = tiny_reward_model(cache_dir())
    stock = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts, _, _ = distinct_texts(population().pairs)
    expected = []
    for prompt, response in zip(texts.prompts, texts.responses, strict=True):
        chat = [*prompt, {"role": "assistant", "content": response}]
        ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
        assert (ids["input_ids"] == tokenizer.bos_token_id).sum() == 1
        with torch.inference_mode():
            expected.append(stock(**ids).logits.item())
    found = rewards(Pretrained().fit(population(), ctx))
    assert np.allclose(found, expected, rtol=0, atol=1e-5)


def test_a_model_without_a_scalar_head_is_refused(ctx: TrainContext, tmp_path: Path) -> None:
    for model in ("builtin:tiny", "builtin:minilm", str(save_tiny(tmp_path / "m"))):
        with pytest.raises(ArtifactError, match="is no reward model") as error:
            Pretrained(Config(model=model)).fit(population(), ctx)
        assert error.value.hint == f"plt train --method bradley-terry --model {model}"


def test_a_model_that_is_one_of_the_users_is_said_to_be_contaminated(
    ctx: TrainContext, tmp_path: Path
) -> None:
    prefs = judged({"a": 1.0}, 2)
    of_models = replace(prefs, meta=replace(prefs.meta, dataset="personalllm:archetypes"))
    judge = tmp_path / "RM-Mistral-7B"
    judge.symlink_to(tiny_reward_model(cache_dir()), target_is_directory=True)
    suspect = Config(model=str(judge))
    assert any("contaminated" in note for note in Pretrained(suspect).fit(of_models, ctx).notes)
    for method, data in ((Pretrained(suspect), prefs), (Pretrained(), of_models)):
        assert not any("contaminated" in note for note in method.fit(data, ctx).notes)
