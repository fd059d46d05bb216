"""From judgements to TRL's trainers and back, without losing a row or printing a line.

TRL is given rows of indices and looks token ids up in one table, so that a text costs memory once
however many people judged it, and its length filter never sees, hence never drops, a row.
"""

import contextlib
import json
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PrinterCallback, TrainerCallback
from trl import RewardConfig, RewardTrainer

from plt.errors import FailedError
from plt.train.method import FloatArray, IntArray, Progress
from plt.train.models.backbone import pad_batch
from plt.train.models.text_encoder import Ids
from plt.train.runtime.devices import quiet
from plt.train.runtime.processes import equal_share
from plt.train.tuning.row_adam import warmup_steps

# TRL reports every trainer to the hub unless this is set before it asks.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True

COLUMNS = ("chosen", "rejected", "confidence")
SAVED_FRACTION = 0.1
MAX_LOGGED_STEPS = 200
STATE_FILE = "trainer_state.json"


@dataclass(frozen=True)
class DirectedPairs:
    """N judgements as TRL sees them: each with a side that is preferred.

    Attributes:
        chosen: (N,) text of the side that the label prefers; of a for a tie.
        rejected: (N,) text of the other.
        confidence: (N,) probability in [0.5, 1] that `chosen` is preferred.
    """

    chosen: IntArray
    rejected: IntArray
    confidence: FloatArray

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def n_ties(self) -> int:
        """Judgements with confidence 0.5, which have no side."""
        return int((self.confidence == 0.5).sum())


def directed_pairs(a: IntArray, b: IntArray, label: FloatArray) -> DirectedPairs:
    """Judgements with a chosen side, of which soft labels and ties keep their probability.

    Args:
        a: (N,) text of response a.
        b: (N,) text of response b.
        label: (N,) probability that a is preferred.
    """
    a_wins = label >= 0.5
    return DirectedPairs(
        np.where(a_wins, a, b), np.where(a_wins, b, a), np.where(a_wins, label, 1 - label)
    )


def preference_dataset(pairs: DirectedPairs) -> Dataset:
    """One row a judgement, in memory: indices of texts, and the confidence."""
    return Dataset.from_dict({name: getattr(pairs, name) for name in COLUMNS})


class PairCollator:
    """Batches of n judgements as TRL lays them out: n chosen texts, then the n rejected.

    Args:
        ids: Token ids of every text.
    """

    def __init__(self, ids: Sequence[Ids]) -> None:
        self.ids = ids

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Tokens and mask of shape (2n, L), padded on the right, and confidences (n,)."""
        texts = [row["chosen"] for row in rows] + [row["rejected"] for row in rows]
        tokens, mask = pad_batch([self.ids[text] for text in texts])
        confidence = torch.tensor([row["confidence"] for row in rows], dtype=torch.float32)
        return {"input_ids": tokens, "attention_mask": mask, "confidence": confidence}


class PreferenceTrainer(RewardTrainer):  # type: ignore[misc]  # trl has no type stubs
    """TRL's reward trainer on `preference_dataset`, with soft labels, and loud on NaN."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = list(COLUMNS)

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Checkpoints are for resuming; a card in each would be noise."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """TRL's loss and logs; where a label is soft, its cross-entropy.

        For a confidence c and margin m: -c log s(m) - (1 - c) log s(-m), s the logistic function.
        """
        confidence = inputs.pop("confidence")
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if bool((confidence < 1).any()):
            chosen, rejected = torch.chunk(outputs.logits.squeeze(-1), chunks=2)
            margin = chosen - rejected
            soft = confidence * logsigmoid(margin) + (1 - confidence) * logsigmoid(-margin)
            loss = -soft.mean()
        refuse_divergence(loss, self.state.global_step)
        return (loss, outputs) if return_outputs else loss


class ProgressCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no type stubs
    """Tells plt's progress callback about every step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the trainer, before it writes a checkpoint of the step."""
        self.progress("training", state.global_step, state.max_steps)


@dataclass(frozen=True)
class Schedule:
    """How the optimiser runs: AdamW, linear decay to 0 after a warm-up (`warmup_steps`).

    Attributes:
        epochs: Passes over the judgements.
        learning_rate: Of every trained weight.
        batch_size: Judgements a step of the optimiser.
    """

    epochs: float
    learning_rate: float
    batch_size: int

    def steps(self, n_pairs: int) -> int:
        """Optimiser steps on that many judgements."""
        return math.ceil(math.ceil(n_pairs / self.batch_size) * self.epochs)


