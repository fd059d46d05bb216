"""A newcomer's soft tokens from a few answers; nothing else of a policy moves."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from plt.train.features.reference import reference_log_probs
from plt.train.method import Support, TrainContext
from plt.train.models.log_probs import AnswerBatch, encode_answers, response_log_probs
from plt.train.policies.dpo_trainer import (
    MIXTURES_FASTER,
    Objective,
    PolicyCollator,
    policy_dataset,
)
from plt.train.policies.fit import objective_of, policy_rows
from plt.train.policies.pairs import Known, ToldPairs, told_pairs
from plt.train.policies.policy import Policy
from plt.train.policies.settings import PersonalSettings
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed


def adapt_policy(
    policy: Policy, support: Support, settings: PersonalSettings, ctx: TrainContext
) -> Policy:
    """A policy that knows the users in `support`, and everybody it knew.

    Each begins as the generic user. Adam moves what they have of their own (an offset, or the
    weights of a mixture) for `adapt_steps` steps, on the loss as the user alone; each step sees
    `pairs_per_step` of their answers, in turn. Newcomers do not influence each other. Where the
    tokens are the same for everybody there is nothing to learn: `introduce`.

    Args:
        policy: What was fitted.
        support: Answers and words; whoever is known already is learnt anew.
        settings: Of the fit.
        ctx: Seed, device, progress, the users table.
    """
    shape = policy.network.users.shape
    if not shape.personal:
        return introduce(policy, support)
    judgements = support.judgements
    told = dict(support.profiles) if settings.use_profile else {}
    everybody = tuple(dict.fromkeys([*policy.users, *sorted({*judgements.users, *told})]))
    known = dict(zip(policy.users, policy.network.users.states.detach().cpu(), strict=True))
    objective = objective_of(settings, shape)
    for done, user in enumerate(judgements.users):
        mine = judgements.select(judgements.user == done)
        pairs = told_pairs(mine, Known((user,), told), len(mine), 0)
        known[user] = _state(policy, pairs, objective, settings, ctx)
        ctx.compute.progress("adapting to users", done + 1, len(judgements.users))
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


def _state(
    policy: Policy,
    pairs: ToldPairs,
    objective: Objective,
    settings: PersonalSettings,
    ctx: TrainContext,
) -> Tensor:
    """What one newcomer has of their own."""
    device, dtype = resolve_device(ctx.compute.device), resolve_dtype(policy.dtype)
    network = policy.network.to(device)
    as_trained = replace(ctx.compute, dtype=policy.dtype)
    reference = reference_log_probs(
        pairs.texts, policy.source, policy.encoder, policy.reference_model, as_trained
    )
    rows = policy_rows(pairs, reference)
    collate = PolicyCollator(
        encode_answers(policy.encoder, pairs.told.prompts, pairs.told.responses)
    )
    data = policy_dataset(rows)
    users = network.users.with_states(network.users.newcomer_state()[None]).to(device)
    faster = MIXTURES_FASTER if settings.users == "cluster" else 1.0
    optimiser = torch.optim.Adam([users.states], lr=faster * settings.users_rate)
    order = np.random.default_rng(training_seed(ctx.seed)).permutation(len(pairs))
    size = min(settings.pairs_per_step, len(pairs))
    for step in range(settings.adapt_steps):
        part = order[np.arange(step * size, (step + 1) * size) % len(order)]
        inputs = {k: v.to(device) for k, v in collate([data[int(i)] for i in part]).items()}
        batch = AnswerBatch(inputs["input_ids"], inputs["attention_mask"], inputs["response_mask"])
        who = torch.ones(2 * size, dtype=torch.long, device=device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            found = response_log_probs(network.language, batch, users(who), network.at)
        loss = objective.losses(found.float(), inputs).mean()
        # Only the newcomer's state: the model's own weights keep no gradient.
        (users.states.grad,) = torch.autograd.grad(loss, [users.states])
        optimiser.step()
    learnt: Tensor = users.states.detach()[0]
    return learnt.cpu()
