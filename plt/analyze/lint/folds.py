"""Folds in which no text stands on both sides.

Rules are learned on some rows and tried on others. Where one text was judged by many people, rows
are no unit: a rule could remember the text. Rows are therefore dealt out by connected components.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.clusters import BoolArray
from plt.analyze.lint.decisions import Decisions, IntArray
from plt.data.splitting.components import linked

N_FOLDS = 5
MAX_COMPONENT = 0.5
"""Share of the rows that the largest component may hold; beyond it the folds are too uneven."""


@dataclass(frozen=True)
class Folds:
    """Where rules are learned and where they are tried.

    Attributes:
        of_text: The fold of each distinct text.
        n: Number of folds; 0 when there is too little to divide.
        by: What never straddles: `group` (groups and texts) or `text`. The two texts of a row may
            be in different folds: then it is tried nowhere, and learned from where neither is.
    """

    of_text: IntArray
    n: int
    by: str

    def parts(self, decisions: Decisions) -> list[tuple[BoolArray, BoolArray]]:
        """For each fold the rows to learn from and the rows to try, as masks."""
        a, b = self.of_text[decisions.a], self.of_text[decisions.b]
        return [((a != k) & (b != k), (a == k) & (b == k)) for k in range(self.n)]

    def tried(self, decisions: Decisions) -> BoolArray:
        """The rows that are tried in some fold."""
        if self.n == 0:
            return np.zeros(decisions.n_rows, dtype=bool)
        same: BoolArray = self.of_text[decisions.a] == self.of_text[decisions.b]
        return same


def make_folds(decisions: Decisions, seed: int) -> Folds:
    """Deals the texts out to folds.

    By connected components of groups and texts; where one component holds most rows (everybody
    judged the same texts in conversations of their own), of texts alone; and where that fails too
    (every text is compared with every other), each text by itself.

    Args:
        decisions: The rows.
        seed: Of the order in which components are dealt out.

    Returns:
        The folds; none when there are fewer than two components.
    """
    n = decisions.n_rows
    twice = [np.concatenate([left, left]) for left in (decisions.groups, np.arange(n))]
    texts = np.concatenate([decisions.a, decisions.b])
    by = ("group", "text")
    for left, name in zip(twice, by, strict=True):
        label = linked(left, texts, decisions.texts.len())
        if n and np.bincount(label[decisions.a]).max() <= MAX_COMPONENT * n:
            return _deal(label, seed, name)
    return _deal(np.arange(decisions.texts.len()), seed, "text")


def _deal(label: IntArray, seed: int, by: str) -> Folds:
    """Components to folds, in a random order and in turn."""
    distinct, of_text = np.unique(label, return_inverse=True)
    n_folds = min(N_FOLDS, distinct.size)
    if n_folds < 2:
        return Folds(np.zeros(of_text.size, dtype=np.intp), 0, by)
    generator = np.random.default_rng(seed)
    place = np.empty(distinct.size, dtype=np.intp)
    place[generator.permutation(distinct.size)] = np.arange(distinct.size) % n_folds
    return Folds(place[of_text], n_folds, by)
