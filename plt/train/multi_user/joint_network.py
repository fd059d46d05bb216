"""One fine-tuned backbone that many users share, each with a head or soft tokens of their own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from plt.errors import DataError
from plt.train.heads.factor_fit import Factors
from plt.train.judgements import used_texts
from plt.train.method import IntArray, Judgements, Texts, TrainContext
from plt.train.models.backbone import load_tokenizer, pad_batch, pool
from plt.train.models.scalar_head import unwrapped
from plt.train.models.soft_tokens import soft_states
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import Ids
from plt.train.multi_user.joint_loop import JointNetwork, JointPlan, JointRows, JointTrainer
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import GENERIC, UserModel
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, network, refuse_float16
from plt.train.tuning.options import Tuning
from plt.train.tuning.saved import checkpoint_folder
from plt.train.tuning.settings import RewardSettings
from plt.train.tuning.tuned_reward import TunedReward

CHECKPOINT = "joint.safetensors"
USERS_RATE = 10.0
"""Times the backbone's rate: what a user has of their own moves in few of the steps."""


@dataclass(frozen=True)
class Sharing:
    """What users share, and how it is learnt.

    Attributes:
        shape: The user model.
        alpha: Weight of the loss as the user; the rest is the loss as the generic user.
        grouped: Whether a step reads all judgements of its pairs.
        users_rate: Learning rate of what users have of their own; None is `USERS_RATE` times the
            backbone's.
        averaging: ``users`` counts every user the same however many answers they gave.
    """

    shape: UserModelShape
    alpha: float = 1.0
    grouped: bool = True
    users_rate: float | None = None
    averaging: Literal["rows", "users"] = "rows"

    def plan(self, tuning: Tuning) -> JointPlan:
        """How the loop runs; a uniform model has one branch whatever alpha is."""
        schedule = tuning.schedule
        rate = self.users_rate or USERS_RATE * schedule.learning_rate
        alpha = self.alpha if self.shape.personal else 0.0
        return JointPlan(schedule, rate, alpha, self.grouped)


@dataclass(frozen=True)
class FitIdentity:
    """What one fit is made of, so that no other resumes from its checkpoint.

    Attributes:
        tuning: How the backbone is tuned.
        sharing: How users share it.
        n_users: U.
        form: What users are besides: heads, or soft tokens of some kind.
    """

    tuning: Tuning
    sharing: Sharing
    n_users: int
    form: str


class HeadNetwork:
    """r = <e_u, h(x)>: a text is read once, and every user is a head on what was read.

    Args:
        net: As `plt.train.tuning.network.network`; its own scalar head is not used.
        users: The heads, as user models of one token.
        device: Where to compute.
    """

    shares_texts = True

    def __init__(self, net: Any, users: UserModel, device: torch.device) -> None:
        self.net = net.to(device)
        self.users = users.to(device)
        self.device = device

    def shared(self) -> list[nn.Parameter]:
        """The trained weights of the backbone, then what heads share."""
        head = head_of(self.net)
        body = [weight for weight in self.net.parameters() if weight.requires_grad]
        return [*(weight for weight in body if weight is not head), *_common(self.users)]

    def rewards(self, ids: Sequence[Ids], text: IntArray, user: IntArray) -> Tensor:
        """Rewards (m,) of ids[text[i]] for user[i], float32."""
        read, place = np.unique(text, return_inverse=True)
        tokens, mask = pad_batch([ids[i] for i in read])
        vectors = unwrapped(self.net).vectors(tokens.to(self.device), mask.to(self.device))
        people, who = np.unique(user, return_inverse=True)
        with torch.autocast(self.device.type, enabled=False):
            heads = self.users(torch.from_numpy(people).to(self.device))[:, 0]
            # Gradients of index_select are summed in the order of the rows: the same bits again.
            by_text = vectors.index_select(0, torch.from_numpy(place).to(self.device))
            by_user = heads.index_select(0, torch.from_numpy(who).to(self.device))
            rewards: Tensor = (by_text * by_user).sum(dim=1)
        return rewards


