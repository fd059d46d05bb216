import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification
from trl import RewardTrainer

from plt.errors import FailedError
from plt.train.models.backbone import load_backbone, load_tokenizer
from plt.train.models.scalar_head import build_reward_model
from plt.train.models.source import resolve_model
from plt.train.tuning.trl import (
    DirectedPairs,
    PairCollator,
    PreferenceTrainer,
    Schedule,
    directed_pairs,
    last_checkpoint,
    preference_dataset,
    reward_arguments,
    silenced,
    train,
)
from tests.train.tiny_models import tiny_config, tiny_tokenizer

SCHEDULE = Schedule(epochs=1, learning_rate=1e-2, batch_size=4)


def arguments(folder, n_pairs, schedule=SCHEDULE, dtype=torch.float32, texts_per_pass=64):
    return reward_arguments(
        folder,
        schedule,
        n_pairs,
        seed=3,
        device=torch.device("cpu"),
        dtype=dtype,
        texts_per_pass=texts_per_pass,
    )


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory):
    """A stock reward model of transformers, with a head that is not zero."""
    folder = tmp_path_factory.mktemp("stock")
    config = tiny_config("llama")
    config.num_labels = 1
    torch.manual_seed(1)
    stock = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    stock.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ids(reward_folder):
    encoder = load_backbone(str(reward_folder), "cpu").encoder
    prompts = [[{"role": "user", "content": "q" * (i % 5)}] for i in range(24)]
    return encoder.encode(prompts, [f"answer {i}" * (1 + i % 3) for i in range(24)])


def hard_pairs(n=12):
    return DirectedPairs(np.arange(n), np.arange(n) + n, np.ones(n))


@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=1, max_size=8))
def test_directed_pairs_say_what_the_labels_say(labels):
    label = np.array(labels)
    a, b = np.arange(len(labels)), np.arange(len(labels)) + 100
    pairs = directed_pairs(a, b, label)
    assert (pairs.confidence >= 0.5).all()
    np.testing.assert_allclose(
        np.where(pairs.chosen == a, pairs.confidence, 1 - pairs.confidence), label
    )
    assert set(zip(pairs.chosen, pairs.rejected, strict=True)) <= {
        *zip(a, b, strict=True), *zip(b, a, strict=True)
    }  # fmt: skip
    assert pairs.n_ties == labels.count(0.5)
    swapped = directed_pairs(b, a, 1 - label)
    sided = label != 0.5
    assert np.array_equal(swapped.chosen[sided], pairs.chosen[sided])


@pytest.mark.parametrize("texts_per_pass", [64, 4])
def test_step_losses_are_those_of_the_stock_trainer(reward_folder, ids, tmp_path, texts_per_pass):
    pairs = hard_pairs()
    own = arguments(tmp_path / "own", 12, texts_per_pass=texts_per_pass)
    net = build_reward_model(resolve_model(str(reward_folder)), torch.float32)
    ours = train(net, tiny_tokenizer(), ids, pairs, own, lambda *_: None)
    stock_args = arguments(tmp_path / "stock", 12, texts_per_pass=texts_per_pass)
    stock_model = AutoModelForSequenceClassification.from_pretrained(
        reward_folder, num_labels=1, dtype=torch.float32
    )
    rows = Dataset.from_dict(
        {
            "chosen_ids": [ids[i].tolist() for i in pairs.chosen],
            "rejected_ids": [ids[i].tolist() for i in pairs.rejected],
        }
    )
    with silenced():
        trainer = RewardTrainer(
            stock_model, stock_args, train_dataset=rows, processing_class=tiny_tokenizer()
        )
        trainer.train()
    stock = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(ours) == len(stock) == 3
    np.testing.assert_allclose(ours, stock, atol=2e-6)
    assert len({round(loss, 4) for loss in ours}) == 3


def test_rows_that_the_length_filter_would_drop_are_learnt_from(reward_folder, tmp_path):
    long = [np.full(2_000 + i, 60, dtype=np.int32) for i in range(8)]
    pairs = DirectedPairs(np.arange(4), np.arange(4) + 4, np.ones(4))
    net = build_reward_model(resolve_model(str(reward_folder)), torch.float32)
    schedule = replace(SCHEDULE, batch_size=1)
    losses = train(
        net, tiny_tokenizer(), long, pairs, arguments(tmp_path, 4, schedule), lambda *_: None
    )
    assert len(losses) == 4


