"""Conditional: one reward model that is told who reads, by an id before the prompt."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.features.statements import statement_features
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.head_table import HeadTable, pair_problem, user_problems
from plt.train.heads.held_out import folds_of
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Judgements, Support, Texts, TrainContext
from plt.train.methods.personal.placing import Standing, placed, spread_around
from plt.train.multi_user.fine_tune import describe, fine_tune, load_tuned
from plt.train.people.words import with_preambles
from plt.train.tuning.settings import RewardSettings

if TYPE_CHECKING:
    from torch import Tensor

    from plt.train.heads.small_networks import Rows, Scaling
    from plt.train.methods.personal.conditional_network import IdNetwork
    from plt.train.tuning.tuned_reward import TunedReward

NAME = "conditional"
TUNED = "tuned"
NETWORK_STAGE, DROPOUT_STAGE = 4, 5
NOBODY = "User ID: 0"
CODE_LENGTH = 5.0
"""Of the users' codes, root mean square; a text has one below 1, under the same penalty. With short
codes the penalty that the texts need leaves nothing of the ids: on validation rows of 84 simulated
users the loss was .68, .64, .62 and .59 at 1, 2, 3 and 5 (means of two starts)."""
PLAIN = re.compile(r"[^\w .@-]")
UNTRAINED = "users that training did not show: a fine-tuned model reads an id that means nothing"


@dataclass(frozen=True)
class Config(RewardSettings):
    """Backbone and training; Dong et al. 2025, whose model reads "User ID: u" before the prompt.

    Attributes:
        hidden: Width of the layer in which text and id meet; only ``head``. Our choice.
        id_dropout: Share of the training that is done as nobody, with the reserved id, so that it
            means the population; our choice. 0 is the reference code's: nobody is then an id that
            was never seen.
    """

    hidden: int = 16
    id_dropout: float = 0.1

    def __post_init__(self) -> None:
        problems = []
        if self.hidden < 1:
            problems.append(f"'hidden' is {self.hidden}, expected 1 or more")
        if not 0 <= self.id_dropout < 1:
            problems.append(f"'id_dropout' is {self.id_dropout}, expected 0 to below 1")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {NAME}",
            )
        super().__post_init__()


@dataclass(frozen=True)
class Conditional:
    """P(u prefers a to b) = s(r(a, id of u) - r(b, id of u)), one r for everybody.

    With `tune` = ``lora`` or ``full`` the id stands in words before the prompt. With ``head``, r is
    w x + v gelu(A x + B c_u + d) of frozen features x of the text and c_u of the words of the id: a
    linear head would add the same for c_u to both responses, and be `bradley-terry`. The
    population (unknown users and None) is the reserved id. A newcomer adds
    to the hidden layer what explains their answers, near the population and as far from it as those
    who were trained, whatever the name: an id that was not trained means nothing. A fine-tuned
    model reads it all the same, and a note says so.

    Attributes:
        config: What is fitted, on what.
        users: Whom it knows, sorted.
        model: The network or the fine-tuned model; None before `fit`.
        people: What each user adds to the hidden layer, shape (U, H), and nobody; only ``head``.
        units: Of the features of texts and of codes; only ``head``.
        compute: How to compute when scoring.
        notes: How the fit came about, and who was left out.
    """

    config: Config = field(default_factory=Config)
    users: tuple[str, ...] = ()
    model: "IdNetwork | TunedReward | None" = None
    people: HeadTable | None = None
    units: "Units | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.model is None:
            raise ValueError("score after fit or load")
        if self.config.tune == "head":
            return self._head_reward(texts, rows, users)
        known = set(self.users)
        lines = [id_line(user if user in known else None) for user in users]
        asked, where = with_preambles(texts, rows, lines)
        return cast("TunedReward", self.model).reward(asked, self.compute)[where]

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns one model from everybody's training rows."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        if self.config.id_dropout == 0:
            notes = (*notes, "id_dropout is 0: the population is an id that was never seen")
        if self.config.tune != "head":
            told = _told_ids(train, self.config.id_dropout, ctx.seed)
            tuned = fine_tune(told, self.config, ctx)
            notes = (describe(self.config), *notes)
            return replace(self, users=users, model=tuned, compute=ctx.compute, notes=notes)
        return self._fit_head(judgements, users, notes, ctx)

    def _fit_head(
        self,
        judgements: Judgements,
        users: tuple[str, ...],
        notes: tuple[str, ...],
        ctx: TrainContext,
    ) -> Self:
        from plt.train.heads.small_networks import NOTHING_HELD_OUT, Scaling, fit_network

        train = judgements.select(~judgements.validation)
        vectors = self._features(judgements.texts, ctx.compute)
        texts = Scaling.of(train, vectors)
        words = self._words([*users, None], ctx.compute)
        units = Units.of(texts, words[:-1])
        codes, phi = units.codes(words), texts(vectors)

        def rows(part: NDArray[np.bool_]) -> "Rows":
            return _rows(judgements.select(part), users, phi, vectors, self.config.id_dropout)

        chosen = fit_network(
            lambda: _network(self.config, vectors.shape[1], codes, ctx.seed),
            rows(~judgements.validation),
            rows(judgements.validation),
            self.config.l2,
            default=NOTHING_HELD_OUT,
            folds=[(rows(each.learn), rows(each.judge)) for each in folds_of(judgements)],
        )
        network = chosen.network.requires_grad_(False)
        heads = network.met(network.codes)
        return replace(
            self,
            users=users,
            model=network,
            people=HeadTable(users, heads[:-1], heads[-1]),
            units=units,
            compute=ctx.compute,
            notes=(chosen.how, *notes),
        )

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` a code that explains these rows; nothing else moves."""
        if self.model is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        users = tuple(dict.fromkeys([*self.users, *judgements.users]))
        if self.people is None or self.units is None:
            new = len(users) - len(self.users)
            notes = (*self.notes, f"{new} {UNTRAINED}") if new else self.notes
            return replace(self, users=users, compute=ctx.compute, notes=notes)
        if not judgements.users:
            return replace(self, compute=ctx.compute)
        phi = self.units.texts(self._features(judgements.texts, ctx.compute))
        found = _placed(cast("IdNetwork", self.model), self.people, judgements, phi)
        people = self.people.with_heads(judgements.users, found.coordinates)
        notes = (*self.notes, *found.note())
        return replace(self, users=users, people=people, compute=ctx.compute, notes=notes)

    def save(self, path: Path) -> None:
        """Writes weights, users, units and config."""
        if self.model is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        arrays: dict[str, NDArray[Any]] = {}
        if self.people is None or self.units is None:
            cast("TunedReward", self.model).save(path / TUNED)
        else:
            weights = cast("IdNetwork", self.model).state_dict()
            arrays = {f"network.{name}": value.numpy() for name, value in weights.items()}
            arrays |= self.people.arrays() | self.units.arrays()
        save_artifact(path, NAME, arrays, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        users, notes = tuple(record["users"]), tuple(record["notes"])
        if config.tune != "head":
            model = load_tuned(path / TUNED)
            return cls(config, users, model, compute=compute, notes=notes)
        import torch

        units = Units.from_arrays(arrays)
        codes = arrays["network.codes"]
        network = _network(config, len(units.texts.centre), codes, 0).requires_grad_(False)
        network.load_state_dict(
            {name: torch.from_numpy(arrays[f"network.{name}"]) for name in network.state_dict()}
        )
        people = HeadTable.from_arrays(arrays, users)
        return cls(config, users, network, people, units, compute, notes)

    def _head_reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        import torch

        network = cast("IdNetwork", self.model)
        people, units = cast(HeadTable, self.people), cast("Units", self.units)
        phi = units.texts(self._features(texts, self.compute))
        rewards = np.empty(len(rows))
        with torch.no_grad():
            read = network.read(phi)
            for block, met in people.blocks(users):
                text = torch.from_numpy(np.ascontiguousarray(rows[block], dtype=np.int64))
                rewards[block] = network.rewards(read, text, torch.from_numpy(met)).numpy()
        return rewards

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)

    def _words(self, users: Sequence[str | None], compute: Compute) -> NDArray[np.float32]:
        """Features of the words of each id."""
        lines = [id_line(user) for user in users]
        return statement_features(lines, self.config.model, compute, self.config.max_length)


