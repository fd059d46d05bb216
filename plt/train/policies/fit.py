"""From judgements to a policy: what `dpo`, `p-dpo` and `p-ipo` share."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from trl import DPOConfig

from plt.data.tables.preferences import Preferences
from plt.train.features.frozen import Features
from plt.train.features.reference import reference_log_probs
from plt.train.judgements import read_judgements
from plt.train.method import Compute, Texts, TrainContext
from plt.train.models.backbone import load_tokenizer
from plt.train.models.log_probs import Answer, cut_note, encode_answers
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import TextEncoder
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import make_user_model, starting_rows
from plt.train.policies.dpo_trainer import (
    Objective,
    PolicyRows,
    Speed,
    policy_arguments,
    train_policy,
)
from plt.train.policies.losses import PolicyLoss
from plt.train.policies.network import PolicyNetwork, Trained, reference_of, trainable
from plt.train.policies.pairs import ToldPairs, known_people, told_pairs
from plt.train.policies.policy import Policy
from plt.train.policies.settings import DpoSettings, PersonalSettings, PolicySettings
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, window_beside
from plt.train.tuning.saved import checkpoint_folder, trained_weights

NOBODY = UserModelShape("uniform", n_tokens=0)


def fit_policy(
    prefs: Preferences, settings: DpoSettings, ctx: TrainContext
) -> tuple[Policy, tuple[str, ...]]:
    """Trains a policy on the training rows; validation rows are not used.

    A tie counts as half a win for each side. A text longer than the window is cut, never left out.
    A run that was killed is resumed from ``checkpoints/`` of the work directory and ends, on the
    CPU, with the same bits.

    Args:
        prefs: The training view.
        settings: `PersonalSettings` for soft tokens, `DpoSettings` for none.
        ctx: Seed, work directory, device, dtype, progress, the users table.

    Returns:
        The policy, and what must be said of the fit.

    Raises:
        DataError: There is nothing to learn from.
        ArtifactError: The model cannot be loaded or adapted.
        FailedError: The training diverges.
    """
    judgements = read_judgements(prefs)
    train = judgements.select(~judgements.validation)
    shape = settings.shape if isinstance(settings, PersonalSettings) else NOBODY
    known = known_people(
        prefs, judgements, ctx, personal=shape.personal, use_profile=settings.use_profile
    )
    speed = speed_of(settings, len(train))
    n_drawn = speed.steps * speed.pairs_per_step
    pairs = told_pairs(train, known, n_drawn, training_seed(ctx.seed))
    source = resolve_model(settings.model, ctx.compute.progress)
    window = window_beside(source, settings.window, shape.n_tokens)
    encoder = encoder_of(load_tokenizer(source), source, window)
    answers, cut = read_answers(encoder, pairs.told, ctx)
    trained = trained_of(settings)
    network, begun = _untrained(source, encoder, trained, shape, len(known.users), ctx)
    reference = _reference(pairs.texts, source, encoder, network, trained, ctx.compute)
    objective = objective_of(settings, shape)
    losses = train_policy(
        network,
        encoder.tokenizer,
        answers,
        policy_rows(pairs, reference),
        objective,
        _arguments(pairs, source, settings, ctx, speed, len(objective.branches)),
        speed.users_rate,
        ctx.compute.progress,
    )
    policy = Policy(
        source=source,
        trained=trained,
        dtype=ctx.compute.dtype,
        users=known.users,
        profiles=known.profiles,
        losses=losses,
        network=network.eval(),
        encoder=encoder,
    )
    n_trained = sum(weight.numel() for weight in trained_weights(network).values())
    notes = (
        settings.describe(len(train), n_trained),
        f"reference: log-probabilities of {len(pairs.texts):,} texts, {reference.n_encoded:,} of"
        " them computed now",
        *begun,
        *cut,
        *known.notes,
    )
    return policy, notes


def read_answers(
    encoder: TextEncoder, told: Texts, ctx: TrainContext
) -> tuple[list[Answer], tuple[str, ...]]:
    """Token ids of every text, and what must be said of those that are cut.

    That is said at once: nobody should wait for a policy that learns from what is left of texts.
    """
    answers = encode_answers(encoder, told.prompts, told.responses)
    cut = cut_note(encoder, told.prompts, told.responses, answers)
    for sentence in cut:
        ctx.report(sentence)
    return answers, cut


def _arguments(
    pairs: ToldPairs,
    source: ModelSource,
    settings: DpoSettings,
    ctx: TrainContext,
    speed: Speed,
    n_branches: int,
) -> DPOConfig:
    columns = (pairs.told_chosen, pairs.told_rejected, pairs.confidence, pairs.user)
    return policy_arguments(
        checkpoint_folder(pairs.told, columns, source, settings, ctx),
        speed,
        seed=training_seed(ctx.seed),
        device=resolve_device(ctx.compute.device),
        dtype=resolve_dtype(ctx.compute.dtype),
        pairs_per_pass=ctx.compute.batch_size // (2 * n_branches),
    )


def speed_of(settings: PolicySettings, n_rows: int) -> Speed:
    """Steps and rates on that many rows."""
    users = settings.users_rate if isinstance(settings, PersonalSettings) else settings.rate
    return Speed(settings.steps(n_rows), settings.pairs_per_step, settings.rate, users)


def trained_of(settings: PolicySettings) -> Trained:
    """What of the language model learns."""
    return Trained(settings.tuned, settings.lora_rank, settings.lora_alpha, settings.targets)


def objective_of(settings: DpoSettings, shape: UserModelShape) -> Objective:
    """What is minimised."""
    loss = PolicyLoss(
        settings.loss, settings.beta, settings.length_normalize, settings.label_smoothing
    )
    alpha = settings.alpha if isinstance(settings, PersonalSettings) else 0.0
    return Objective(loss, alpha, shape.personal, settings.sft_weight)


def policy_rows(pairs: ToldPairs, reference: Features) -> PolicyRows:
    """The judgements with what the reference says of their responses."""
    log_probs = reference.vectors[:, 0].astype(np.float64)
    return PolicyRows(
        chosen=pairs.told_chosen,
        rejected=pairs.told_rejected,
        confidence=pairs.confidence,
        user=pairs.user,
        ref_chosen=log_probs[pairs.chosen],
        ref_rejected=log_probs[pairs.rejected],
    )


def _untrained(
    source: ModelSource,
    encoder: TextEncoder,
    trained: Trained,
    shape: UserModelShape,
    n_users: int,
    ctx: TrainContext,
) -> tuple[PolicyNetwork, tuple[str, ...]]:
    """The network before the first step, and what must be said of how its tokens began."""
    seed = training_seed(ctx.seed)
    generator = torch.Generator().manual_seed(seed)
    model = trainable(source, trained, ctx.compute.dtype, seed)
    rows, note = starting_rows(
        model.get_input_embeddings(),
        shape.n_prompts(n_users) * shape.n_tokens,
        "vocabulary",
        generator,
    )
    users = make_user_model(shape, n_users, rows, generator)
    network = PolicyNetwork(model, users, len(encoder.prefix)).eval()
    return network, (() if note is None else (note,))


def _reference(
    texts: Texts,
    source: ModelSource,
    encoder: TextEncoder,
    network: PolicyNetwork,
    trained: Trained,
    compute: Compute,
) -> Features:
    """What the reference says of the texts, from the network before its first step."""

    def borrowed() -> Any:
        # Before the first step a model that will be trained whole is the reference itself.
        if trained.tune == "full":
            return nullcontext(network.language)
        return reference_of(network, source, trained)

    return reference_log_probs(texts, source, encoder, borrowed, compute)
