"""From judgements to a language model that has learnt to write like their responses."""

import numpy as np
import torch

from plt.data.tables.preferences import Preferences
from plt.errors import DataError
from plt.train.judgements import read_judgements
from plt.train.method import IntArray, TrainContext
from plt.train.models.backbone import load_tokenizer
from plt.train.models.source import resolve_model
from plt.train.people.soft_users import UserModel
from plt.train.policies.fit import NOBODY, read_answers, speed_of, trained_of
from plt.train.policies.network import PolicyNetwork, trainable
from plt.train.policies.pairs import ToldPairs, known_people, told_pairs
from plt.train.policies.policy import Policy
from plt.train.policies.settings import PolicySettings
from plt.train.policies.sft_trainer import sft_arguments, train_language_model
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, window_beside
from plt.train.tuning.saved import checkpoint_folder, trained_weights


def fit_language_model(
    prefs: Preferences,
    settings: PolicySettings,
    ctx: TrainContext,
    *,
    chosen_only: bool,
    whole: bool,
) -> tuple[Policy, tuple[str, ...]]:
    """Trains a language model on responses of the training rows; validation rows are not used.

    A run that was killed is resumed from ``checkpoints/`` of the work directory and ends, on the
    CPU, with the same bits. Adapters are merged into the model at the end.

    Args:
        prefs: The training view.
        settings: The model and how it is trained.
        ctx: Seed, work directory, device, dtype, progress, the users table.
        chosen_only: Whether each judgement gives the response that it prefers, instead of every
            distinct text once.
        whole: Whether the prompt's tokens are learnt too.

    Raises:
        DataError: There is nothing to learn from.
        ArtifactError: The model cannot be loaded or adapted.
        FailedError: The training diverges.
    """
    judgements = read_judgements(prefs)
    train = judgements.select(~judgements.validation)
    known = known_people(prefs, judgements, ctx, personal=False, use_profile=settings.use_profile)
    pairs = told_pairs(train, known, len(train), 0)
    rows = _imitated(pairs, chosen_only)
    source = resolve_model(settings.model, ctx.compute.progress)
    encoder = encoder_of(load_tokenizer(source), source, window_beside(source, settings.window, 0))
    answers, cut = read_answers(encoder, pairs.told, ctx)
    seed = training_seed(ctx.seed)
    trained = trained_of(settings)
    model = trainable(source, trained, ctx.compute.dtype, seed)
    speed = speed_of(settings, len(rows))
    arguments = sft_arguments(
        checkpoint_folder(pairs.told, (rows,), source, settings, ctx),
        speed,
        seed=seed,
        device=resolve_device(ctx.compute.device),
        dtype=resolve_dtype(ctx.compute.dtype),
        texts_per_pass=ctx.compute.batch_size,
    )
    n_trained = sum(weight.numel() for weight in trained_weights(model).values())
    losses = train_language_model(
        model, encoder.tokenizer, answers, rows, arguments, ctx.compute.progress, whole=whole
    )
    if trained.tune == "lora":
        model = model.merge_and_unload()
    width = model.get_input_embeddings().weight.shape[1]
    nobody = UserModel(NOBODY, torch.zeros(0, width), None, torch.zeros(0, 0))
    policy = Policy(
        source=source,
        trained=trained,
        dtype=ctx.compute.dtype,
        users=known.users,
        profiles=known.profiles,
        losses=losses,
        network=PolicyNetwork(model, nobody, len(encoder.prefix)).eval(),
        encoder=encoder,
        whole=True,
    )
    return policy, (settings.describe(len(rows), n_trained), *cut, *known.notes)


def _imitated(pairs: ToldPairs, chosen_only: bool) -> IntArray:
    """Which told texts are learnt from: what each judgement prefers, or every text once."""
    if not chosen_only:
        return np.arange(len(pairs.told), dtype=np.int64)
    rows = pairs.told_chosen[pairs.confidence > 0.5]
    if not len(rows):
        raise DataError(
            "every judgement is a tie, so nothing was chosen", hint="--set responses=all"
        )
    return rows