def loss_of(reward_folder, ids, tmp_path, pairs):
    net = build_reward_model(resolve_model(str(reward_folder)), torch.float32)
    with silenced():
        trainer = PreferenceTrainer(
            model=net,
            args=arguments(tmp_path, len(pairs)),
            data_collator=PairCollator(ids),
            train_dataset=preference_dataset(pairs),
            processing_class=load_tokenizer(resolve_model(str(reward_folder))),
        )
    batch = PairCollator(ids)(list(preference_dataset(pairs)))
    loss, outputs = trainer.compute_loss(net, batch, return_outputs=True)
    chosen, rejected = outputs.logits[:, 0].detach().double().chunk(2)
    return loss.item(), (chosen - rejected).numpy()


def test_soft_labels_and_ties_have_the_cross_entropy(reward_folder, ids, tmp_path):
    confidence = np.array([1.0, 0.7, 0.5, 0.9])
    pairs = DirectedPairs(np.arange(4), np.arange(4) + 4, confidence)
    loss, margin = loss_of(reward_folder, ids, tmp_path, pairs)
    probability = 1 / (1 + np.exp(-margin))
    expected = -confidence * np.log(probability) - (1 - confidence) * np.log(1 - probability)
    assert loss == pytest.approx(expected.mean(), abs=1e-6)
    hard, margin = loss_of(reward_folder, ids, tmp_path, hard_pairs(4))
    assert hard == pytest.approx(np.log1p(np.exp(-margin)).mean(), abs=1e-6)


def test_a_loss_that_is_no_number_stops_the_run(reward_folder, ids, tmp_path):
    net = build_reward_model(resolve_model(str(reward_folder)), torch.float32)
    with torch.no_grad():
        net.score.weight.fill_(float("nan"))
    with pytest.raises(FailedError, match="loss of step 1 is no number"):
        train(net, tiny_tokenizer(), ids, hard_pairs(), arguments(tmp_path, 12), lambda *_: None)


def test_training_says_nothing_and_reports_to_nobody(
    reward_folder, ids, tmp_path, capfd, monkeypatch
):
    monkeypatch.delenv("CI", raising=False)
    for place in (
        "huggingface_hub.utils.send_telemetry",
        "trl.trainer.base_trainer.send_telemetry",
    ):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("telemetry was sent"))
    net = build_reward_model(resolve_model(str(reward_folder)), torch.float32)
    seen = []
    capfd.readouterr()
    train(
        net, tiny_tokenizer(), ids, hard_pairs(), arguments(tmp_path, 12),
        lambda *call: seen.append(call),
    )  # fmt: skip
    assert capfd.readouterr() == ("", "")
    assert seen == [("training", step, 3) for step in (1, 2, 3)]


def test_arguments_leave_nothing_to_the_machine(tmp_path):
    found = arguments(tmp_path, 12)
    assert found.use_cpu
    assert not found.bf16
    assert not found.gradient_checkpointing
    assert found.report_to == []
    assert found.max_length is None
    assert arguments(tmp_path, 12, dtype=torch.bfloat16).bf16


@pytest.mark.parametrize(
    ("batch", "texts", "parts"),
    [(32, 64, (32, 1)), (32, 32, (16, 2)), (6, 5, (2, 3)), (7, 8, (1, 7)), (4, 1, (1, 4))],
)
def test_a_batch_is_accumulated_in_equal_parts_that_fit(tmp_path, batch, texts, parts):
    schedule = replace(SCHEDULE, batch_size=batch)
    found = arguments(tmp_path, 100, schedule, texts_per_pass=texts)
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == parts


def test_steps_of_a_schedule():
    assert Schedule(1, 1e-3, 4).steps(12) == 3
    assert Schedule(2, 1e-3, 4).steps(13) == 8
    assert Schedule(0.5, 1e-3, 4).steps(13) == 2
    assert math.isclose(SCHEDULE.learning_rate, 1e-2)


def test_a_half_written_checkpoint_is_not_the_last(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step in (5, 10, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (5, 10):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    for cut in ("", '{"epoch": 1'):
        (tmp_path / "checkpoint-20" / "trainer_state.json").write_text(cut)
        assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
