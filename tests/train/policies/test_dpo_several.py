"""Two processes that train one policy take the steps of one process."""

import json
from pathlib import Path

import pytest

from tests.train.launched import run_in_two
from tests.train.tiny_policies import (
    answers_of,
    arguments_for,
    judged,
    make_network,
    objective,
    said,
    tiny_source,
)

TRAIN = """
import json, sys
from plt.train.method import silent
from plt.train.policies.dpo_trainer import train_policy
from plt.train.models.source import resolve_model
from plt.train.runtime.processes import leads
from tests.train.tiny_policies import *
source = resolve_model(str(FOLDER / "model"))
encoder, answers = answers_of(source, *said())
found = {}
for alpha in (0.0, 0.5, 1.0):
    for checkpointing in (False, True):
        arguments = arguments_for(FOLDER / f"{alpha} {checkpointing}", pairs_per_pass=4)
        arguments.gradient_checkpointing = checkpointing
        network = make_network(source, 3)
        losses = train_policy(
            network, encoder.tokenizer, answers, judged(), objective(alpha), arguments, 1e-2, silent
        )
        found[f"{alpha} {checkpointing}"] = [*losses, float(network.users.states.sum())]
if leads():
    (FOLDER / "found.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """At alpha 0 and 1 a branch is absent: no process may wait for a gradient that never comes."""
    from plt.train.method import silent
    from plt.train.policies.dpo_trainer import train_policy

    source = tiny_source(tmp_path / "model")
    run_in_two(TRAIN, tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    encoder, answers = answers_of(source, *said())
    for alpha in (0.0, 0.5, 1.0):
        network = make_network(source, 3)
        arguments = arguments_for(tmp_path / f"one {alpha}")
        losses = train_policy(
            network, encoder.tokenizer, answers, judged(), objective(alpha), arguments, 1e-2, silent
        )
        expected = [*losses, float(network.users.states.detach().sum())]
        for checkpointing in (False, True):
            assert found[f"{alpha} {checkpointing}"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
