"""ICL: a reward model that is trained to read a person's past choices before each new one."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.head_table import HeadTable, blind_table, fit_shared_head
from plt.train.in_context.past_choices import ContextBook, response_names
from plt.train.in_context.written import WrittenChoices
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Judgements, Support, Texts, TrainContext
from plt.train.multi_user.fine_tune import describe, fine_tune, load_tuned
from plt.train.tuning.settings import RewardSettings

if TYPE_CHECKING:
    from plt.train.methods.in_context.icl_head import ContextHead, PastChoices
    from plt.train.tuning.tuned_reward import TunedReward

NAME = "icl"
TUNED = "tuned"
SEED_STAGE = 10
PAPER_CONTEXT = 3
Model: TypeAlias = "HeadTable | ContextHead | TunedReward | None"
Past: TypeAlias = "PastChoices | WrittenChoices"


@dataclass(frozen=True)
class Config(RewardSettings):
    """Backbone and training, and how much of the past is told; Nam et al. 2025 (PLUS), baseline.

    Attributes:
        n_context: Past choices of the user before each pair; 0 is `bradley-terry`. None is 3 for
            fine-tuned models, as in the paper for Pets and PRISM, and all choices for ``head``,
            where one more costs nothing.
        context_dropout: Share of training rows without their context, so that a fine-tuned model
            also learns the population's reward; our choice, the paper has none. Only ``lora`` and
            ``full``.
    """

    n_context: int | None = None
    context_dropout: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.n_context is not None and self.n_context < 0:
            problems.append(f"'n_context' is {self.n_context}, expected 0 or more")
        if self.context_dropout is not None and not 0 <= self.context_dropout < 1:
            problems.append(f"'context_dropout' is {self.context_dropout}, expected 0 to below 1")
        if self.context_dropout is not None and self.tune == "head":
            problems.append("'context_dropout' means nothing with --tune head")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {NAME}",
            )
        super().__post_init__()

    @property
    def limit(self) -> int | None:
        """Choices before a pair at most; None is all."""
        if self.n_context is None and self.tune != "head":
            return PAPER_CONTEXT
        return self.n_context

    @property
    def dropout(self) -> float:
        """The share of training rows without context, default filled in."""
        return 0.1 if self.context_dropout is None else self.context_dropout


@dataclass(frozen=True)
class Icl:
    """P(u prefers a to b) from the pair and what u chose in training; a Bradley-Terry loss.

    With `tune` = ``lora`` or ``full`` the choices stand in words before the prompt. With ``head``
    they are the mean c of h(preferred) - h(other), h the frozen features, and the margin is linear
    in z = h(a) - h(b), in (c - t) * z, coordinate by coordinate, and in <c - t, z>, where t is the
    average c: without an interaction the context would cancel. The context of a pair never has a
    choice with one of its responses, in training and in scoring; so two pairs of a user can have
    different contexts, and what is defined is a margin. The population (unknown users and None) is
    asked without context, of which the head has w alone. A newcomer's choices are told, and
    no weight moves.

    Attributes:
        config: What is fitted, on what.
        model: The head or the fine-tuned model; None before `fit`.
        past: Everybody's choices; None when none is told.
        compute: How to compute when scoring.
        notes: How the fit came about, and who was left out.
    """

    config: Config = field(default_factory=Config)
    model: Model = None
    past: "PastChoices | WrittenChoices | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted; empty when no choices are told."""
        return self.past.book.users if self.past else ()

    def margin(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds of shape (len(a),)."""
        if self.model is None:
            raise ValueError("score after fit or load")
        if self.config.tune != "head":
            model: Any = self.model
            if isinstance(self.past, WrittenChoices):
                told = self.past.told(texts, a, b, users)
                texts, a, b = self.past.written(texts, a, b, told, model.encoder)
            rewards = model.reward(texts, self.compute)
            return np.asarray(rewards[a] - rewards[b])
        vectors = self._features(texts, self.compute)
        if isinstance(self.model, HeadTable):
            both = self.model.reward(vectors, np.concatenate([a, b]), [*users, *users])
            return np.asarray(both[: len(a)] - both[len(a) :])
        return self._read_context(texts, vectors, a, b, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns one model for everybody, and notes what everybody chose in training."""
        judgements = read_judgements(prefs)
        if self.config.limit == 0:
            model, notes = self._blind(judgements, ctx)
            return replace(self, model=model, past=None, compute=ctx.compute, notes=notes)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        past = self._past(train, users, ctx)
        if isinstance(past, WrittenChoices):
            tuned = fine_tune(_with_contexts(train, past, self.config, ctx), self.config, ctx)
            how = f"{describe(self.config)}; {past.limit} past choices before each pair"
            return replace(self, model=tuned, past=past, compute=ctx.compute, notes=(how, *notes))
        head, found = self._head(train, judgements, ctx)
        return replace(self, model=head, past=past, compute=ctx.compute, notes=(*found, *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Tells what every user in `support` chose there; no weight moves."""
        if self.model is None:
            raise ValueError("adapt after fit or load")
        if self.past is None:
            return self
        judgements = support.judgements
        newcomers: Any = self._past(judgements, judgements.users, ctx)
        return replace(self, past=self.past.joined(newcomers), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes the model, the choices, the users and the config.

        The head keeps features of the texts that were chosen among, a fine-tuned model the texts.
        """
        if self.model is None:
            raise ValueError("save after fit or load")
        model: Any = self.model
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        arrays = {} if self.past is None else self.past.book.arrays()
        if isinstance(self.past, WrittenChoices):
            texts = self.past.texts
            record["texts"] = {"prompts": texts.prompts, "responses": texts.responses}
        elif self.past is not None:
            arrays["vectors"] = self.past.vectors
        if self.config.tune == "head":
            arrays |= model.arrays()
        else:
            model.save(path / TUNED)
        save_artifact(path, NAME, arrays, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config, notes = Config(**record["config"]), tuple(record["notes"])
        book = None
        if config.limit != 0:
            book = ContextBook.from_arrays(arrays, record["users"])
        if config.tune != "head":
            past = None
            if book is not None and config.limit is not None:
                past = WrittenChoices(book, Texts(**record["texts"]), config.limit)
            return cls(config, load_tuned(path / TUNED), past, compute, notes)
        if book is None:
            return cls(config, HeadTable.from_arrays(arrays, ()), None, compute, notes)
        from plt.train.methods.in_context.icl_head import ContextHead, PastChoices

        choices = PastChoices(book, arrays["vectors"], config.limit)
        return cls(config, ContextHead.from_arrays(arrays), choices, compute, notes)

    def _blind(
        self, judgements: Judgements, ctx: TrainContext
    ) -> "tuple[HeadTable | TunedReward, tuple[str, ...]]":
        """What `bradley-terry` fits."""
        if self.config.tune != "head":
            return fine_tune(judgements, self.config, ctx), (describe(self.config),)
        vectors = self._features(judgements.texts, ctx.compute)
        fit = fit_shared_head(judgements, vectors, self.config.l2)
        return blind_table(fit.weights[0]), (fit.describe(),)

    def _head(
        self, train: Judgements, judgements: Judgements, ctx: TrainContext
    ) -> "tuple[ContextHead, tuple[str, ...]]":
        """What people chose tells how people differ; a single person is the population."""
        vectors = self._features(judgements.texts, ctx.compute)
        if len(np.unique(train.user[train.user >= 0])) < 2:
            from plt.train.methods.in_context.icl_head import ContextHead

            fit = fit_shared_head(judgements, vectors, self.config.l2)
            weights = fit.weights[0]
            head = ContextHead(weights, 0 * weights, 0 * weights, math.inf)
            return head, (fit.describe(), "a single person is the population: no choice is read")
        from plt.train.methods.in_context.icl_fit import fit_context_head

        return fit_context_head(
            train,
            judgements,
            vectors,
            limit=self.config.limit,
            l2=self.config.l2,
            seed=ctx.seed,
        )

    def _past(self, judgements: Judgements, users: Sequence[str], ctx: TrainContext) -> Past:
        book, texts = ContextBook.of(judgements, users, ctx.seed)
        if self.config.tune != "head":
            assert self.config.limit is not None
            return WrittenChoices(book, texts, self.config.limit)
        from plt.train.methods.in_context.icl_head import PastChoices

        return PastChoices(book, self._features(texts, ctx.compute), self.config.limit)

    def _read_context(
        self,
        texts: Texts,
        vectors: NDArray[np.float32],
        a: IntArray,
        b: IntArray,
        users: Sequence[str | None],
    ) -> FloatArray:
        from plt.train.methods.in_context.icl_head import Pairs

        head, past = cast("ContextHead", self.model), cast("PastChoices", self.past)
        responses = past.book.coded(response_names(texts.responses))
        return head.margin(Pairs(vectors, responses, a, b, past.book.places(users)), past)

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)


def _with_contexts(
    train: Judgements, past: WrittenChoices, config: Config, ctx: TrainContext
) -> Judgements:
    """Training rows whose texts begin with the user's other choices, but for those dropped."""
    from plt.train.models.backbone import load_tokenizer
    from plt.train.models.source import resolve_model
    from plt.train.tuning.network import encoder_of

    source = resolve_model(config.model)
    room = encoder_of(load_tokenizer(source), source, config.max_length)
    told = past.told(train.texts, train.a, train.b, train.names())
    coins = np.random.default_rng([ctx.seed, SEED_STAGE]).random(len(train))
    told = [
        [] if coin < config.dropout else choices for coin, choices in zip(coins, told, strict=True)
    ]
    texts, a, b = past.written(train.texts, train.a, train.b, told, room)
    return replace(train, texts=texts, a=a, b=b)
