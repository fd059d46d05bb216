"""What every policy can be told: the model that it begins from, and how much of it is trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plt.errors import UsageError
from plt.train.people.shape import UserKind, UserModelShape

PolicyTune = Literal["lora", "full", "soft-prompt"]
PairLoss = Literal[
    "sigmoid", "ipo", "hinge", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard",
    "apo_zero", "apo_down", "discopop", "sigmoid_norm",
]  # fmt: skip

SMOOTHED: tuple[PairLoss, ...] = ("robust", "exo_pair")
EPOCHS = 2.0
RATES = {"lora": 5e-5, "full": 1e-6, "soft-prompt": 5e-5}
USERS_FASTER = 10.0


@dataclass(frozen=True)
class ToyDefaults:
    """What is chosen for a model of some 100,000 weights instead of the paper's values.

    Attributes:
        steps: Of the optimiser.
        window: Tokens of prompt and response; None is the model's own.
        users_rate: Smallest learning rate of the users' tokens.
    """

    steps: int
    window: int | None = None
    users_rate: float = 1e-2


TOY_RATES = {"lora": 2e-3, "full": 1e-3, "soft-prompt": 1e-3}
TOYS: Mapping[str, ToyDefaults] = {
    "builtin:small": ToyDefaults(steps=200),
    "builtin:tiny": ToyDefaults(steps=50, window=256),
}
"""Embedded models on which a policy is a matter of a minute; any other model, embedded or not, has
the defaults of the paper."""


@dataclass(frozen=True)
class PolicySettings:
    """The language model and how it is trained; None leaves a choice to plt.

    For the toy models (`TOYS`) the defaults are others than the paper's, and the notes of a run say
    which were taken.

    Attributes:
        model: Where it begins, and the reference that it is held to: ``builtin:small``, a folder, a
            hub id, or a finished run of `sft`.
        tune: ``lora`` trains low-rank adapters (Li et al. 2024; the default), ``full`` every
            weight (the default for toys), ``soft-prompt`` nothing but the users' tokens.
        max_length: Tokens of prompt and response at most; None is the model's own, at most 1,024;
            for ``builtin:tiny``, which spells, 256.
        epochs: Passes over the judgements. The paper's 2; for toys steps instead, 200 from
            ``builtin:small`` and 50 from ``builtin:tiny``.
        max_steps: Steps of the optimiser, instead of epochs; rows that these do not reach are
            never read.
        learning_rate: Peak of a cosine after a warm-up over a tenth of the steps. 5e-5 for
            ``lora`` (the paper) and ``soft-prompt``, 1e-6 for ``full`` (TRL's own); for toys 2e-3
            and 1e-3.
        pairs_per_step: Judgements a step of the optimiser. The paper's 32 rows are 16 judgements,
            each once as the user's and once as the generic user's.
        lora_rank: Rank of the adapters (8 in the paper).
        lora_alpha: Their scale is alpha / rank (16 in the paper's TL;DR runs, 32 in its others).
        lora_targets: Names of layers, separated by commas; None takes the architecture's own.
        use_profile: Whether the prompt begins with what the user says of themselves (u^t). The
            reference never sees it, as printed in the paper.
    """

    model: str = "builtin:small"
    tune: PolicyTune | None = None
    max_length: int | None = None
    epochs: float | None = None
    max_steps: int | None = None
    learning_rate: float | None = None
    pairs_per_step: int = 16
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: str | None = None
    use_profile: bool = False

    def __post_init__(self) -> None:
        problems = self.problems()
        if problems:
            raise UsageError(
                "a policy does not take these settings",
                problems=problems,
                hint="plt ls methods p-dpo",
            )

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        positive = (
            "epochs", "max_steps", "learning_rate", "pairs_per_step", "lora_rank", "lora_alpha",
        )  # fmt: skip
        found = [
            f"'{name}' is {value}, expected above 0"
            for name in positive
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf
        ]
        if self.epochs is not None and self.max_steps is not None:
            found.append("'epochs' and 'max_steps' are both given, expected one of them")
        return found

    @property
    def toy(self) -> ToyDefaults | None:
        """Its own defaults where it begins from a toy model."""
        return TOYS.get(self.model)

    @property
    def tuned(self) -> PolicyTune:
        """`tune`, chosen."""
        return self.tune or ("full" if self.toy else "lora")

    @property
    def window(self) -> int | None:
        """`max_length`, chosen; None is the model's own."""
        return self.max_length or (self.toy.window if self.toy else None)

    @property
    def rate(self) -> float:
        """`learning_rate`, chosen."""
        return self.learning_rate or (TOY_RATES if self.toy else RATES)[self.tuned]

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The layers named in `lora_targets`."""
        if self.lora_targets is None:
            return None
        return tuple(name.strip() for name in self.lora_targets.split(",") if name.strip())

    def steps(self, n_rows: int) -> int:
        """Steps of the optimiser on that many rows."""
        if self.max_steps is not None:
            return self.max_steps
        if self.epochs is None and self.toy:
            return self.toy.steps
        return math.ceil(math.ceil(n_rows / self.pairs_per_step) * (self.epochs or EPOCHS))

    def describe(self, n_rows: int, n_trained: int) -> str:
        """How it is trained, in one line for the notes of a run."""
        return (
            f"--tune {self.tuned}: {self.steps(n_rows):,} steps of {self.pairs_per_step} judgements"
            f" ({n_rows:,} there are), {n_trained:,} weights, learning rate {self.rate:g}"
        )


@dataclass(frozen=True)
class DpoSettings(PolicySettings):
    """The objective: direct preference optimisation (Rafailov et al. 2023) and its relatives.

    Attributes:
        beta: Strength of the pull to the reference. 0.1, as in TRL and in the paper's P-SOUPS and
            PRISM runs; its TL;DR runs have 0.5.
        loss: The pairwise objective, by its name in TRL.
        length_normalize: Whether ``ipo`` and ``sigmoid_norm`` take the mean of log-ratios over the
            tokens of a response, as TRL does; false is IPO as printed (Azar et al. 2023).
        label_smoothing: Assumed rate of wrong labels; only ``robust`` and ``exo_pair`` have one.
        sft_weight: Weight of -log pi(chosen) / tokens beside the objective; 0 is the paper's loss.
            Above 0 it keeps the chosen responses likely, as in RPO.
    """

    beta: float = 0.1
    loss: PairLoss = "sigmoid"
    length_normalize: bool = True
    label_smoothing: float = 0.0
    sft_weight: float = 0.0

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = super().problems()
        if not 0 < self.beta < math.inf:
            found.append(f"'beta' is {self.beta}, expected above 0")
        if not 0 <= self.label_smoothing < 0.5:
            found.append(f"'label_smoothing' is {self.label_smoothing}, expected 0 to below 0.5")
        if self.loss == "exo_pair" and not self.label_smoothing > 0:
            found.append("'label_smoothing' is 0, expected above 0 with loss=exo_pair")
        if self.label_smoothing and self.loss not in SMOOTHED:
            found.append(
                f"'label_smoothing' is {self.label_smoothing}, which loss={self.loss} does not"
                f" have; {' and '.join(SMOOTHED)} have"
            )
        if not 0 <= self.sft_weight < math.inf:
            found.append(f"'sft_weight' is {self.sft_weight}, expected 0 or more")
        return found


@dataclass(frozen=True)
class PersonalSettings(DpoSettings):
    """Who a person is to the policy: T_u soft tokens (Li et al. 2024, section 4.3).

    Attributes:
        alpha: Weight of the loss as the user; the rest is the loss as the generic user, of the
            same judgement. The paper's 0.5.
        users: ``individual`` gives everybody tokens e_0 + o_u, ``cluster`` a mixture of a few,
            ``uniform`` everybody the same ones.
        n_tokens: Soft tokens a person, T_u; 0 is plain DPO whatever alpha is. The paper's 10.
        n_clusters: Centres that a cluster model mixes, K (5 for the paper's ten workers).
        simplex: Whether mixtures are shares (softmax), as in the reference code; the paper writes
            free weights.
        generic_offset: Whether an individual is an offset from the generic user e_0.
        users_learning_rate: Of the users' tokens; ten times that of the weights of a mixture. Ten
            times `learning_rate`, and at least 0.01 for toys; the paper has one rate, which is
            slow for soft tokens.
        adapt_steps: Steps on the answers of a newcomer, of whom only the offset (or mixture) moves.
    """

    alpha: float = 0.5
    users: UserKind = "individual"
    n_tokens: int = 10
    n_clusters: int = 5
    simplex: bool = True
    generic_offset: bool = True
    users_learning_rate: float | None = None
    adapt_steps: int = 40

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = super().problems()
        if not 0 <= self.alpha <= 1:
            found.append(f"'alpha' is {self.alpha}, expected 0 to 1")
        if self.n_tokens < 0:
            found.append(f"'n_tokens' is {self.n_tokens}, expected 0 or more")
        if self.n_clusters < 1:
            found.append(f"'n_clusters' is {self.n_clusters}, expected 1 or more")
        if self.adapt_steps < 1:
            found.append(f"'adapt_steps' is {self.adapt_steps}, expected 1 or more")
        rate = self.users_learning_rate
        if rate is not None and not 0 < rate < math.inf:
            found.append(f"'users_learning_rate' is {self.users_learning_rate}, expected above 0")
        if self.tuned == "soft-prompt" and not self.n_tokens:
            found.append("'tune' is 'soft-prompt', but 'n_tokens' is 0: nothing would be trained")
        return found

    @property
    def users_rate(self) -> float:
        """`users_learning_rate`, chosen."""
        usual = USERS_FASTER * self.rate
        return self.users_learning_rate or (max(self.toy.users_rate, usual) if self.toy else usual)

    @property
    def shape(self) -> UserModelShape:
        """The user model."""
        return UserModelShape(
            self.users, self.n_tokens, self.n_clusters, self.simplex, self.generic_offset
        )
