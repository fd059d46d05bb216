"""What people judged before, kept as texts, and found again by the question that was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import prompt_json
from plt.train.method import FloatArray, IntArray, Judgements, Texts

Conversation = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Seen:
    """One judgement of the past: which of two responses somebody preferred."""

    prompt: Conversation
    preferred: str
    other: str


@dataclass(frozen=True)
class PastTexts:
    """N past judgements of U users, each pair of a user once, in the order of the users.

    Attributes:
        users: Whose: those of the fit sorted, then newcomers as they came.
        starts: Shape (U + 1,): rows starts[u] to starts[u + 1] are those of users[u].
        prompts: Distinct conversations, Q of them.
        responses: Distinct responses.
        prompt: Row to conversation, shape (N,).
        preferred: Row to response, shape (N,).
        other: Row to response, shape (N,).
        vectors: What each conversation is found by, shape (Q, d).
    """

    users: tuple[str, ...]
    starts: IntArray
    prompts: tuple[Conversation, ...]
    responses: tuple[str, ...]
    prompt: IntArray
    preferred: IntArray
    other: IntArray
    vectors: NDArray[np.float32]

    def rows(self, user: str) -> IntArray:
        """The rows of a user, oldest pair id first; none for somebody unknown."""
        code = self._codes.get(user)
        if code is None:
            return np.zeros(0, dtype=np.int64)
        return np.arange(self.starts[code], self.starts[code + 1])

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {user: code for code, user in enumerate(self.users)}

    def seen(self, row: int) -> Seen:
        """A row as texts."""
        return Seen(
            self.prompts[self.prompt[row]],
            self.responses[self.preferred[row]],
            self.responses[self.other[row]],
        )

    def nearest(
        self,
        user: str,
        query: NDArray[np.float32],
        k: int,
        without: Sequence[str] = (),
    ) -> list[Seen]:
        """The past judgements of a user whose question is nearest to a query.

        Args:
            user: Whose.
            query: Shape (d,), in the space of `vectors`.
            k: How many at most.
            without: Responses that may not be shown: a judgement with one of them is left out.

        Returns:
            At most k, the nearest last; equally near ones in the order of `rows`, the first last.
        """
        hidden = set(without)
        rows = [row for row in self.rows(user) if not self._shows(row, hidden)]
        if not rows or k < 1:
            return []
        nearness = cosines(self.vectors[self.prompt[rows]], query)
        order = np.argsort(-nearness, kind="stable")[:k]
        return [self.seen(rows[i]) for i in order[::-1]]

    def _shows(self, row: int, hidden: set[str]) -> bool:
        responses = (self.responses[self.preferred[row]], self.responses[self.other[row]])
        return not hidden.isdisjoint(responses)

    def joined(self, newcomers: Self) -> Self:
        """A copy that also knows the newcomers, whose rows replace any that they had."""
        blocks = {user: self.rows(user) for user in self.users}
        blocks |= {user: len(self.prompt) + newcomers.rows(user) for user in newcomers.users}
        users = tuple(blocks)  # known users keep their places; newcomers come behind them
        rows = np.concatenate([blocks[user] for user in users])
        texts, turns = len(self.responses), len(self.prompts)
        return type(self)(
            users,
            np.cumsum([0, *(len(blocks[user]) for user in users)]),
            (*self.prompts, *newcomers.prompts),
            (*self.responses, *newcomers.responses),
            np.concatenate([self.prompt, turns + newcomers.prompt])[rows],
            np.concatenate([self.preferred, texts + newcomers.preferred])[rows],
            np.concatenate([self.other, texts + newcomers.other])[rows],
            np.concatenate([self.vectors, newcomers.vectors]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers, for `plt.train.artifact`."""
        names = ("starts", "prompt", "preferred", "other", "vectors")
        return {name: getattr(self, name) for name in names}

    def record(self) -> dict[str, Any]:
        """The texts and names, for its JSON."""
        return {"users": self.users, "prompts": self.prompts, "responses": self.responses}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> Self:
        """The inverse of `arrays` and `record`."""
        return cls(
            users=tuple(record["users"]),
            starts=arrays["starts"],
            prompts=tuple(record["prompts"]),
            responses=tuple(record["responses"]),
            prompt=arrays["prompt"],
            preferred=arrays["preferred"],
            other=arrays["other"],
            vectors=arrays["vectors"],
        )


def past_judgements(
    judgements: Judgements, users: Sequence[str]
) -> tuple[tuple[str, ...], IntArray, NDArray[np.int64]]:
    """Who has judged what, without ties, a pair that was judged again only the first time.

    Args:
        judgements: N judgements.
        users: Whose to keep.

    Returns:
        The users, sorted; their starts (U + 1,); and the kept rows of `judgements`.
    """
    names = tuple(sorted(users))
    wanted = {user: code for code, user in enumerate(names)}
    codes = {i: wanted[user] for i, user in enumerate(judgements.users) if user in wanted}
    kept: dict[tuple[int, int], int] = {}
    for row in np.flatnonzero(judgements.label != 0.5):
        if judgements.user[row] in codes:
            key = (codes[int(judgements.user[row])], int(judgements.pair[row]))
            kept.setdefault(key, int(row))
    sizes = np.bincount([code for code, _ in kept], minlength=len(names))
    return names, np.cumsum([0, *sizes]), np.array(list(kept.values()), dtype=np.int64)


def distinct_prompts(texts: Texts, rows: IntArray) -> tuple[tuple[Conversation, ...], IntArray]:
    """The distinct conversations of some texts, and which of them each has."""
    found: dict[str, int] = {}
    prompts: list[Conversation] = []
    codes = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        key = prompt_json(texts.prompts[row])
        if key not in found:
            found[key] = len(prompts)
            prompts.append(texts.prompts[row])
        codes[i] = found[key]
    return tuple(prompts), codes


def cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> FloatArray:
    """Cosine of each row of (n, d) vectors with a query (d,); 0 where one of the two is 0."""
    rows, one = vectors.astype(np.float64), query.astype(np.float64)
    # einsum sums each row by itself, so equal rows are equally near to the last bit.
    dots = np.einsum("nd,d->n", rows, one)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows)) * np.sqrt(one @ one)
    return np.asarray(dots / np.where(lengths > 0, lengths, 1.0))
