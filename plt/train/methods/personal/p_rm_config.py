"""The settings of P-RM, and which of them go together."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from plt.errors import UsageError
from plt.train.tuning.settings import RewardSettings

NAME = "p-rm"
DEFAULT_TOKENS = 10


@dataclass(frozen=True)
class Config(RewardSettings):
    """User model, aggregation and how they are trained; Li et al. 2024, section 4 and appendix F.2.

    Attributes:
        aggregation: How user and text meet: ``linear`` takes the inner product of a user vector
            with the text's state, so that the user model is the head; ``soft-prompt`` puts T_u
            vectors in front of the text, which needs ``lora`` or ``full``.
        users: ``individual`` gives everybody a vector e_0 + o_u around the generic e_0;
            ``cluster`` a mixture of a few vectors; ``uniform`` everybody the same one, which is
            `bradley-terry` whatever alpha is.
        n_clusters: Vectors that a cluster model mixes, K; the paper uses 5 for its 10 workers of
            TL;DR.
        n_tokens: Vectors a user, T_u. A linear head has 1; None is that, or the paper's 10 soft
            tokens.
        alpha: Weight of the loss as the user; the rest is the loss as the generic user, on the
            same answers. The paper's 0.5.
        simplex: Whether mixtures are shares (softmax), as in the reference code; the paper writes
            free weights.
        generic_offset: Whether vectors are e_0 + o_u; false is the ablation e_u = o_u, in which
            the generic user shares nothing with anybody.
        users_learning_rate: Of what users have of their own, when fine-tuning; None is 10 times
            the backbone's.
        group_pairs: Whether a step of fine-tuning reads all judgements of its pairs, each text
            once; None is yes for a linear head. Soft tokens make every user's text another one.
        train_backbone: Whether soft prompts adapt the backbone too; false trains soft tokens and
            the scalar head alone.
        token_start: What soft tokens begin as: ``vocabulary`` draws words, ``uniform`` numbers.
        use_profile: Whether soft prompts read what users say of themselves, in both branches; None
            is yes. Beside a linear head it would cancel.
        adapt_steps: Steps of the optimiser for a newcomer's soft tokens; None is 50.
    """

    tuned_only: ClassVar[tuple[str, ...]] = (
        "users_learning_rate", "group_pairs", "train_backbone", "use_profile", "adapt_steps",
    )  # fmt: skip
    aggregation: Literal["linear", "soft-prompt"] = "linear"
    users: Literal["uniform", "individual", "cluster"] = "individual"
    n_clusters: int = 5
    n_tokens: int | None = None
    alpha: float = 0.5
    simplex: bool = True
    generic_offset: bool = True
    users_learning_rate: float | None = None
    group_pairs: bool | None = None
    train_backbone: bool | None = None
    token_start: Literal["vocabulary", "uniform"] = "vocabulary"
    use_profile: bool | None = None
    adapt_steps: int | None = None

    @property
    def soft(self) -> bool:
        """Whether users are soft tokens."""
        return self.aggregation == "soft-prompt"

    @property
    def vectors(self) -> int:
        """T_u."""
        return self.n_tokens if self.n_tokens is not None else DEFAULT_TOKENS if self.soft else 1

    def __post_init__(self) -> None:
        problems = _soft_problems(self) if self.soft else _linear_problems(self)
        if self.n_clusters < 1:
            problems.append(f"'n_clusters' is {self.n_clusters}, expected 1 or more")
        if not 0 <= self.alpha <= 1:
            problems.append(f"'alpha' is {self.alpha}, expected 0 to 1")
        if self.users == "individual" and not self.generic_offset and self.alpha == 0:
            problems.append("'alpha' is 0 and 'generic_offset' false: that trains no user at all")
        for name in ("users_learning_rate", "adapt_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                problems.append(f"'{name}' is {value}, expected above 0")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {NAME}",
            )
        super().__post_init__()


def _linear_problems(config: Config) -> list[str]:
    problems = []
    if config.n_tokens not in (None, 1):
        problems.append(f"'n_tokens' is {config.n_tokens}, but a linear head has 1 vector a user")
    only_soft = {
        "train_backbone": config.train_backbone is not None,
        "token_start": config.token_start != "vocabulary",
        "use_profile": config.use_profile is True,
        "adapt_steps": config.adapt_steps is not None,
    }
    problems += [
        f"'{name}' is {getattr(config, name)}, which is for aggregation=soft-prompt"
        for name, given in only_soft.items()
        if given
    ]
    return problems


def _soft_problems(config: Config) -> list[str]:
    problems = []
    if config.tune == "head":
        problems.append("'aggregation' is 'soft-prompt', which needs --tune lora or --tune full")
    if config.train_backbone is False and config.tune == "full":
        problems.append("'train_backbone' is false, but 'tune' is 'full', which trains all of it")
    if config.group_pairs:
        problems.append("'group_pairs' is true, but soft tokens make every user's text another")
    if config.n_tokens is not None and config.n_tokens < 0:
        problems.append(f"'n_tokens' is {config.n_tokens}, expected 0 or more")
    return problems
