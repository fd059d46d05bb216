"""The trainer against TRL's own, and who judged on the way through it."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import DPOTrainer

from plt.errors import FailedError
from plt.train.method import silent
from plt.train.models.backbone import load_language_model
from plt.train.models.log_probs import answer_batch, response_log_probs
from plt.train.policies.dpo_trainer import (
    PolicyCollator,
    PolicyTrainer,
    policy_dataset,
    train_policy,
)
from plt.train.tuning.trl import silenced
from tests.train.tiny_policies import (
    answers_of,
    arguments_for,
    judged,
    make_network,
    objective,
    said,
    tiny_source,
)


@pytest.fixture
def source(tmp_path):
    return tiny_source(tmp_path / "model")


@pytest.fixture
def told(source):
    return answers_of(source, *said())


def with_reference(rows, source, answers):
    model = load_language_model(source, torch.float32)
    with torch.no_grad():
        soft = torch.zeros(len(answers), 0, 32)
        values = response_log_probs(model, answer_batch(answers), soft, 1).double().numpy()
    return replace(rows, ref_chosen=values[rows.chosen], ref_rejected=values[rows.rejected])


def as_far_as(losses, rel=1e-4):
    """These losses, known up to a share of the largest.

    Losses are differences of log-probabilities of whole responses, which float32 rounds whatever is
    left of them, and Adam, which divides by the size of gradients, carries that from step to step.
    """
    return pytest.approx(losses, rel=0, abs=rel * max(map(abs, losses)))


def losses_of(network, told, rows, goal, arguments, users_rate=1e-2):
    encoder, answers = told
    return train_policy(
        network, encoder.tokenizer, answers, rows, goal, arguments, users_rate, silent
    )


class Stock(DPOTrainer):
    """TRL's own trainer, given token ids."""

    def _prepare_dataset(self, dataset, *_):
        return dataset


