"""A fine-tuned reward model that reads every text behind the soft tokens of a person.

P-RM with the soft prompt of Li et al. 2024 (P-RLHF, section 4 and appendix F.2).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from plt.data.tables.files import atomic_path, write_text
from plt.errors import ArtifactError, FailedError
from plt.train.method import Compute, FloatArray, IntArray, Judgements, Texts, TrainContext
from plt.train.models.backbone import load_tokenizer
from plt.train.models.probes import PROBES, check_probes
from plt.train.models.scalar_head import HEAD
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import WINDOW_TEXTS, TextEncoder, window_batches
from plt.train.multi_user.joint_loop import JointPlan, JointTrainer
from plt.train.multi_user.joint_network import (
    FitIdentity,
    PromptNetwork,
    Sharing,
    joint_rows,
    train_network,
)
from plt.train.people.soft_users import (
    GENERIC,
    TokenStart,
    UserModel,
    make_user_model,
    starting_rows,
)
from plt.train.people.words import profiled, with_profiles
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, network
from plt.train.tuning.options import Tuning
from plt.train.tuning.row_adam import own_turns
from plt.train.tuning.saved import (
    lasting_name,
    put_weights,
    refuse_other_weights,
    same_source,
    trained_weights,
)
from plt.train.tuning.settings import RewardSettings

WEIGHTS = "soft.safetensors"
RECORD = "soft.json"
VERSION = 1
USERS = "users."
ADAPT_STEPS = 50


@dataclass(frozen=True)
class SoftSettings:
    """What a soft prompt adds to the settings of a reward model.

    Attributes:
        sharing: User model and loss.
        train_backbone: Whether the backbone is adapted too; its scalar head always is.
        token_start: What soft tokens begin as.
    """

    sharing: Sharing
    train_backbone: bool = True
    token_start: TokenStart = "vocabulary"


@dataclass(frozen=True, eq=False)
class SoftPromptReward:
    """r(x, y, u) = <score, h(e_u, x, y)>; made by `fit` or `load`.

    Attributes:
        source: The model it began from.
        tuning: How it was tuned.
        soft: What of it is a soft prompt.
        dtype: Of forward passes.
        losses: Mean loss of every step.
        net: The torch model, of which device is the only state that changes.
        tokens: The soft tokens, on the CPU.
        names: Users with soft tokens of their own, sorted.
        profiles: What users say of themselves.
        encoder: How texts become token ids; T_u tokens of the window are left to the user.
    """

    source: ModelSource
    tuning: Tuning
    soft: SoftSettings
    dtype: str
    losses: Sequence[float]
    net: Any = field(repr=False)
    tokens: UserModel = field(repr=False)
    names: tuple[str, ...]
    profiles: Mapping[str, str] = field(repr=False)
    encoder: TextEncoder = field(repr=False)

    @property
    def users(self) -> tuple[str, ...]:
        """Whose reward is not that of everybody else, sorted."""
        own = self.names if self.soft.sharing.shape.personal else ()
        return tuple(dict.fromkeys([*own, *self.profiles]))

    @classmethod
    def fit(
        cls,
        train: Judgements,
        users: Sequence[str],
        profiles: Mapping[str, str],
        settings: RewardSettings,
        soft: SoftSettings,
        ctx: TrainContext,
    ) -> tuple[Self, tuple[str, ...]]:
        """Trains backbone, scalar head and soft tokens together.

        Args:
            train: Training rows.
            users: Who is named in them, sorted.
            profiles: What some of them say of themselves; read in both branches.
            settings: Backbone and training.
            soft: User model, loss, and what is trained.
            ctx: Seed, work directory, device, dtype, progress.

        Returns:
            The model, and what must be said of the fit.

        Raises:
            DataError: There is no judgement to learn from.
            FailedError: A loss is no number.
        """
        tuning, seed = settings.tuning(), training_seed(ctx.seed)
        source = resolve_model(settings.model)
        encoder = _encoder(source, tuning, soft)
        net = _network(source, tuning, soft, ctx.compute.dtype, seed)
        shape, generator = soft.sharing.shape, torch.Generator().manual_seed(seed)
        n_rows = shape.n_prompts(len(users)) * shape.n_tokens
        embedding = net.get_input_embeddings()
        start, note = starting_rows(embedding, n_rows, soft.token_start, generator)
        tokens = make_user_model(shape, len(users), start, generator)
        texts, rows = joint_rows(profiled(train, profiles), users, soft.sharing)
        rows = replace(rows, ids=encoder.encode(texts.prompts, texts.responses))
        device = resolve_device(ctx.compute.device)
        model = PromptNetwork(net, tokens, len(encoder.prefix), device)
        identity = FitIdentity(tuning, soft.sharing, len(users), str(soft))
        losses, how = train_network(model, texts, rows, identity, source, ctx)
        fitted = cls(
            source, tuning, soft, ctx.compute.dtype, losses, net.eval(), model.users.cpu(),
            tuple(users), dict(profiles), encoder,
        )  # fmt: skip
        return fitted, (how,) if note is None else (how, note)

    def reward(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Rewards of shape (len(rows),): of text rows[i] for users[i].

        A pass holds texts of one user, so that nobody's last bits depend on who else is asked for.

        Raises:
            FailedError: A reward is no number.
        """
        places: dict[str | None, int] = {user: n + 1 for n, user in enumerate(self.names)}
        read, row = with_profiles(texts, rows, users, self.profiles)
        code = np.array([places.get(user, GENERIC) for user in users], dtype=np.int64)
        model = self._on(resolve_device(compute.device))
        rewards = np.zeros(len(rows))
        people = np.unique(code)
        for done, person in enumerate(people):
            compute.progress("scoring users", done, len(people))
            mine = code == person
            wanted, inverse = np.unique(row[mine], return_inverse=True)
            rewards[mine] = self._read(model, read, wanted, int(person), compute)[inverse]
        if not np.isfinite(rewards).all():
            raise FailedError(
                f"{int((~np.isfinite(rewards)).sum())} of {len(rewards)} rewards are no numbers,"
                f" in {self.dtype}",
                hint="--dtype float32",
            )
        return rewards

    def _on(self, device: torch.device) -> PromptNetwork:
        # A copy of the tokens: what this object holds stays on the CPU.
        tokens = self.tokens.with_states(self.tokens.states)
        return PromptNetwork(self.net, tokens, len(self.encoder.prefix), device)

    def _read(
        self, model: PromptNetwork, texts: Texts, wanted: IntArray, person: int, compute: Compute
    ) -> FloatArray:
        """Rewards of some texts for one person."""
        order = wanted[np.argsort([-len(texts.responses[i]) for i in wanted], kind="stable")]
        found = np.zeros(len(texts))
        dtype = resolve_dtype(self.dtype)
        autocast = torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32)
        for start in range(0, len(order), WINDOW_TEXTS):
            window = order[start : start + WINDOW_TEXTS]
            for places, ids in window_batches(self.encoder, texts, window, compute.batch_size):
                people = np.full(len(ids), person)
                with torch.inference_mode(), autocast:
                    rewards = model.rewards(ids, np.arange(len(ids)), people)
                found[window[places]] = rewards.double().cpu().numpy()
        return found[wanted]

    def adapted(
        self,
        judgements: Judgements,
        profiles: Mapping[str, str],
        steps: int,
        ctx: TrainContext,
    ) -> Self:
        """A copy that knows the named judges, each with soft tokens fitted to their rows alone.

        Everything else is frozen, and of the loss only the user's branch counts. Each newcomer
        starts as the generic user; all learn side by side, nobody by what others answered.

        Args:
            judgements: Of the newcomers.
            profiles: What some of them, and perhaps others, say of themselves.
            steps: Of the optimiser, for each.
            ctx: Seed, device, progress.
        """
        known = dict(zip(self.names, self.tokens.states.detach(), strict=True))
        said = dict(profiles)
        named = judgements.select(judgements.user >= 0)
        if self.soft.sharing.shape.personal:
            if len(named):
                with _frozen(self.net):
                    found = self._placed(profiled(named, said), steps, ctx)
                known.update(zip(named.users, found, strict=True))
            for user in said:
                known.setdefault(user, self.tokens.newcomer_state().detach())
        names = tuple(known)  # in the order that they were met
        states = torch.stack([known[name] for name in names]) if names else self.tokens.states
        return replace(
            self,
            tokens=self.tokens.with_states(states),
            names=names,
            profiles={**self.profiles, **said},
        )

    def _placed(self, own: Judgements, steps: int, ctx: TrainContext) -> Tensor:
        """The states of newcomers, in the order of `own.users`."""
        alone = replace(self.soft.sharing, alpha=1.0, grouped=False)
        texts, rows = joint_rows(own, own.users, alone)
        rows = replace(rows, ids=self.encoder.encode(texts.prompts, texts.responses))
        turns = own_turns(rows.user, steps, self.tuning.batch_size, training_seed(ctx.seed))
        # A step is the sum of everybody's mean loss: nobody's rate depends on how many others come.
        mine = np.bincount(rows.user[turns[0]], minlength=len(own.users) + 1)
        rows = replace(rows, weight=len(turns[0]) / mine[rows.user])
        state = self.tokens.newcomer_state()
        device = resolve_device(ctx.compute.device)
        tokens = self.tokens.with_states(state.expand(len(own.users), *state.shape))
        tokens.shared.requires_grad_(False)
        if tokens.generic is not None:
            tokens.generic.requires_grad_(False)
        model = PromptNetwork(self.net, tokens, len(self.encoder.prefix), device)
        trainer = JointTrainer(
            model,
            rows,
            JointPlan(self.tuning.schedule, alone.plan(self.tuning).users_rate, 1.0),
            seed=training_seed(ctx.seed),
            device=device,
            dtype=resolve_dtype(self.dtype),
            texts_per_pass=ctx.compute.batch_size,
            steps=turns,
        )
        trainer.run(None, ctx.compute.progress)
        return model.users.states.detach().cpu()

    def at(self, share: float) -> Self | None:
        """A copy in which users have a share of their soft tokens; None where profiles are read."""
        if self.profiles or not self.users:
            return None
        return replace(self, tokens=self.tokens.at(share))

    def save(self, path: Path) -> None:
        """Writes trained weights, soft tokens, users, profiles and what they stand on.

        Args:
            path: The folder; the JSON is written last, so half an artifact is never read.
        """
        tokens = {f"{USERS}{n}": w.contiguous() for n, w in self.tokens.state_dict().items()}
        with atomic_path(path / WEIGHTS) as temporary:
            temporary.write_bytes(save({**trained_weights(self.net), **tokens}))
        record = {
            "version": VERSION,
            "model": lasting_name(self.source),
            "fingerprint": self.source.fingerprint,
            "tuning": asdict(self.tuning),
            "dtype": self.dtype,
            "names": self.names,
            "profiles": self.profiles,
            "losses": list(self.losses),
            "probes": self._probes().tolist(),
        }
        write_text(path / RECORD, json.dumps(record, indent=1, sort_keys=True))

    @classmethod
    def load(cls, path: Path, soft: SoftSettings) -> Self:
        """The inverse of `save`; scores the probes again and compares.

        Args:
            path: The folder.
            soft: As in `fit`; stands in the config of the method.

        Raises:
            ArtifactError: Something is missing or damaged, the model it began from is not there
                or has changed, or the scores are not those of the model that was saved.
        """
        try:
            record = json.loads((path / RECORD).read_text(encoding="utf-8"))
            weights = load_file(path / WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise ArtifactError(f"{path} holds no readable reward model: {error}") from error
        if record.get("version") != VERSION:
            raise ArtifactError(
                f"{path} was written in format {record.get('version')}; this plt reads {VERSION}"
            )
        source = same_source(record, path)
        tuning = Tuning(**record["tuning"])
        net = _network(source, tuning, soft, record["dtype"])
        own = {n[len(USERS) :]: w for n, w in weights.items() if n.startswith(USERS)}
        put_weights(net, {n: w for n, w in weights.items() if not n.startswith(USERS)}, path)
        loaded = cls(
            source, tuning, soft, record["dtype"], tuple(record["losses"]), net,
            _tokens(own, soft, len(record["names"]), path), tuple(record["names"]),
            record["profiles"], _encoder(source, tuning, soft),
        )  # fmt: skip
        check_probes(loaded._probes(), np.array(record["probes"]), loaded.dtype, path)
        return loaded

    def _probes(self) -> FloatArray:
        """Rewards of the probes for nobody, and for the first user there is."""
        people = [None, *self.names[:1]]
        rows = np.tile(np.arange(len(PROBES)), len(people))
        users = [user for user in people for _ in range(len(PROBES))]
        return self.reward(PROBES, rows, users, Compute())


def _encoder(source: ModelSource, tuning: Tuning, soft: SoftSettings) -> TextEncoder:
    window = (tuning.max_length or source.max_length) - soft.sharing.shape.n_tokens
    return encoder_of(load_tokenizer(source), source, window)


def _network(
    source: ModelSource, tuning: Tuning, soft: SoftSettings, dtype: str, seed: int = 0
) -> Any:
    if soft.train_backbone:
        return network(source, tuning, dtype, seed)
    net = network(source, None, dtype)
    getattr(net, HEAD).requires_grad_(True)
    return net


def _tokens(
    weights: Mapping[str, Tensor], soft: SoftSettings, n_users: int, path: Path
) -> UserModel:
    shape = soft.sharing.shape
    shared = weights.get("shared", torch.zeros(0))
    block = (shape.n_tokens, shared.shape[-1])
    wanted: dict[str, tuple[int, ...]] = {"shared": block, "states": (n_users, *block)}
    if shape.kind == "uniform":
        wanted["states"] = (n_users, 0)
    if shape.kind == "cluster":
        k = shape.n_clusters
        wanted = {"shared": (k, *block), "generic": (k,), "states": (n_users, k)}
    refuse_other_weights(weights, wanted, path)
    return UserModel(shape, shared, weights.get("generic"), weights["states"])


@contextmanager
def _frozen(net: Any) -> Iterator[None]:
    trained = [weight for weight in net.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