class PromptNetwork:
    """r = <score, h(e_u, x)>: a text is read behind the soft tokens of a user.

    Args:
        net: As `plt.train.tuning.network.network`.
        users: The soft tokens.
        at: Tokens of every text that stay in front of them.
        device: Where to compute.
    """

    shares_texts = False

    def __init__(self, net: Any, users: UserModel, at: int, device: torch.device) -> None:
        self.net = net.to(device)
        self.users = users.to(device)
        self.at = at
        self.device = device

    def shared(self) -> list[nn.Parameter]:
        """The trained weights of the backbone and its head, then what soft tokens share."""
        body = [weight for weight in self.net.parameters() if weight.requires_grad]
        return [*body, *_common(self.users)]

    def rewards(self, ids: Sequence[Ids], text: IntArray, user: IntArray) -> Tensor:
        """Rewards (m,) of ids[text[i]] for user[i], in one forward pass, float32."""
        tokens, mask = pad_batch([ids[i] for i in text])
        people, who = np.unique(user, return_inverse=True)
        model = unwrapped(self.net)
        own = self.users(torch.from_numpy(people).to(self.device))
        soft = own.index_select(0, torch.from_numpy(who).to(self.device))
        states, mask = soft_states(
            model.body, tokens.to(self.device), mask.to(self.device), soft, self.at
        )
        with torch.autocast(self.device.type, enabled=False):
            source: ModelSource = model.source
            pooled = pool(states.float(), mask, source.pooling, source.normalize) * model.scale
            rewards: Tensor = model.score(pooled)[:, 0]
        return rewards


def head_of(net: Any) -> nn.Parameter:
    """The scalar head that learns, shape (1, d)."""
    (weight,) = (w for w in unwrapped(net).score.parameters() if w.requires_grad)
    return weight


def _common(users: UserModel) -> list[nn.Parameter]:
    return [w for w in users.parameters() if w.requires_grad and w is not users.states]


def head_users(
    shape: UserModelShape, n_users: int, head: Tensor, generator: torch.Generator
) -> UserModel:
    """Heads to begin training with: everybody has the head of the model, which is 0 for most.

    A cluster model begins where factors on frozen features do: coordinates and vectors are drawn
    (`plt.train.heads.factor_fit.random_factors`), around the head of the model where weights are
    shares.

    Args:
        shape: Which user model, of one token.
        n_users: U.
        head: (1, d).
        generator: Of what is drawn.
    """
    # Parameters of their own: without copies they would be the head of the model itself.
    head, d = head.clone(), head.shape[1]
    if shape.kind == "cluster":
        weights = torch.randn(n_users + 1, shape.n_clusters, generator=generator)
        vectors = torch.randn(shape.n_clusters, 1, d, generator=generator) / d**0.5
        vectors = vectors + head if shape.simplex else vectors
        return UserModel(shape, vectors, weights[0], weights[1:])
    if shape.kind == "uniform":
        return UserModel(shape, head, None, head.new_zeros(n_users, 0))
    own = torch.zeros_like(head) if shape.generic_offset else head
    return UserModel(shape, head, None, own.repeat(n_users, 1, 1))


def _from_factors(shape: UserModelShape, start: Factors, scale: float) -> UserModel:
    basis, coordinates = (torch.from_numpy(x).float() for x in (start.basis, start.coordinates))
    # What the heads read is the frozen feature times this scale.
    return UserModel(shape, basis[:, None] / scale, coordinates.mean(dim=0), coordinates)


def joint_rows(
    judgements: Judgements, users: Sequence[str], sharing: Sharing
) -> tuple[Texts, JointRows]:
    """The rows that move a weight, over texts that are not tokenised yet.

    Raises:
        DataError: There is none.
    """
    names = {user: place + 1 for place, user in enumerate(users)}
    places = np.array([names.get(user, GENERIC) for user in judgements.users] + [GENERIC])
    user = places[judgements.user]
    if sharing.alpha == 1 and sharing.shape.personal:
        # A judgement of nobody trains the generic user, which has no branch.
        judgements, user = judgements.select(user != GENERIC), user[user != GENERIC]
    n = len(judgements)
    if not n:
        raise DataError("there is no judgement to learn a reward from", hint="plt dataset-stats")
    weight = np.ones(n)
    if sharing.averaging == "users":
        counts = np.bincount(user)
        weight = n / (np.count_nonzero(counts) * counts[user])
    texts, used = used_texts(judgements.texts, np.concatenate([judgements.a, judgements.b]))
    rows = JointRows([], used[:n], used[n:], judgements.pair, user, judgements.label, weight)
    return texts, rows


