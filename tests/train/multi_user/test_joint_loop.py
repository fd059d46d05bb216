"""The joint loop against TRL's, against one row at a time, and against a killed run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from plt.errors import ArtifactError, FailedError, UsageError
from plt.train.judgements import read_judgements
from plt.train.method import Compute, Judgements, TrainContext, silent
from plt.train.models.backbone import load_tokenizer
from plt.train.models.source import resolve_model
from plt.train.multi_user.fine_tune import fine_tune
from plt.train.multi_user.joint_loop import JointPlan, JointRows, JointTrainer, plan_steps
from plt.train.multi_user.joint_network import (
    HeadNetwork,
    PromptNetwork,
    Sharing,
    fit_heads,
    head_users,
)
from plt.train.multi_user.stacked_loop import row_order
from plt.train.people.shape import UserKind, UserModelShape
from plt.train.people.soft_users import make_user_model
from plt.train.tuning.network import encoder_of, network
from plt.train.tuning.options import Tuning
from plt.train.tuning.settings import RewardSettings
from plt.train.tuning.trl import Schedule
from tests.train.methods.tables import judged

FAST = RewardSettings(
    model="builtin:tiny",
    tune="lora",
    epochs=2.0,
    pairs_per_step=4,
    learning_rate=1e-3,
    max_length=48,
)
CPU = Compute(device="cpu")
N_USERS = 3


@pytest.fixture(scope="module")
def judgements() -> Judgements:
    return read_judgements(judged({"a": 1.0, "b": 0.0, "c": 0.5}, 6))


def rows_of(pairs: list[int], users: list[int] | None = None) -> JointRows:
    n = len(pairs)
    pair = np.array(pairs)
    user = np.arange(n) % N_USERS + 1 if users is None else np.array(users)
    ids = [
        np.arange(3 + text % 5, dtype=np.int32) + 10 * text for text in range(2 * max(pairs) + 2)
    ]
    label = np.arange(n) % 4 / 3
    return JointRows(ids, 2 * pair, 2 * pair + 1, pair, user, label, np.linspace(0.5, 1.5, n))


def trainer(
    rows: JointRows,
    plan: JointPlan,
    kind: UserKind = "individual",
    *,
    soft: bool = False,
    n: int = 99,
) -> JointTrainer:
    net = network(resolve_model("builtin:tiny"), Tuning(lora_rank=4), "float32")
    generator = torch.Generator().manual_seed(0)
    device = torch.device("cpu")
    model: HeadNetwork | PromptNetwork
    width = net.config.hidden_size
    if soft:
        shape = UserModelShape(kind, 2)
        start = torch.randn(shape.n_prompts(N_USERS) * 2, width, generator=generator)
        model = PromptNetwork(net, make_user_model(shape, N_USERS, start, generator), 1, device)
    else:
        head = torch.randn(1, width, generator=generator)
        model = HeadNetwork(
            net, head_users(UserModelShape(kind, 1), N_USERS, head, generator), device
        )
    # At its start a head of 0 or an adapter without effect would hide half of all gradients.
    with torch.no_grad():
        for weight in model.shared():
            if not weight.any():
                weight.normal_(std=0.1, generator=generator)
    return JointTrainer(
        model, rows, plan, seed=0, device=device, dtype=torch.float32, texts_per_pass=n
    )


def gradients(found: JointTrainer, steps: list[list[int]]) -> torch.Tensor:
    """Of the sum of the losses of some judgements."""
    weights = [*found.shared, found.network.users.states]
    for weight in weights:
        weight.grad = None
    for step in steps:
        before = [None if w.grad is None else w.grad.clone() for w in weights]
        for weight in weights:
            weight.grad = None
        found.gradients(np.array(step))
        for weight, old in zip(weights, before, strict=True):
            assert weight.grad is not None
            weight.grad *= len(step)
            if old is not None:
                weight.grad += old
    return torch.cat([w.grad.reshape(-1) for w in weights if w.grad is not None])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_texts_read_once_give_the_gradients_of_rows_read_one_by_one(
    soft: bool, alpha: float
) -> None:
    rows = rows_of([0, 1, 0, 2, 1, 0, 0], [1, 2, 3, 1, 1, 2, 0])
    plan = JointPlan(Schedule(1, 1e-3, 7), 1e-2, alpha)
    together, apart = (trainer(rows, plan, soft=soft, n=n) for n in (99, 1))
    all_at_once = gradients(together, [list(range(7))])
    one_by_one = gradients(apart, [[row] for row in range(7)])
    largest = float(one_by_one.abs().max())
    assert largest > 1e-2
    assert float((all_at_once - one_by_one).abs().max()) < 1e-5 * largest
    if not soft:
        # Three pairs have six texts, judged seven times.
        assert (together.texts_read, apart.texts_read) == (6, 14)


@pytest.mark.parametrize("kind", ["individual", "cluster"])
@pytest.mark.parametrize("soft", [False, True])
def test_alpha_decides_who_is_moved(kind: UserKind, soft: bool) -> None:
    """RM-05 (d): no user at alpha 0, and no generic user at alpha 1 unless others contain it."""
    rows = rows_of([0, 1, 2, 0])
    for alpha in (0.0, 1.0):
        found = trainer(rows, JointPlan(Schedule(1, 1e-3, 4), 1e-2, alpha), kind, soft=soft)
        users = found.network.users
        gradients(found, [[0, 1, 2, 3]])
        own, generic = users.states.grad, users.shared.grad
        assert own is not None
        assert generic is not None
        assert bool(own.any()) == (alpha == 1)
        if users.generic is not None:
            assert users.generic.grad is not None
            assert bool(users.generic.grad.any()) == (alpha == 0)
        else:
            assert generic.any()


@pytest.mark.parametrize("simplex", [True, False])
def test_a_cluster_model_is_a_mixture_of_shared_rewards(simplex: bool) -> None:
    """RM-05: w_u V h(x) has the form of PReF, and that of LoRe where w_u is a softmax."""
    net = network(resolve_model("builtin:tiny"), Tuning(lora_rank=4), "float32")
    shape = UserModelShape("cluster", 1, 2, simplex)
    head = torch.zeros(1, net.config.hidden_size)
    users = head_users(shape, N_USERS, head, torch.Generator().manual_seed(0))
    model = HeadNetwork(net, users, torch.device("cpu"))
    rows = rows_of([0, 1])
    text, user = np.array([0, 3, 1]), np.array([1, 3, 0])
    found = model.rewards(rows.ids, text, user).detach()
    for i, (one, who) in enumerate(zip(text, user, strict=True)):
        tokens = torch.from_numpy(rows.ids[one][None].astype(np.int64))
        h = net.get_base_model().vectors(tokens, torch.ones_like(tokens))[0]
        assert users.generic is not None
        coordinates = users.generic if who == 0 else users.states[who - 1]
        w = coordinates.softmax(dim=0) if simplex else coordinates
        assert float(found[i]) == pytest.approx(
            float((w @ (users.shared[:, 0] @ h)).detach()), abs=1e-5
        )


def test_without_shared_pairs_groups_change_nothing() -> None:
    rows = rows_of([4, 2, 7, 0, 1, 9, 3])
    for epochs in (0.5, 1.0, 2.5):
        schedule = Schedule(epochs, 1e-3, 3)
        alone, grouped = (
            plan_steps(rows, JointPlan(schedule, 1e-2, grouped=grouped), 5)
            for grouped in (False, True)
        )
        assert len(alone) == schedule.steps(7)
        assert all(np.array_equal(*steps) for steps in zip(alone, grouped, strict=True))
    assert np.array_equal(alone[0], row_order(7, 5, 0)[:3])


def test_a_grouped_step_is_whole_pairs_and_never_few_of_them() -> None:
    pairs = np.repeat(np.arange(10), 6).tolist()
    rows = rows_of(pairs)
    steps = plan_steps(rows, JointPlan(Schedule(2, 1e-3, 12), 1e-2, grouped=True), 0)
    assert [len(step) for step in steps] == [24, 24, 12] * 2
    for step in steps:
        assert (np.bincount(rows.pair[step], minlength=10) % 6 == 0).all()
    assert (np.bincount(np.concatenate(steps)) == 2).all()


def test_a_user_without_a_judgement_in_a_step_does_not_move() -> None:
    rows = rows_of([0, 1, 2, 3], [1, 1, 2, 2])
    found = trainer(rows, JointPlan(Schedule(1, 1e-3, 2), 1e-2, 0.5))
    found.steps = [np.array([0, 1]), np.array([2, 3]), np.array([0, 1])]
    seen = []
    for number in range(3):
        found._step(number)
        seen.append(found.network.users.states.detach().clone())
    assert torch.equal(seen[0][0], seen[1][0])
    assert not torch.equal(seen[1][0], seen[2][0])
    assert not seen[2][2].any()


def test_uniform_heads_are_the_reward_model_of_trl(judgements: Judgements, tmp_path: Path) -> None:
    """RM-05 (a), by another loop: the same up to rounding."""
    ctx = TrainContext(0, tmp_path, CPU)
    vanilla = fine_tune(judgements, FAST, ctx)
    sharing = Sharing(UserModelShape("uniform", 1), 0.5, grouped=False)
    uniform, heads, _ = fit_heads(judgements, (), FAST, sharing, ctx)
    expected = vanilla.reward(judgements.texts, CPU)
    assert np.ptp(expected) > 1e-3
    assert np.abs(uniform.reward(judgements.texts, CPU) - expected).max() < 1e-6
    assert uniform.losses == pytest.approx(vanilla.losses, abs=1e-6)
    vectors = uniform.vectors(judgements.texts, CPU).astype(np.float64)
    by_head = vectors @ heads.shared[0].detach().double().numpy()
    assert np.abs(by_head - expected).max() < 1e-6


@pytest.mark.parametrize("kind", ["individual", "cluster"])
def test_a_killed_run_resumes_and_ends_with_the_same_bits(
    judgements: Judgements, tmp_path: Path, kind: UserKind
) -> None:
    def fit(folder: str, progress: Callable[[str, int, int], None]) -> torch.Tensor:
        ctx = TrainContext(0, tmp_path / folder, Compute("cpu", progress=progress))
        sharing = Sharing(UserModelShape(kind, 1, 2), 0.5)
        backbone, heads, how = fit_heads(judgements, judgements.users, FAST, sharing, ctx)
        assert how.startswith("6 steps, ")
        vectors = torch.from_numpy(backbone.vectors(judgements.texts, CPU))
        return torch.cat([vectors.reshape(-1), heads.table().detach().reshape(-1)])

    def kill(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    steps: list[int] = []

    def count(what: str, done: int, total: int) -> None:
        steps.append(done)

    whole = fit("whole", silent)
    with pytest.raises(KeyboardInterrupt):
        fit("killed", kill)
    resumed = fit("killed", count)
    assert steps == [5, 6]
    assert torch.equal(resumed, whole)


def test_no_checkpoint_is_written_that_is_forbidden(judgements: Judgements, tmp_path: Path) -> None:
    def forbidden() -> None:
        raise ArtifactError("another process makes this run")

    ctx = TrainContext(0, tmp_path, CPU, before_checkpoint=forbidden)
    sharing = Sharing(UserModelShape("individual", 1), 0.5)
    with pytest.raises(ArtifactError, match="another process"):
        fit_heads(judgements, judgements.users, FAST, sharing, ctx)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_float16_is_refused_and_a_diverged_run_is_named(
    judgements: Judgements, tmp_path: Path
) -> None:
    sharing = Sharing(UserModelShape("individual", 1), 0.5)
    half = TrainContext(0, tmp_path, Compute("cpu", dtype="float16"))
    with pytest.raises(UsageError, match="float16"):
        fit_heads(judgements, judgements.users, FAST, sharing, half)
    found = trainer(rows_of([0, 1]), JointPlan(Schedule(1, 1e-3, 2), 1e-2))
    with torch.no_grad():
        found.network.users.shared[0, 0] = float("inf")
    with pytest.raises(FailedError, match="training diverged: the loss of step 1 is no number"):
        found.run(None, silent)


def test_a_damaged_checkpoint_is_named(judgements: Judgements, tmp_path: Path) -> None:
    sharing = Sharing(UserModelShape("individual", 1), 0.5)
    brief = replace(FAST, epochs=0.5)
    fit_heads(judgements, judgements.users, brief, sharing, TrainContext(0, tmp_path, CPU))
    (path,) = tmp_path.glob("checkpoints/*/joint.safetensors")
    path.write_bytes(b"12")
    with pytest.raises(ArtifactError, match="cannot be read") as caught:
        fit_heads(judgements, judgements.users, brief, sharing, TrainContext(0, tmp_path, CPU))
    assert caught.value.hint == f"rm {path}"


def test_what_is_read_beside_a_text_changes_no_reward(judgements: Judgements) -> None:
    """RM-05 (f): padding is never read, whatever stands in front of the text."""
    source = resolve_model("builtin:tiny")
    encoder = encoder_of(load_tokenizer(source), source, 48)
    ids = encoder.encode(judgements.texts.prompts, judgements.texts.responses)
    ids = [*ids[:3], np.zeros(90, dtype=np.int32)]
    model = trainer(rows_of([0]), JointPlan(Schedule(1, 1e-3, 4), 1e-2), soft=True).network

    def read(texts: list[int]) -> list[float]:
        found = model.rewards(ids, np.array(texts), np.ones(len(texts), dtype=np.int64))
        return [float(reward) for reward in found.detach()]

    alone = [read([text])[0] for text in range(3)]
    assert read([0, 1, 2, 3])[:3] == pytest.approx(alone, abs=1e-5)
