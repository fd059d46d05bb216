"""A step of a soft prompt with both branches, against a step of a vanilla reward model.

Run with `make bench`. Vanilla texts are longer by as many tokens as a user has, so that a sequence
has the same length on both sides; both branches are twice as many sequences, in passes of as many.
"""

import time

import numpy as np
import pytest
import torch

from plt.train.method import FloatArray
from plt.train.models.source import resolve_model
from plt.train.multi_user.joint_loop import JointPlan, JointRows, JointTrainer
from plt.train.multi_user.joint_network import PromptNetwork
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import make_user_model
from plt.train.tuning.network import network
from plt.train.tuning.options import Tuning
from plt.train.tuning.trl import Schedule

N_PAIRS, N_TOKENS, LENGTH, ROUNDS = 8, 10, 128, 5


def trainer(n_tokens: int, alpha: float) -> JointTrainer:
    net, device = network(resolve_model("builtin:minilm"), Tuning(), "float32"), torch.device("cpu")
    shape = UserModelShape("individual" if n_tokens else "uniform", n_tokens)
    start = torch.zeros(shape.n_prompts(N_PAIRS) * n_tokens, net.config.hidden_size)
    users = make_user_model(shape, N_PAIRS, start, torch.Generator())
    rng = np.random.default_rng(0)
    ids = [rng.integers(1000, 2000, LENGTH - n_tokens).astype(np.int32) for _ in range(2 * N_PAIRS)]
    pairs, label = np.arange(N_PAIRS), np.ones(N_PAIRS)
    rows = JointRows(ids, 2 * pairs, 2 * pairs + 1, pairs, pairs + 1, label, label)
    return JointTrainer(
        PromptNetwork(net, users, 1, device),
        rows,
        JointPlan(Schedule(1, 1e-4, N_PAIRS), 1e-3, alpha),
        seed=0,
        device=device,
        dtype=torch.float32,
        texts_per_pass=2 * N_PAIRS,
    )


@pytest.mark.bench
def test_soft_prompt_step() -> None:
    trainers = [trainer(0, 0.0), trainer(N_TOKENS, 0.5), trainer(N_TOKENS, 1.0)]
    seconds: FloatArray = np.zeros((ROUNDS, len(trainers)))
    for turn in range(ROUNDS):
        for side, one in enumerate(trainers):
            start = time.process_time()
            one._step(0)
            seconds[turn, side] = time.process_time() - start
    vanilla, both, own = seconds.min(axis=0)
    print(
        f"\nsoft prompt, {N_TOKENS} tokens a user, {LENGTH} tokens a sequence: a vanilla step"
        f" takes {vanilla:.2f} s of CPU, both branches {both / vanilla:.2f} x, alpha 1"
        f" {own / vanilla:.2f} x"
    )
    assert both <= 2.1 * vanilla
