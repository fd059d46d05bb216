"""A network that scores a pair by what the person judged, together with those judgements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.train.in_context.chosen import Judges, fit_chosen, trust
from plt.train.in_context.episodes import ContextNetwork, Moment
from plt.train.in_context.history import History, JudgedRows, Pairs, Units
from plt.train.in_context.settings import ContextSettings
from plt.train.judgements import text_digests
from plt.train.method import FloatArray, IntArray, Judgements, Progress, Texts

FLOATS_AT_ONCE = 2**22
"""Of features that stand in one table: pairs whose histories differ need a copy of each."""
PAIRS_AT_ONCE = 4096
"""Pairs of one history, in one pass."""

Network = TypeVar("Network", bound=ContextNetwork)


@dataclass(frozen=True)
class ContextModel(Generic[Network]):
    """What is needed to score anybody's pairs.

    Attributes:
        network: Float64.
        history: What each person judged.
        units: Those of the features.
        shrinkage: After how many judgements half of what was read is believed (`trust`).
        n_read: Judgements of a person that are read, at most.
        scale: What every margin is multiplied by.
    """

    network: Network
    history: History
    units: Units
    shrinkage: float
    n_read: int
    scale: float = 1.0

    def margins(
        self,
        texts: Texts,
        vectors: NDArray[np.float32],
        a: IntArray,
        b: IntArray,
        users: Sequence[str | None],
    ) -> FloatArray:
        """Log-odds of shape (R,): of text a[i] over text b[i] for users[i].

        Each person's pairs are scored by themselves, once and in an order of their own, so that
        neither other people nor the order of the rows changes a bit. The pairs of those who are not
        known are scored without a context. (b, a) has exactly the negative of (a, b).

        Args:
            texts: T texts.
            vectors: Their features (T, d).
            a: Text of response a, shape (R,).
            b: Text of response b, shape (R,).
            users: Whose margin, R people.
        """
        codes: dict[str | None, int] = {user: code for code, user in enumerate(self.history.users)}
        whose = np.array([codes.get(user, -1) for user in users], dtype=np.int64)
        low, high = np.minimum(a, b), np.maximum(a, b)
        asked, place = np.unique(np.stack([whose, low, high]), axis=1, return_inverse=True)
        scoring = _Scoring(self, texts, vectors)
        found = np.zeros(asked.shape[1])
        with torch.no_grad():
            for code in np.unique(asked[0]):
                mine = asked[0] == code
                if code >= 0:
                    found[mine] = scoring.of_user(int(code), *asked[1:, mine])
                else:
                    # All pairs, so that the batch does not depend on who is known.
                    every, which = np.unique(asked[1:], axis=1, return_inverse=True)
                    found[mine] = scoring.of_nobody(*every)[which.reshape(-1)[mine]]
        return self.scale * np.where(a <= b, 1.0, -1.0) * found[place.reshape(-1)]

    def knowing(
        self, judgements: Judgements, vectors: NDArray[np.float32], notes: Sequence[str]
    ) -> tuple[Self, tuple[str, ...]]:
        """A copy that also knows those who made these judgements, by these alone, and its notes."""
        others = History.of(judgements, self.units(vectors).float().numpy())
        grown = replace(self, history=self.history.with_users(others))
        return grown, (*(note for note in notes if note not in self.unread()), *grown.unread())

    def contexts(self) -> Iterator[Pairs]:
        """All that is known of each person, one after another."""
        rows = JudgedRows.of(self.history, torch.float64)
        for code in range(len(self.history.users)):
            yield rows.pairs([self.read(code)])

    def read(self, user: int) -> IntArray:
        """The judgements of users[user] that scoring reads: the first `n_read`."""
        return self.history.rows(user)[: self.n_read]

    def unread(self) -> tuple[str, ...]:
        """Who judged more than is read, in a note; none where nobody did."""
        many = int((np.diff(self.history.starts) > self.n_read).sum())
        if not many:
            return ()
        return (f"of {many} people only {self.n_read} judgements each are read: --set n_read=...",)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; the names of the users go to its JSON."""
        weights = {f"network.{n}": v.numpy() for n, v in self.network.state_dict().items()}
        chosen = {"shrinkage": np.array([self.shrinkage]), "margin_scale": np.array([self.scale])}
        return weights | self.history.arrays() | self.units.arrays() | chosen

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        users: Sequence[str],
        make: Callable[[int], Network],
        n_read: int,
    ) -> Self:
        """The inverse of `arrays`; `make` gives a network for features of a width."""
        units = Units.from_arrays(arrays)
        network = make(units.width)
        network.load_state_dict(
            {name: torch.from_numpy(arrays[f"network.{name}"]) for name in network.state_dict()}
        )
        network.double().requires_grad_(False)
        history = History.from_arrays(arrays, users)
        shrinkage, scale = (float(arrays[name][0]) for name in ("shrinkage", "margin_scale"))
        return cls(network, history, units, shrinkage, n_read, scale)


