"""Supervised fine-tuning of a language model by TRL's trainer, on texts that stand in one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import SFTConfig, SFTTrainer

from plt.train.method import IntArray, Progress
from plt.train.models.log_probs import IGNORED, Answer, answer_batch
from plt.train.policies.dpo_trainer import Speed
from plt.train.tuning.trl import (
    ProgressCallback,
    common_arguments,
    one_device,
    refuse_divergence,
    run_to_the_end,
    silenced,
)

COLUMN = "text"


class AnswerCollator:
    """Batches of answers with labels, as TRL lays them out.

    Args:
        answers: Every answer that rows point at.
        whole: Whether the prompt is learnt as well as the response.
    """

    def __init__(self, answers: Sequence[Answer], whole: bool) -> None:
        self.answers = answers
        self.whole = whole

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Tokens, mask and labels (n, L)."""
        batch = answer_batch([self.answers[row[COLUMN]] for row in rows])
        learnt = batch.mask if self.whole else batch.response
        labels = batch.tokens.masked_fill(learnt == 0, IGNORED)
        return {"input_ids": batch.tokens, "attention_mask": batch.mask, "labels": labels}


class TextTrainer(SFTTrainer):  # type: ignore[misc]  # trl has no type stubs
    """TRL's SFT trainer on rows of indices, and loud on NaN."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = [COLUMN]

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Checkpoints are for resuming; a card in each would be noise."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """TRL's loss: mean over the tokens of a batch of -log pi(token)."""
        found = super().compute_loss(model, inputs, *args, **options)
        loss = found[0] if isinstance(found, tuple) else found
        refuse_divergence(loss, self.state.global_step)
        return found


def sft_arguments(
    folder: Path,
    speed: Speed,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    texts_per_pass: int,
) -> SFTConfig:
    """TRL's arguments, with nothing left to a default that differs between machines.

    Args:
        folder: Where checkpoints go.
        speed: Steps, rate, texts a step.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Forward passes run under autocast to it unless it is float32.
        texts_per_pass: Texts that fit into one forward pass.
    """
    with silenced():
        arguments = SFTConfig(
            **common_arguments(
                folder,
                speed.pairs_per_step,
                speed.steps,
                seed=seed,
                device=device,
                dtype=dtype,
                pairs_per_pass=texts_per_pass,
            ),
            max_steps=speed.steps,
            learning_rate=speed.rate,
            lr_scheduler_type="cosine",
            warmup_steps=speed.warm_up,
            max_length=None,
            packing=False,
        )
    return one_device(arguments)


def train_language_model(
    model: Any,
    tokenizer: Any,
    answers: Sequence[Answer],
    rows: IntArray,
    arguments: SFTConfig,
    progress: Progress,
    *,
    whole: bool = False,
) -> list[float]:
    """Trains a causal model on answers, or finishes what a killed run left.

    Args:
        model: A causal model of transformers or its peft model; trained in place.
        tokenizer: Of the model.
        answers: What rows point at.
        rows: (N,) answers to learn from, each as often as it stands there.
        arguments: As `sft_arguments`.
        progress: Told of every step.
        whole: Whether the prompt is learnt as well as the response.

    Returns:
        The mean loss of every logged interval, those before a kill included.

    Raises:
        FailedError: A loss is no number.
    """
    with silenced():
        trainer = TextTrainer(
            model=model,
            args=arguments,
            data_collator=AnswerCollator(answers, whole),
            train_dataset=Dataset.from_dict({COLUMN: rows}),
            processing_class=tokenizer,
            callbacks=[ProgressCallback(progress)],
        )
        return run_to_the_end(trainer)