@dataclass(frozen=True)
class Units:
    """Units in which the network reads texts and ids.

    Attributes:
        texts: Of the features of texts.
        centre: Mean of the users' words, shape (k,).
        scale: Root of their mean square distance from it; 1 where that is 0.
    """

    texts: "Scaling"
    centre: FloatArray
    scale: float

    @classmethod
    def of(cls, texts: "Scaling", words: NDArray[np.float32]) -> Self:
        """The units for the words (U, k) of the users that are fitted."""
        centre = words.astype(np.float64).mean(axis=0)
        spread = float(np.sqrt(((words - centre) ** 2).sum(axis=1).mean()))
        return cls(texts, centre, spread or 1.0)

    def codes(self, words: NDArray[np.float32]) -> FloatArray:
        """Codes of words, shape (n, k)."""
        return np.asarray(CODE_LENGTH * (words - self.centre) / self.scale)

    def arrays(self) -> dict[str, FloatArray]:
        """What `plt.train.artifact` writes."""
        ids = {"id.centre": self.centre, "id.scale": np.array([self.scale])}
        return self.texts.arrays() | ids

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        from plt.train.heads.small_networks import Scaling

        texts = Scaling.from_arrays(arrays)
        return cls(texts, arrays["id.centre"], float(arrays["id.scale"][0]))


