"""A tiny policy and judgements for it, shared by the tests of policies."""

from pathlib import Path

import numpy as np
import torch

from plt.train.models.backbone import load_tokenizer
from plt.train.models.log_probs import encode_answers
from plt.train.models.source import ModelSource, resolve_model
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import make_user_model, starting_rows
from plt.train.policies.dpo_trainer import Objective, PolicyRows, Speed, policy_arguments
from plt.train.policies.losses import PolicyLoss
from plt.train.policies.network import PolicyNetwork, Trained, trainable
from plt.train.runtime.devices import resolve_dtype
from plt.train.tuning.network import encoder_of
from tests.train.tiny_models import save_tiny

WORDS = ("tea", "a heap", "rain", "the sea", "chess", "bread", "old maps", "bees")


def said(n=24):
    """2n texts: 2i is a short answer, 2i + 1 a long one."""
    prompts, responses = [], []
    for i in range(n):
        for more in ("", ", and there is more to say"):
            prompts.append([{"role": "user", "content": f"Tell me of {WORDS[i % len(WORDS)]}"}])
            responses.append(f"It is {WORDS[(3 * i) % len(WORDS)]}{more}.")
    return prompts, responses


def judged(n=24, n_users=3, seed=0):
    """n judgements; user 1 likes long answers, the others short ones."""
    rng = np.random.default_rng(seed)
    user = rng.integers(1, n_users + 1, n)
    wants_long = user == 1
    short = 2 * np.arange(n)
    return PolicyRows(
        chosen=short + wants_long,
        rejected=short + ~wants_long,
        confidence=np.ones(n),
        user=user,
        ref_chosen=np.zeros(n),
        ref_rejected=np.zeros(n),
    )


def tiny_source(folder: Path, model_type="llama") -> ModelSource:
    return resolve_model(str(save_tiny(folder, model_type)))


def answers_of(source, prompts, responses):
    encoder = encoder_of(load_tokenizer(source), source, None)
    return encoder, encode_answers(encoder, prompts, responses)


def make_network(source, n_tokens, n_users=3, kind="individual", tune="full", seed=0):
    shape = UserModelShape(kind, n_tokens=n_tokens, n_clusters=2)
    generator = torch.Generator().manual_seed(seed)
    model = trainable(source, Trained(tune, rank=4, alpha=8), "float32", seed)
    embedding = model.get_input_embeddings()
    rows, _ = starting_rows(embedding, shape.n_prompts(n_users) * n_tokens, "vocabulary", generator)
    users = make_user_model(shape, n_users, rows, generator)
    return PolicyNetwork(model, users, 1).eval()


def objective(alpha=0.5, kind="sigmoid", beta=0.5, personal=True, **options):
    return Objective(PolicyLoss(kind, beta), alpha, personal, **options)


def arguments_for(folder, steps=4, pairs=8, rate=1e-2, pairs_per_pass=8):
    return policy_arguments(
        folder,
        Speed(steps, pairs, rate, rate),
        seed=3,
        device=torch.device("cpu"),
        dtype=resolve_dtype("float32"),
        pairs_per_pass=pairs_per_pass,
    )
