"""Preference optimisation of a policy with users, by TRL's DPO trainer.

A step is one forward pass over both responses of every judgement, as the user and as the generic
user, so that data-parallel processes agree on what has a gradient. Who judged travels as an
integer column, never through text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file, save
from torch import Tensor
from trl import DPOConfig, DPOTrainer

from plt.data.tables.files import atomic_path
from plt.train.method import FloatArray, IntArray, Progress
from plt.train.models.log_probs import Answer, answer_batch
from plt.train.people.soft_users import GENERIC
from plt.train.policies.losses import PolicyLoss
from plt.train.policies.network import USERS, PolicyNetwork
from plt.train.tuning.losses import mixed
from plt.train.tuning.saved import put_weights, trained_weights
from plt.train.tuning.trl import (
    ProgressCallback,
    common_arguments,
    one_device,
    refuse_divergence,
    run_to_the_end,
    silenced,
)

COLUMNS = ("chosen", "rejected", "confidence", "user", "ref_chosen", "ref_rejected")
CHECKPOINT = "trained.safetensors"
WARM_UP = 0.1
MIXTURES = ("users.states", "users.generic")
MIXTURES_FASTER = 10.0
"""Weights of a mixture are logits of size 1, where tokens have the size of word embeddings."""


@dataclass(frozen=True)
class PolicyRows:
    """N judgements as a policy learns from them.

    Attributes:
        chosen: (N,) answer of the side that the label prefers.
        rejected: (N,) answer of the other.
        confidence: (N,) probability in [0.5, 1] that `chosen` is preferred.
        user: (N,) index in the user model; 0 for rows that name nobody.
        ref_chosen: (N,) log pi_ref of the chosen response.
        ref_rejected: (N,) of the rejected one.
    """

    chosen: IntArray
    rejected: IntArray
    confidence: FloatArray
    user: IntArray
    ref_chosen: FloatArray
    ref_rejected: FloatArray

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Objective:
    """What is minimised: alpha L(u) + (1 - alpha) L(u_0), and the optional SFT term.

    Attributes:
        loss: The pairwise objective.
        alpha: Weight of the loss as the user.
        personal: Whether soft tokens depend on the user; otherwise both terms are one.
        sft_weight: Weight of -log pi(chosen) / tokens, mixed likewise; in expectation under labels
            that are soft.
    """

    loss: PolicyLoss
    alpha: float
    personal: bool
    sft_weight: float = 0.0

    @property
    def branches(self) -> tuple[str, ...]:
        """As whom the responses go through the model."""
        if not self.personal or self.alpha == 0:
            return ("generic",)
        return ("own",) if self.alpha == 1 else ("own", "generic")

    def losses(self, log_probs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Losses (n,) of one branch.

        Args:
            log_probs: (2n,) of the chosen responses, then of the rejected ones.
            inputs: As `PolicyCollator` gives them.
        """
        n_tokens = inputs["response_mask"].sum(dim=1).view(2, -1)
        chosen, rejected = log_probs.chunk(2)
        losses = self.loss(
            chosen - inputs["ref_chosen"],
            rejected - inputs["ref_rejected"],
            n_tokens,
            inputs["confidence"],
        )
        if self.sft_weight:
            per_token = torch.stack([chosen, rejected]) / n_tokens.clamp(min=1)
            # A tie has no chosen side: which response stands first must not decide.
            liked = torch.stack([inputs["confidence"], 1 - inputs["confidence"]])
            losses = losses - self.sft_weight * (liked * per_token).sum(dim=0)
        return losses


@dataclass(frozen=True)
class Speed:
    """How the optimiser runs: AdamW, cosine to 0 after a warm-up over a tenth of the steps.

    The first step of a warm-up has a rate of 0: rounded down, so that a fit of one step learns.

    Attributes:
        steps: Of the optimiser.
        pairs_per_step: Judgements a step.
        rate: Of the language model's weights.
        users_rate: Of the user model's.
    """

    steps: int
    pairs_per_step: int
    rate: float
    users_rate: float

    @property
    def warm_up(self) -> int:
        """Steps in which the rates go up."""
        return int(self.steps * WARM_UP)


class PolicyCollator:
    """Batches of n judgements as TRL lays them out: n chosen answers, then the n rejected.

    Args:
        answers: Every answer that rows point at.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Tokens and masks (2n, L); users, confidences and reference log-probabilities (n,)."""
        which = [row["chosen"] for row in rows] + [row["rejected"] for row in rows]
        batch = answer_batch([self.answers[i] for i in which])
        floats = {
            name: torch.tensor([row[name] for row in rows], dtype=torch.float32)
            for name in ("confidence", "ref_chosen", "ref_rejected")
        }
        return {
            "input_ids": batch.tokens,
            "attention_mask": batch.mask,
            "response_mask": batch.response,
            "user": torch.tensor([row["user"] for row in rows]),
            **floats,
        }