def reward_arguments(
    folder: Path,
    schedule: Schedule,
    n_pairs: int,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    texts_per_pass: int,
) -> RewardConfig:
    """TRL's arguments, with nothing left to a default that differs between machines.

    Args:
        folder: Where checkpoints go, ten over the run, the last one kept.
        schedule: Epochs, learning rate, batch size.
        n_pairs: Judgements to learn from.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Forward passes run under autocast to it unless it is float32.
        texts_per_pass: Texts that fit into one forward pass; a batch is accumulated over as many
            passes as that takes, in equal parts.
    """
    with silenced():
        arguments = RewardConfig(
            **common_arguments(
                folder,
                schedule.batch_size,
                schedule.steps(n_pairs),
                seed=seed,
                device=device,
                dtype=dtype,
                pairs_per_pass=texts_per_pass // 2,
            ),
            num_train_epochs=schedule.epochs,
            learning_rate=schedule.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=int(warmup_steps(schedule.steps(n_pairs))),
            max_length=None,
            disable_dropout=True,
            center_rewards_coefficient=None,
        )
    return one_device(arguments)


def common_arguments(
    folder: Path,
    batch_size: int,
    n_steps: int,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    pairs_per_pass: int,
) -> dict[str, Any]:
    """What all of TRL's trainers are told, with nothing left to a default that differs by machine.

    Args:
        folder: Where checkpoints go, ten over the run, the last one kept.
        batch_size: Rows a step of the optimiser.
        n_steps: Of the whole run.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Forward passes run under autocast to it unless it is float32.
        pairs_per_pass: Rows that fit into one forward pass; a batch is accumulated over as many
            passes as that takes, in equal parts.

    Several processes share every batch equally, so that a step reads the rows that it reads in
    one; where an epoch ends with a smaller batch, Accelerate fills it up with rows of the first.

    Raises:
        UsageError: The processes cannot share a batch equally.
    """
    batch_size = equal_share(batch_size, "rows a step")
    fits = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
    per_pass = max([n for n in fits if n <= pairs_per_pass], default=1)
    on_cpu = device.type == "cpu"
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": per_pass,
        "gradient_accumulation_steps": batch_size // per_pass,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": on_cpu,
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "gradient_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
        "save_strategy": "steps",
        "save_steps": SAVED_FRACTION,
        "save_total_limit": 1,
        "eval_strategy": "no",
        "logging_strategy": "steps",
        "logging_steps": max(1, n_steps // MAX_LOGGED_STEPS),
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
    }


def one_device(arguments: Any) -> Any:
    """The arguments, for one of several visible devices: TRL refuses DataParallel."""
    if not arguments.use_cpu and arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def train(
    model: Any,
    tokenizer: Any,
    ids: Sequence[Ids],
    pairs: DirectedPairs,
    arguments: RewardConfig,
    progress: Progress,
) -> list[float]:
    """Trains a reward model, or finishes what a killed run left in the checkpoint folder.

    Args:
        model: A `RewardModel` or its peft model; trained in place.
        tokenizer: Of the model.
        ids: Token ids of every text.
        pairs: What is learnt from.
        arguments: As `reward_arguments`.
        progress: Told of every step.

    Returns:
        The mean loss of every logged interval, those before a kill included.

    Raises:
        FailedError: A loss is no number.
    """
    with silenced():
        trainer = PreferenceTrainer(
            model=model,
            args=arguments,
            data_collator=PairCollator(ids),
            train_dataset=preference_dataset(pairs),
            processing_class=tokenizer,
            callbacks=[ProgressCallback(progress)],
        )
        return run_to_the_end(trainer)


def run_to_the_end(trainer: Any) -> list[float]:
    """Trains, from the last checkpoint in the trainer's folder where there is one.

    Returns:
        The mean loss of every logged interval, those before a kill included.
    """
    trainer.remove_callback(PrinterCallback)
    found = last_checkpoint(Path(trainer.args.output_dir))
    trainer.train(resume_from_checkpoint=None if found is None else str(found))
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def refuse_divergence(loss: Tensor, step: int) -> None:
    """Stops a training whose loss is no number.

    Args:
        loss: Of one batch.
        step: Steps that were taken before.

    Raises:
        FailedError: It is infinite or NaN.
    """
    if not torch.isfinite(loss):
        raise FailedError(
            f"training diverged: the loss of step {step + 1} is no number",
            hint="a smaller --learning-rate, or --dtype float32",
        )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; in one that a kill left half-written, the last file is not."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{STATE_FILE}") if _is_json(path)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keeps the libraries' prints off stdout, which carries results, and their warnings down."""
    with quiet(), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
