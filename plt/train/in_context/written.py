"""Past choices as words in front of a new text: `icl`'s prompt."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plt.train.in_context.past_choices import ContextBook, response_names
from plt.train.method import IntArray, Texts
from plt.train.people.words import with_preambles

if TYPE_CHECKING:
    from plt.train.models.text_encoder import TextEncoder

OPENING = "Earlier choices of the person who is answered, one a line:"
NO_LIMIT = 1 << 30


@dataclass(frozen=True)
class WrittenChoices:
    """What each user chose, in words.

    Attributes:
        book: Choices of U users between T texts.
        texts: The texts.
        limit: Choices that are told about a pair at most.
    """

    book: ContextBook
    texts: Texts
    limit: int

    def told(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> list[list[int]]:
        """The choices that go before each of m pairs: numbers in the book.

        Args:
            texts: Any texts.
            a: Text of response a, shape (m,).
            b: Text of response b, shape (m,).
            users: Whose choices, m of them; whom the book does not know has none.
        """
        responses = self.book.coded(response_names(texts.responses))
        place = self.book.places(users)
        found: list[list[int]] = [[] for _ in a]
        for code in np.unique(place[place >= 0]):
            rows = np.flatnonzero(place == code)
            sides = np.stack([responses[a[rows]], responses[b[rows]]], axis=1)
            first = self.book.choices(code).start
            for row, kept in zip(rows, self.book.context(code, sides, self.limit), strict=True):
                found[row] = (first + np.flatnonzero(kept)).tolist()
        return found

    def preamble(self, choices: Sequence[int]) -> str | None:
        """The words; texts are quoted as JSON, so that none can pass for another line."""
        if not choices:
            return None
        lines = [OPENING]
        for choice in choices:
            preferred, other = int(self.book.preferred[choice]), int(self.book.other[choice])
            asked = [[m["role"], m["content"]] for m in self.texts.prompts[preferred]]
            line = {
                "asked": asked,
                "preferred": self.texts.responses[preferred],
                "not preferred": self.texts.responses[other],
            }
            lines.append(json.dumps(line, ensure_ascii=False))
        return "\n".join(lines)

    def written(
        self, texts: Texts, a: IntArray, b: IntArray, told: Sequence[list[int]], room: "TextEncoder"
    ) -> tuple[Texts, IntArray, IntArray]:
        """Both sides of m pairs behind their contexts.

        Where a text would be longer than what the model reads, the choices that stand first go,
        until both sides fit or none is left. Both sides always have the same context.

        Args:
            texts: Any texts.
            a: Text of response a, shape (m,).
            b: Text of response b, shape (m,).
            told: As `told` gives them.
            room: How the model's texts are written.

        Returns:
            Distinct texts, and those of a and of b, both (m,).
        """
        endless = replace(room, max_length=NO_LIMIT)
        told = [list(choices) for choices in told]
        both = np.concatenate([a, b])
        check = np.array([i for i, choices in enumerate(told) if choices], dtype=np.int64)
        while len(check):
            rows = np.concatenate([check, check + len(a)])
            preambles = [self.preamble(told[row % len(a)]) for row in rows]
            asked, where = with_preambles(texts, both[rows], preambles)
            lengths = np.array([len(ids) for ids in endless.encode(asked.prompts, asked.responses)])
            longest = lengths[where].reshape(2, -1).max(axis=0)
            check = check[longest > room.max_length]
            for row in check:
                del told[row][0]
            check = check[[bool(told[row]) for row in check]]
        preambles = [self.preamble(choices) for choices in told]
        asked, where = with_preambles(texts, both, [*preambles, *preambles])
        return asked, where[: len(a)], where[len(a) :]

    def joined(self, newcomers: "WrittenChoices") -> "WrittenChoices":
        """The choices of both."""
        one, other = self.texts, newcomers.texts
        texts = Texts([*one.prompts, *other.prompts], [*one.responses, *other.responses])
        return replace(self, book=self.book.joined(newcomers.book), texts=texts)
