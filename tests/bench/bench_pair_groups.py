"""Heads of many users on one fine-tuned backbone: each text read once a step, or once a judgement.

Run with `make bench`. Eight users judge the same pairs; both sides train the same rows for the same
number of optimiser steps in one process.
"""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from plt.train.judgements import read_judgements
from plt.train.models.backbone import load_tokenizer
from plt.train.models.source import resolve_model
from plt.train.multi_user.joint_loop import JointTrainer
from plt.train.multi_user.joint_network import HeadNetwork, Sharing, head_of, head_users, joint_rows
from plt.train.people.shape import UserModelShape
from plt.train.tuning.network import encoder_of, network
from plt.train.tuning.options import Tuning
from tests.train.methods.tables import Row, table

N_USERS = 8
N_PAIRS = 48
MODEL = "builtin:minilm"


def trained(grouped: bool) -> tuple[float, int, int]:
    """Seconds, tokens and steps of one epoch."""
    rng = np.random.default_rng(0)
    words = ["river", "stone", "cloud", "field", "window", "garden", "letter", "music"]
    pairs = [[" ".join(rng.choice(words, 20)) for _ in range(2)] for _ in range(N_PAIRS)]
    rows: list[Row] = [
        (f"u{user}", one, two, float(rng.random() < 0.5))
        for user in range(N_USERS)
        for one, two in pairs
    ]
    source, tuning = resolve_model(MODEL), Tuning(learning_rate=1e-3)
    sharing = Sharing(UserModelShape("individual", 1), 0.5, grouped)
    judgements = read_judgements(table(rows))
    texts, joint = joint_rows(judgements, judgements.users, sharing)
    encoder = encoder_of(load_tokenizer(source), source, None)
    joint = replace(joint, ids=encoder.encode(texts.prompts, texts.responses))
    net, device = network(source, tuning, "float32"), torch.device("cpu")
    users = head_users(sharing.shape, N_USERS, head_of(net).detach(), torch.Generator())
    trainer = JointTrainer(
        HeadNetwork(net, users, device),
        joint,
        sharing.plan(tuning),
        seed=0,
        device=device,
        dtype=torch.float32,
        texts_per_pass=32,
    )
    start = time.perf_counter()
    losses = trainer.run(None, lambda what, done, total: None)
    return time.perf_counter() - start, trainer.tokens_read, len(losses)


@pytest.mark.bench
def test_pair_groups() -> None:
    (apart, many, steps), (together, few, grouped_steps) = trained(False), trained(True)
    print(
        f"\np-rm --tune lora, {N_USERS} users on the same {N_PAIRS} pairs: row by row {apart:.1f} s"
        f" and {many:,} tokens, grouped {together:.1f} s and {few:,}: {apart / together:.1f} x"
        f" the time, {many / few:.1f} x the tokens, {steps} steps each"
    )
    assert grouped_steps == steps
    assert many >= 4 * few
    assert apart >= 3 * together