def stock_losses(source, told, rows, arguments, beta, kind):
    encoder, answers = told
    model = load_language_model(source, torch.float32).train()
    arguments.precompute_ref_log_probs = False
    arguments.beta, arguments.loss_type = beta, [kind]
    columns = {
        "prompt_ids": [answers[i].ids[: answers[i].begins].tolist() for i in rows.chosen],
        "chosen_ids": [answers[i].ids[answers[i].begins :].tolist() for i in rows.chosen],
        "rejected_ids": [answers[i].ids[answers[i].begins :].tolist() for i in rows.rejected],
    }
    with silenced():
        trainer = Stock(
            model=model,
            ref_model=copy.deepcopy(load_language_model(source, torch.float32)),
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            processing_class=encoder.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("kind", ["sigmoid", "ipo", "hinge"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_without_soft_tokens_the_steps_are_those_of_the_stock_trainer(
    kind, alpha, source, told, tmp_path
):
    rows = with_reference(judged(), source, told[1])
    goal = objective(alpha, kind, personal=False)
    network = make_network(source, 0)
    found = losses_of(network, told, rows, goal, arguments_for(tmp_path / "a"))
    expected = stock_losses(source, told, rows, arguments_for(tmp_path / "b"), 0.5, kind)
    assert len(found) == 4
    assert found == as_far_as(expected)
    assert found[0] != pytest.approx(found[-1], abs=1e-3)


def test_at_step_0_the_loss_is_ln_2_without_soft_tokens_and_not_with_them(source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    first = {}
    for n_tokens in (0, 10):
        network = make_network(source, n_tokens)
        arguments = arguments_for(tmp_path / str(n_tokens), steps=1)
        goal = objective(personal=n_tokens > 0)
        first[n_tokens] = losses_of(network, told, rows, goal, arguments)[0]
    assert first[0] == pytest.approx(np.log(2), rel=1e-5)
    assert first[10] != pytest.approx(np.log(2), rel=1e-4)


def test_the_user_reaches_the_model(source, told, tmp_path):
    """Fails where the column is dropped, or where the model swallows it."""
    rows = with_reference(judged(), source, told[1])
    assert policy_dataset(rows).column_names[3] == "user"
    batch = PolicyCollator(told[1])([policy_dataset(rows)[0]])
    assert batch["user"].tolist() == [int(rows.user[0])]
    network = make_network(source, 4)
    twice = {name: batch[name] for name in ("input_ids", "attention_mask", "response_mask")}
    with torch.no_grad():
        by_user = [network(**twice, user=torch.tensor([u, u])) for u in range(4)]
    assert len({tuple(values.tolist()) for values in by_user}) == 4
    somebody = losses_of(network, told, rows, objective(), arguments_for(tmp_path / "a"))
    nobody = replace(rows, user=np.zeros_like(rows.user))
    other = make_network(source, 4)
    assert somebody != losses_of(other, told, nobody, objective(), arguments_for(tmp_path / "b"))
    begun = make_network(source, 4).users.states
    assert not torch.equal(network.users.states, begun)
    assert torch.equal(other.users.states, begun)


def test_only_those_who_judged_move(source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    rows = replace(rows, user=np.where(rows.user == 2, 3, rows.user))
    network = make_network(source, 4)
    losses_of(network, told, rows, objective(), arguments_for(tmp_path))
    moved = (network.users.states - make_network(source, 4).users.states).abs().amax(dim=(1, 2))
    assert moved[1] == 0
    assert moved[0] > 0
    assert moved[2] > 0


@pytest.mark.parametrize("kind", ["individual", "cluster", "uniform"])
@pytest.mark.parametrize("tune", ["lora", "full", "soft-prompt"])
def test_what_is_to_be_trained_is_and_nothing_else(kind, tune, source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    network = make_network(source, 4, kind=kind, tune=tune)
    before = {name: w.detach().clone() for name, w in network.named_parameters()}
    goal = objective(personal=kind != "uniform")
    losses_of(network, told, rows, goal, arguments_for(tmp_path))
    moved = {n for n, w in network.named_parameters() if not torch.equal(w, before[n])}
    assert "users.shared" in moved
    assert ("users.states" in moved) == (kind != "uniform")
    own = {name for name in moved if not name.startswith("users.")}
    assert bool(own) == (tune != "soft-prompt")
    assert all("lora" in name for name in own) or tune == "full"


def test_alpha_mixes_the_losses_of_both_branches(source, told, tmp_path):
    """One step's loss at alpha .3 is .3 of the user's and .7 of the generic user's."""
    rows = with_reference(judged(), source, told[1])
    found = {}
    for alpha in (0.0, 0.3, 1.0):
        arguments = arguments_for(tmp_path / str(alpha), steps=1)
        network = make_network(source, 4)
        found[alpha] = losses_of(network, told, rows, objective(alpha), arguments)[0]
    assert found[0.3] == pytest.approx(0.3 * found[1.0] + 0.7 * found[0.0], rel=1e-5)
    assert found[0.0] != pytest.approx(found[1.0], rel=1e-4)


def test_the_sft_term_is_the_mean_log_prob_of_the_chosen_tokens(source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    found = {}
    for weight in (0.0, 0.5):
        goal = objective(personal=False, sft_weight=weight)
        arguments = arguments_for(tmp_path / str(weight), steps=1, pairs=24, pairs_per_pass=24)
        found[weight] = losses_of(make_network(source, 0), told, rows, goal, arguments)[0]
    lengths = np.array([told[1][i].n_response for i in rows.chosen])
    expected = -0.5 * (rows.ref_chosen / lengths).mean()
    assert found[0.5] - found[0.0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["sigmoid", "ipo"])
def test_which_response_stands_first_decides_nothing_where_labels_are_soft(kind):
    """A label c for one side is a label 1 - c for the other, with the SFT term too."""
    goal = objective(kind=kind, sft_weight=0.3)
    log_probs = torch.tensor([-3.0, -8.0, -2.0, -5.0, -1.0, -9.0])
    response = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 0, 0], [1, 1, 0]])
    confidence, ref = (
        torch.tensor([0.5, 0.8, 1.0]),
        torch.tensor([[-4.0, -7.0, -1.5], [-5, -2, -8]]),
    )
    given = {"response_mask": response, "confidence": confidence,
             "ref_chosen": ref[0], "ref_rejected": ref[1]}  # fmt: skip
    turned = {"response_mask": response.roll(3, 0), "confidence": 1 - confidence,
              "ref_chosen": ref[1], "ref_rejected": ref[0]}  # fmt: skip
    found = goal.losses(log_probs, given)
    torch.testing.assert_close(goal.losses(log_probs.roll(3), turned), found)
    plain = objective(kind=kind).losses(log_probs, given)
    # Row 0 is a tie of -3 over 2 tokens and -5 over 3; row 2 has a winner of -2 over 1.
    by_hand = 0.3 * torch.tensor([0.5 * 3 / 2 + 0.5 * 5 / 3, 0.8 * 8 / 3 + 0.2 * 1 / 1, 2.0])
    torch.testing.assert_close(found - plain, by_hand)


def test_accumulated_passes_are_one_batch(source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    whole = arguments_for(tmp_path / "a", pairs_per_pass=8, rate=1e-3)
    parts = arguments_for(tmp_path / "b", pairs_per_pass=2, rate=1e-3)
    assert (whole.gradient_accumulation_steps, parts.gradient_accumulation_steps) == (1, 4)
    found = losses_of(make_network(source, 4), told, rows, objective(), whole)
    in_parts = losses_of(make_network(source, 4), told, rows, objective(), parts)
    assert in_parts[0] == pytest.approx(found[0], rel=1e-5)
    assert in_parts == as_far_as(found)


@pytest.mark.parametrize(("tune", "n_tokens"), [("full", 4), ("lora", 0), ("soft-prompt", 4)])
def test_gradient_checkpointing_changes_no_step(tune, n_tokens, source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    found = []
    for checkpointing in (False, True):
        network = make_network(source, n_tokens, tune=tune)
        arguments = arguments_for(tmp_path / str(checkpointing))
        arguments.gradient_checkpointing = checkpointing
        goal = objective(personal=n_tokens > 0)
        found.append(losses_of(network, told, rows, goal, arguments))
    assert found[1] == as_far_as(found[0])
    assert found[0][0] != pytest.approx(found[0][-1], rel=1e-3)


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_a_killed_run_resumes_and_ends_with_the_same_bits(tune, source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    whole = make_network(source, 4, tune=tune)
    losses = losses_of(whole, told, rows, objective(), arguments_for(tmp_path / "a", steps=10))

    class Killed(Exception):
        pass

    def kill(_: str, done: int, __: int) -> None:
        if done == 6:
            raise Killed

    encoder, answers = told
    folder = tmp_path / "b"
    network = make_network(source, 4, tune=tune)
    with pytest.raises(Killed):
        train_policy(
            network, encoder.tokenizer, answers, rows, objective(),
            arguments_for(folder, steps=10), 1e-2, kill,
        )  # fmt: skip
    saved = sorted(folder.glob("checkpoint-*/trained.safetensors"))
    assert saved
    assert not list(folder.rglob("README.md"))
    resumed = make_network(source, 4, tune=tune)
    again = losses_of(resumed, told, rows, objective(), arguments_for(folder, steps=10))
    assert again == losses
    for (name, one), other in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other), name
    shutil.rmtree(folder)


def test_a_loss_that_is_no_number_stops_the_run(source, told, tmp_path):
    rows = with_reference(judged(), source, told[1])
    rows = replace(rows, ref_chosen=np.full(len(rows), np.nan))
    with pytest.raises(FailedError, match="diverged"):
        losses_of(make_network(source, 4), told, rows, objective(), arguments_for(tmp_path))


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("individual", {0.5: 4 * 4 * 32}), ("cluster", {0.5: 2 * 4 * 32, 5.0: 4 * 2})],
)
def test_users_have_a_rate_of_their_own_and_mixtures_another(kind, sizes, source, told, tmp_path):
    """Three users and the generic one: 4 tokens of 32 each, or 2 weights each of 2 x 4 tokens."""
    encoder, answers = told
    rows = with_reference(judged(), source, answers)
    with silenced():
        trainer = PolicyTrainer(
            objective=objective(),
            users_rate=0.5,
            model=make_network(source, 4, kind=kind),
            args=arguments_for(tmp_path, rate=1e-3),
            data_collator=PolicyCollator(answers),
            train_dataset=policy_dataset(rows),
            processing_class=encoder.tokenizer,
        )
    groups = trainer.create_optimizer().param_groups
    found = {group["lr"]: sum(w.numel() for w in group["params"]) for group in groups}
    language = sum(w.numel() for w in trainer.model.language.parameters())
    assert found == {1e-3: language, **sizes}
    assert {group["weight_decay"] for group in groups} == {0.0}


def test_training_says_nothing(source, told, tmp_path: Path, capfd):
    rows = with_reference(judged(), source, told[1])
    losses_of(make_network(source, 4), told, rows, objective(), arguments_for(tmp_path))
    assert capfd.readouterr().out == ""