def fit_context_model(
    judgements: Judgements,
    vectors: NDArray[np.float32],
    make: Callable[[int], Network],
    settings: ContextSettings,
    seed: int,
    progress: Progress,
) -> tuple[ContextModel[Network], Moment, tuple[str, ...]]:
    """Trains a network on the training judgements of all people who are named.

    Args:
        judgements: Training and validation rows; at least one training row names somebody.
        vectors: Features (T, d) of their texts.
        make: Gives the network at its start for features of a width, float32.
        settings: How long, on how much.
        seed: Of the draws.
        progress: Called once an epoch.

    Returns:
        The model, how far its fit went, and how that came about.
    """
    train = judgements.select(~judgements.validation)
    units = Units.of(train, vectors, settings.components)
    seen = units(vectors).float().numpy()
    history = History.of(train, seen)
    network = make(units.width)
    judges = Judges.of(judgements, seen, settings, seed)
    choice = fit_chosen(network, judges, settings, seed, progress)
    model = ContextModel(network, history, units, choice.shrinkage, settings.n_read, choice.scale)
    return model, choice.kept, (choice.how, *model.unread())


class _Scoring:
    """Scores the pairs of one person after another."""

    def __init__(
        self, model: ContextModel[Any], texts: Texts, vectors: NDArray[np.float32]
    ) -> None:
        self.model, self.network, self.history = model, model.network, model.history
        self.known = JudgedRows.of(model.history, torch.float64)
        self.phi = model.units(vectors)
        # After an adaptation a digest can stand twice; the last place then counts for both.
        place = {digest.tobytes(): code for code, digest in enumerate(self.history.digests)}
        self.same, self.text = (
            np.array([place.get(digest.tobytes(), -1) for digest in digests], dtype=np.int64)
            for digests in (self.history.digests, text_digests(texts))
        )

    def of_nobody(self, a: IntArray, b: IntArray) -> FloatArray:
        """Margins of pairs without any context, shape (R,)."""
        nothing = self.known.pairs([np.zeros(0, dtype=np.int64)])
        margins: FloatArray = self._margins(nothing, a[None], b[None])[0]
        return margins

    def of_user(self, user: int, a: IntArray, b: IntArray) -> FloatArray:
        """Margins of R pairs, shape (R,); each leaves out the judgements that show its texts."""
        rows = self.model.read(user)
        context = self.known.pairs([rows])
        shown = self.same[np.stack([self.history.a[rows], self.history.b[rows]])]
        margins, n = np.zeros(len(a)), np.full(len(a), float(len(rows)))
        apart = np.ones(len(a), dtype=bool)
        at_once = max(1, FLOATS_AT_ONCE // (2 * max(len(rows), 1) * self.phi.shape[1]))
        for start in range(0, len(a), at_once):
            asked = self.text[np.stack([a, b])[:, start : start + at_once]]
            shows = (shown[:, None, None] == asked[None, :, :, None]).any(axis=(0, 1))
            near = np.flatnonzero(shows.any(axis=1))
            if len(near):
                rows_near = start + near
                apart[rows_near] = False
                n[rows_near] -= shows[near].sum(axis=1)
                left = without(context, torch.from_numpy(shows[near]))
                one, other = a[rows_near, None], b[rows_near, None]
                margins[rows_near] = self._margins(left, one, other)[:, 0]
        margins[apart] = self._margins(context, a[None, apart], b[None, apart])[0]
        unread = self.of_nobody(a, b)
        return np.asarray(unread + trust(n, self.model.shrinkage) * (margins - unread))

    def _margins(self, context: Pairs, a: IntArray, b: IntArray) -> FloatArray:
        """Margins (B, K) of K pairs a person; texts (B, K)."""
        found = [
            self.network.margins(context, self.phi[a[:, block]], self.phi[b[:, block]]).numpy()
            for block in (
                slice(start, start + PAIRS_AT_ONCE) for start in range(0, a.shape[1], PAIRS_AT_ONCE)
            )
        ]
        margins: FloatArray = np.concatenate([np.zeros((len(a), 0)), *found], axis=1)
        return margins


def without(context: Pairs, left_out: Tensor) -> Pairs:
    """The pairs of one person, N of them, R times, each time without those of (R, N) marked."""
    size = (len(left_out), -1, -1)
    return Pairs(
        context.a.expand(size),
        context.b.expand(size),
        context.label.expand(size[:2]),
        context.present & ~left_out,
    )