class PolicyTrainer(DPOTrainer):  # type: ignore[misc]  # trl has no type stubs
    """TRL's DPO trainer on `PolicyRows`, with both branches in one pass, and loud on NaN.

    Args:
        objective: What is minimised.
        users_rate: Learning rate of the user model.
        **trl: As TRL's.
    """

    def __init__(self, *, objective: Objective, users_rate: float, **trl: Any) -> None:
        self.objective = objective
        self.users_rate = users_rate
        super().__init__(**trl)

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
        """They are columns already."""
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = list(COLUMNS)

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Checkpoints are for resuming; a card in each would be noise."""

    def create_optimizer(self, *_: Any, **__: Any) -> Any:
        """AdamW with rates of their own for the users' tokens, and for weights of mixtures."""
        if getattr(self, "optimizer", None) is None:
            named = [(n, w) for n, w in self.model.named_parameters() if w.requires_grad]
            mixtures = MIXTURES if self.model.users.shape.kind == "cluster" else ()
            groups: dict[float, list[Any]] = {}
            for name, weight in named:
                rate = self.users_rate if name.startswith(USERS) else self.args.learning_rate
                rate *= MIXTURES_FASTER if name in mixtures else 1.0
                groups.setdefault(rate, []).append(weight)
            make, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            parts = [{"params": weights, "lr": rate} for rate, weights in groups.items()]
            self.optimizer = make(parts, weight_decay=0.0, **options)
        return self.optimizer

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        """The objective's mean over the n judgements of a batch."""
        branches = self.objective.branches
        own = torch.cat([inputs["user"], inputs["user"]])
        users = [own if name == "own" else torch.full_like(own, GENERIC) for name in branches]
        names = ("input_ids", "attention_mask", "response_mask")
        wide = {name: torch.cat([inputs[name]] * len(branches)) for name in names}
        found = model(**wide, user=torch.cat(users)).chunk(len(branches))
        by_branch = dict(zip(branches, found, strict=True))
        terms = {name: self.objective.losses(by_branch[name], inputs) for name in branches}
        loss = mixed(terms.get("own"), terms.get("generic"), self.objective.alpha).mean()
        refuse_divergence(loss, self.state.global_step)
        self._note(by_branch, inputs)
        return (loss, found) if return_outputs else loss

    @torch.no_grad()
    def _note(self, by_branch: dict[str, Tensor], inputs: dict[str, Any]) -> None:
        """Logs the accuracy of the implicit rewards, of either branch."""
        mode = "train" if self.model.training else "eval"
        for name, log_probs in by_branch.items():
            chosen, rejected = log_probs.chunk(2)
            margin = chosen - inputs["ref_chosen"] - rejected + inputs["ref_rejected"]
            right = self.accelerator.gather_for_metrics((margin > 0).float())
            self._metrics[mode][f"accuracy/{name}"].append(right.mean().item())

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Checkpoints hold what is trained; the rest is where it came from."""
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            with atomic_path(folder / CHECKPOINT) as temporary:
                temporary.write_bytes(save(trained_weights(self.model)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        put_weights(self.model if model is None else model, load_file(folder / CHECKPOINT), folder)


def policy_arguments(
    folder: Path,
    speed: Speed,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    pairs_per_pass: int,
) -> DPOConfig:
    """TRL's arguments, with nothing left to a default that differs between machines.

    Args:
        folder: Where checkpoints go.
        speed: Steps, rates, judgements a step.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Forward passes run under autocast to it unless it is float32.
        pairs_per_pass: Judgements that fit into one forward pass.
    """
    with silenced():
        arguments = DPOConfig(
            **common_arguments(
                folder,
                speed.pairs_per_step,
                speed.steps,
                seed=seed,
                device=device,
                dtype=dtype,
                pairs_per_pass=pairs_per_pass,
            ),
            max_steps=speed.steps,
            learning_rate=speed.rate,
            lr_scheduler_type="cosine",
            warmup_steps=speed.warm_up,
            max_length=None,
            disable_dropout=True,
            precompute_ref_log_probs=True,
        )
    return one_device(arguments)


def train_policy(
    network: PolicyNetwork,
    tokenizer: Any,
    answers: Sequence[Answer],
    rows: PolicyRows,
    objective: Objective,
    arguments: DPOConfig,
    users_rate: float,
    progress: Progress,
) -> list[float]:
    """Trains a policy, or finishes what a killed run left in the checkpoint folder.

    Args:
        network: Trained in place.
        tokenizer: Of the model.
        answers: What rows point at.
        rows: What is learnt from.
        objective: What is minimised.
        arguments: As `policy_arguments`.
        users_rate: Learning rate of the user model.
        progress: Told of every step.

    Returns:
        The mean loss of every logged interval, those before a kill included.

    Raises:
        FailedError: A loss is no number.
    """
    with silenced():
        trainer = PolicyTrainer(
            objective=objective,
            users_rate=users_rate,
            model=network,
            args=arguments,
            data_collator=PolicyCollator(answers),
            train_dataset=policy_dataset(rows),
            processing_class=tokenizer,
            callbacks=[ProgressCallback(progress)],
        )
        return run_to_the_end(trainer)


def policy_dataset(rows: PolicyRows) -> Dataset:
    """One row a judgement, in memory: indices and numbers, no text."""
    return Dataset.from_dict({name: getattr(rows, name) for name in COLUMNS})
