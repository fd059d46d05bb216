"""Texts as strings over a small alphabet, and the short sequences of symbols that stand in them.

In the alphabet the plain letters of a script are one symbol, digits are one symbol, and blanks,
punctuation, letters with marks and look-alikes stay themselves: what is left of a text are its
marks, without its words.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

MIN_TEXTS = 20
"""A code point seen less often is one of `OTHER`, a sequence in fewer texts is none."""
OTHER = "a rare character"
MAX_SYMBOLS = 400
BLOCK = 256
LONGEST = 3


@cache
def symbol(character: str) -> str:
    """What a character is in the alphabet: a class such as ``LATIN letter``, or itself."""
    kind = unicodedata.category(character)
    if character.isascii():
        return "letter" if character.isalpha() else "digit" if character.isdigit() else character
    if kind not in ("Ll", "Lu", "Lt", "Lo", "Nd"):
        return character
    script = unicodedata.name(character, "").split(" ")[0]
    return character if script in ("", "LATIN") else f"{script} letter"


@dataclass(frozen=True)
class Sequences:
    """Which sequences of one to three symbols stand in which texts.

    Attributes:
        names: The symbols of each sequence, [sequences].
        ids: The sequences of every text, one text after the other.
        starts: Where each text begins in `ids`, [texts + 1].
    """

    names: tuple[tuple[str, ...], ...]
    ids: IntArray
    starts: IntArray

    def table(self, texts: IntArray) -> NDArray[np.bool_]:
        """Which sequences stand in the given texts, [texts, sequences]."""
        sizes = self.starts[texts + 1] - self.starts[texts]
        row = np.repeat(np.arange(texts.size), sizes)
        offset = np.arange(row.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = np.zeros((texts.size, len(self.names)), dtype=bool)
        found[row, self.ids[np.repeat(self.starts[texts], sizes) + offset]] = True
        return found


def read_sequences(texts: pl.Series) -> Sequences:
    """The sequences of symbols in `texts`, those in fewer than 20 of them left out.

    Args:
        texts: Distinct texts, sorted.

    Returns:
        What stands where. A text is read with an end before and behind it, so that a sequence may
        say how a text begins. Beyond 400 symbols the rarer ones are one.
    """
    symbols, flat, sizes = _symbols(texts.to_list())
    n_symbols = len(symbols)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    codes = []
    for length in range(1, LONGEST + 1):
        size = flat.size - length + 1
        if size <= 0:
            continue
        code = np.zeros(size, dtype=np.int64)
        for place in range(length):
            code = code * (n_symbols + 1) + flat[place : place + size] + 1
        whole = owner[: code.size] == owner[length - 1 :]
        codes.append((owner[: code.size][whole], code[whole]))
    where = np.concatenate([text for text, _ in codes]) if codes else np.zeros(0, dtype=np.int64)
    what = np.concatenate([code for _, code in codes]) if codes else np.zeros(0, dtype=np.int64)
    count = np.bincount(what) if what.size else np.zeros(0, dtype=np.int64)
    frequent = np.flatnonzero(count >= MIN_TEXTS)
    place_of = np.full(count.size, -1, dtype=np.int64)
    place_of[frequent] = np.arange(frequent.size)
    kept = place_of[what]
    where, kept = where[kept >= 0], kept[kept >= 0]
    ids, starts = _distinct(where, kept, len(sizes), frequent.size)
    return Sequences(tuple(_spelled(int(code), symbols) for code in frequent), ids, starts)


def _symbols(texts: Sequence[str]) -> tuple[list[str], IntArray, IntArray]:
    """The alphabet, all texts as one array of it, and how long each is."""
    framed = [f"\x02{text}\x03" for text in texts]
    points = np.frombuffer("".join(framed).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    sizes = np.array([len(text) for text in framed], dtype=np.int64)
    highest = int(points.max(initial=0)) + 1
    count = np.bincount(points, minlength=highest)
    total: dict[str, int] = {}
    named = {int(point): symbol(chr(int(point))) for point in np.flatnonzero(count)}
    for point, name in named.items():
        total[name] = total.get(name, 0) + int(count[point])
    kept = sorted(
        (name for name in total if total[name] >= MIN_TEXTS), key=lambda n: (-total[n], n)
    )
    symbols = [*sorted(kept[:MAX_SYMBOLS]), OTHER]
    place = {name: number for number, name in enumerate(symbols)}
    code_of = np.full(highest, len(symbols) - 1, dtype=np.int64)
    for point, name in named.items():
        code_of[point] = place.get(name, len(symbols) - 1)
    return symbols, code_of[points], sizes


def _spelled(code: int, symbols: Sequence[str]) -> tuple[str, ...]:
    spelled: list[str] = []
    while code:
        code, last = divmod(code, len(symbols) + 1)
        spelled.insert(0, symbols[last - 1])
    return tuple(spelled)


def _distinct(
    where: IntArray, what: IntArray, n_texts: int, n_sequences: int
) -> tuple[IntArray, IntArray]:
    """The distinct sequences of each text, and where each text begins among them."""
    order = np.argsort(where, kind="stable")
    where, what = where[order], what[order]
    bounds = np.searchsorted(where, np.arange(0, n_texts + BLOCK, BLOCK))
    ids, sizes = [np.zeros(0, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
    for block, first in enumerate(range(0, n_texts, BLOCK)):
        found = np.zeros((min(BLOCK, n_texts - first), n_sequences), dtype=bool)
        mine = slice(bounds[block], bounds[block + 1])
        found[where[mine] - first, what[mine]] = True
        ids.append(np.nonzero(found)[1])
        sizes.append(found.sum(1))
    return np.concatenate(ids), np.cumsum(np.concatenate(sizes))
