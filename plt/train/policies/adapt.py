"""A newcomer's soft tokens from a few answers; nothing else of a policy moves."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from plt.train.features.reference import reference_log_probs
from plt.train.method import Support, TrainContext
from plt.train.models.log_probs import (
    AnswerBatch,
    encode_answers,
    length_batches,
    response_log_probs,
)
from plt.train.policies.dpo_trainer import (
    MIXTURES_FASTER,
    PolicyCollator,
    policy_dataset,
)
from plt.train.policies.fit import objective_of, policy_rows
from plt.train.policies.pairs import Known, ToldPairs, told_pairs
from plt.train.policies.policy import Policy
from plt.train.policies.settings import PersonalSettings
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.row_adam import own_turns

BATCH = ("input_ids", "attention_mask", "response_mask")


def adapt_policy(
    policy: Policy, support: Support, settings: PersonalSettings, ctx: TrainContext
) -> Policy:
    """A policy that knows the users in `support`, and everybody it knew.

    Each begins as the generic user. Adam moves what they have of their own (an offset, or the
    weights of a mixture) for `adapt_steps` steps, on the loss as the user alone; each step sees
    `pairs_per_step` of their answers, in turn. Newcomers learn side by side and do not influence
    each other. Where the tokens are the same for everybody there is nothing to learn: `introduce`.

    Args:
        policy: What was fitted.
        support: Answers and words; whoever is known already is learnt anew.
        settings: Of the fit.
        ctx: Seed, device, progress, the users table.
    """
    shape = policy.network.users.shape
    if not shape.personal:
        return introduce(policy, support)
    judgements = support.judgements.select(support.judgements.user >= 0)
    told = dict(support.profiles) if settings.use_profile else {}
    everybody = tuple(dict.fromkeys([*policy.users, *sorted({*judgements.users, *told})]))
    known = dict(zip(policy.users, policy.network.users.states.detach().cpu(), strict=True))
    if len(judgements):
        pairs = told_pairs(judgements, Known(judgements.users, told), len(judgements), 0)
        learnt = _states(policy, pairs, len(judgements.users), settings, ctx)
        known.update(zip(judgements.users, learnt, strict=True))
    generic = policy.network.users.newcomer_state().detach().cpu()
    states = torch.stack([known.get(user, generic) for user in everybody])
    return policy.with_users(everybody, states, {**policy.profiles, **told})


def introduce(policy: Policy, support: Support) -> Policy:
    """A policy without tokens of users, which knows what the users in `support` say of themselves.

    One that does not read that is returned as it is.
    """
    if not policy.profiles:
        return policy
    everybody = tuple(dict.fromkeys([*policy.users, *sorted(support.profiles)]))
    nothing = torch.zeros(len(everybody), 0)
    return policy.with_users(everybody, nothing, {**policy.profiles, **support.profiles})


def _states(
    policy: Policy, pairs: ToldPairs, n_users: int, settings: PersonalSettings, ctx: TrainContext
) -> Tensor:
    """What newcomers have of their own, (U, ...): one optimiser, in which each learns as if alone.

    Adam works coordinate by coordinate and the loss is the sum of everybody's own mean, so nobody's
    steps depend on who else is there. Whoever has no answer has no gradient and stays.
    """
    device, dtype = resolve_device(ctx.compute.device), resolve_dtype(policy.dtype)
    network = policy.network.to(device)
    objective = objective_of(settings, network.users.shape)
    as_trained = replace(ctx.compute, dtype=policy.dtype)
    reference = reference_log_probs(
        pairs.texts, policy.source, policy.encoder, policy.reference_model, as_trained
    )
    answers = encode_answers(policy.encoder, pairs.told.prompts, pairs.told.responses)
    collate, data = PolicyCollator(answers), policy_dataset(policy_rows(pairs, reference))
    start = network.users.newcomer_state()
    users = network.users.with_states(start.expand(n_users, *start.shape)).to(device)
    faster = MIXTURES_FASTER if settings.users == "cluster" else 1.0
    optimiser = torch.optim.Adam([users.states], lr=faster * settings.users_rate)
    longest = [
        max(len(answers[chosen]), len(answers[rejected]))
        for chosen, rejected in zip(pairs.told_chosen, pairs.told_rejected, strict=True)
    ]
    seed, size = training_seed(ctx.seed), settings.pairs_per_step
    turns = own_turns(pairs.user, settings.adapt_steps, size, seed)
    mine = np.minimum(np.bincount(pairs.user), size)
    for step, rows in enumerate(turns):
        gradient = torch.zeros_like(users.states)
        for part in length_batches(longest, rows, max(1, ctx.compute.batch_size // 2)):
            inputs = {k: v.to(device) for k, v in collate([data[int(i)] for i in part]).items()}
            batch = AnswerBatch(*(inputs[name] for name in BATCH))
            soft = users(inputs["user"].repeat(2))
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                found = response_log_probs(network.language, batch, soft, network.at)
            weights = torch.from_numpy(1 / mine[pairs.user[part]]).to(device, torch.float32)
            loss = (weights * objective.losses(found.float(), inputs)).sum()
            # Only what newcomers have of their own: the model's weights keep no gradient.
            gradient += torch.autograd.grad(loss, [users.states])[0]
        users.states.grad = gradient
        optimiser.step()
        ctx.compute.progress("adapting to users, step", step + 1, settings.adapt_steps)
    learnt: Tensor = users.states.detach()
    return learnt.cpu()