def train_network(
    model: JointNetwork,
    texts: Texts,
    rows: JointRows,
    identity: FitIdentity,
    source: ModelSource,
    ctx: TrainContext,
) -> tuple[list[float], str]:
    """Trains in place; the losses of all steps, and the fit in words.

    Raises:
        UsageError: The dtype is float16, whose gradients vanish.
        FailedError: A loss is no number.
    """
    refuse_float16(ctx.compute.dtype)
    columns = (rows.a, rows.b, rows.pair, rows.user, rows.label, rows.weight)
    folder = checkpoint_folder(texts, columns, source, identity, ctx)
    trainer = JointTrainer(
        model,
        rows,
        identity.sharing.plan(identity.tuning),
        seed=training_seed(ctx.seed),
        device=resolve_device(ctx.compute.device),
        dtype=resolve_dtype(ctx.compute.dtype),
        texts_per_pass=ctx.compute.batch_size,
    )
    losses = trainer.run(folder / CHECKPOINT, ctx.compute.progress, ctx.before_checkpoint)
    return losses, (f"{len(losses)} steps, loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last")


def fit_heads(
    judgements: Judgements,
    users: Sequence[str],
    settings: RewardSettings,
    sharing: Sharing,
    ctx: TrainContext,
    start: Factors | None = None,
) -> tuple[TunedReward, UserModel, str]:
    """A backbone that is fine-tuned under the heads of all users at once.

    Args:
        judgements: What is learnt from; no validation rows.
        users: Whose heads, sorted; empty for a uniform model.
        settings: Backbone and training.
        sharing: The user model, of one token, and the loss.
        ctx: Seed, work directory, device, dtype, progress.
        start: Where the factors of a cluster model begin, on the features of the frozen backbone;
            None draws them.

    Returns:
        The backbone, whose own head is the generic user's (the first user's where that is 0, so
        that what is checked on loading depends on the weights); the heads, on the CPU; and the fit
        in words.

    Raises:
        DataError: There is no judgement to learn from.
        FailedError: A loss is no number.
    """
    tuning = settings.tuning()
    source = resolve_model(settings.model)
    encoder = encoder_of(load_tokenizer(source), source, tuning.max_length)
    seed = training_seed(ctx.seed)
    net = network(source, tuning, ctx.compute.dtype, seed)
    generator = torch.Generator().manual_seed(seed)
    heads = head_users(sharing.shape, len(users), head_of(net).detach(), generator)
    form = "heads"
    if start is not None:
        heads = _from_factors(sharing.shape, start, unwrapped(net).scale)
        form = hashlib.sha256(start.basis.tobytes() + start.coordinates.tobytes()).hexdigest()
    texts, rows = joint_rows(judgements, users, sharing)
    rows = replace(rows, ids=encoder.encode(texts.prompts, texts.responses))
    model = HeadNetwork(net, heads, resolve_device(ctx.compute.device))
    identity = FitIdentity(tuning, sharing, len(users), form)
    losses, how = train_network(model, texts, rows, identity, source, ctx)
    _show(net, model.users.cpu())
    tuned = TunedReward(source, tuning, ctx.compute.dtype, losses, net.eval(), encoder)
    return tuned, model.users, how


@torch.no_grad()
def _show(net: Any, heads: UserModel) -> None:
    """Makes a head of the table the head of the model, for what is checked on loading."""
    found = heads.table()[:, 0]
    shown = found[0] if bool(found[0].any()) or len(found) == 1 else found[1]
    head_of(net).copy_(shown)