def id_line(user: str | None) -> str:
    """What stands before a prompt: who reads it.

    Names are quoted, and whatever is no letter, digit, blank or one of ``_.@-`` is written by its
    number: no name forges a line or a control token, no two give the same line, and the reserved
    line of nobody, which has no quotes, is nobody's name. (To an encoder that knows no capitals,
    as MiniLM, ``Ann`` and ``ann`` are one all the same.)
    """
    if user is None:
        return NOBODY
    quoted = PLAIN.sub(lambda match: f"\\u{{{ord(match.group()):x}}}", user)
    return f'User ID: "{quoted}"'


def _told_ids(train: Judgements, dropout: float, seed: int) -> Judgements:
    """Training rows whose texts begin with the id of who judged, or of nobody if it is dropped."""
    coins = np.random.default_rng([seed, DROPOUT_STAGE]).random(len(train))
    names = [None if coin < dropout else n for coin, n in zip(coins, train.names(), strict=True)]
    lines = [id_line(name) for name in names]
    texts, where = with_preambles(train.texts, np.concatenate([train.a, train.b]), [*lines, *lines])
    return replace(train, texts=texts, a=where[: len(train)], b=where[len(train) :])


def _network(config: Config, n_features: int, codes: FloatArray, seed: int) -> "IdNetwork":
    from plt.train.methods.personal.conditional_network import IdNetwork

    rng = np.random.default_rng(np.random.SeedSequence([seed, NETWORK_STAGE]))
    return IdNetwork(n_features, config.hidden, codes, rng)


def _placed(
    network: "IdNetwork", people: HeadTable, judgements: Judgements, phi: "Tensor"
) -> Standing:
    """What newcomers most probably add to the hidden layer, by their rows.

    The prior is around nobody, with the spread of those whose ids were trained.
    """
    import torch

    from plt.train.methods.personal.conditional_network import Meets

    known = network.met(network.codes)
    spread = spread_around(known[:-1], people.population)
    with torch.no_grad():
        curve = partial(Meets, network, network.read(phi))
    nothing = np.zeros((len(judgements.texts), 0), dtype=np.float32)
    own = user_problems(judgements, nothing, judgements.users)
    return placed(
        own,
        curve,
        Prior(people.population, np.asarray(np.linalg.cholesky(spread), dtype=np.float64)),
    )


def _rows(
    judgements: Judgements,
    users: Sequence[str],
    phi: "Tensor",
    vectors: NDArray[np.float32],
    dropout: float,
) -> "Rows":
    """Each judgement as its user's, and with the weight of the dropout as nobody's.

    That is what dropping ids at random comes to on average, at the cost of the distinct pairs.
    Judgements of nobody, or of users without a code, are nobody's alone.
    """
    from plt.train.heads.small_networks import Rows, places

    place = places(judgements, users)
    named = place >= 0
    a, b, label = judgements.a[named], judgements.b[named], judgements.label[named]
    columns = [(a, b, label, place[named], np.full(len(a), 1 - dropout))]
    for part, weight in ((judgements.select(named), dropout), (judgements.select(~named), 1.0)):
        if len(part) and weight:
            pairs = pair_problem(part, vectors)
            nobody = np.full(len(pairs.a), len(users))
            columns.append((pairs.a, pairs.b, pairs.label, nobody, weight * pairs.weight))
    a, b, label, user, weights = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Rows.of(phi, a, b, label, user=user, weight=weights)
