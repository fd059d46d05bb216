"""What people may well care about: length, and who wrote the response.

These predict labels in honest data, so alone they are notes. They serve twice: as figures of
their own, and as what a rule about form must beat, since the form of a text often betrays its
length or its author.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from plt.analyze.intervals.clusters import BoolArray, FloatArray
from plt.analyze.intervals.uncertainty import Interval, Target, influence_interval
from plt.analyze.lint.decisions import Decisions, IntArray, cautious_interval, clusterings, lowest
from plt.analyze.lint.findings import Finding, figure_text
from plt.analyze.lint.folds import Folds
from plt.analyze.taste.logistic import logistic

TASTE_AUC = 0.95
TASTE_SURE = 0.90
"""AUC from which taste is a finding, and what its lower bound must reach: nobody's taste is this
simple, and models need no more than it."""

TARGET: Target = "these-users"
"""Whether labels were made from length is a question about these labels: nobody is sampled."""

ADVICE = {
    "length": "pair responses of like length, or say that the labels were made from it",
    "source model": "let each model win and lose, or say that the labels were made from the source",
}
MAX_SOURCES = 200
NO_EDGES = r"^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$"


@dataclass(frozen=True)
class Tastes:
    """What length and authorship say about each row.

    Attributes:
        expected: For each fold, P(response_a preferred) by length and source as learned outside
            the fold, [rows] each.
        margins: For `length` and `source model`, log-odds of response_a learned outside the fold
            of the row, [rows]; NaN where the row is not tried or the taste says nothing about it.
        longer: The longer response of each row, a position in the distinct texts, [rows].
    """

    expected: tuple[FloatArray, ...]
    margins: Mapping[str, FloatArray]
    longer: IntArray


def fit_taste(decisions: Decisions, folds: Folds) -> Tastes:
    """Learns both tastes in every fold.

    Length is that of the text between its first and last letter or digit, so that brackets and
    blanks around a response do not pass as length: differences of log characters and of log blanks,
    the sign of the first, and its hyperbolic tangent. Sources have one strength each
    (Bradley-Terry).

    Args:
        decisions: The rows.
        folds: Where to learn.

    Returns:
        What was learned; with no folds nothing is expected of any row.
    """
    design = _length_design(decisions)
    length = np.full(decisions.n_rows, np.nan)
    source = np.full(decisions.n_rows, np.nan)
    expected = []
    codes = None if decisions.sources is None else _frequent_sources(*decisions.sources)
    for learned, tried in folds.parts(decisions):
        weights = logistic(design[learned], decisions.prefers_a[learned].astype(np.float64))
        length[tried] = design[tried] @ weights
        features = design
        if codes is not None:
            strength = _source_strengths(*codes, decisions.prefers_a, learned)
            margin = _source_margin(*codes, strength)
            source[tried] = margin[tried]
            features = np.column_stack([design, np.nan_to_num(margin)])
        weights = logistic(features[learned], decisions.prefers_a[learned].astype(np.float64))
        expected.append(special.expit(features @ weights))
    longer = np.where(design[:, 0] >= 0, decisions.a, decisions.b)
    return Tastes(tuple(expected), {"length": length, "source model": source}, longer)


def taste_findings(decisions: Decisions, folds: Folds, tastes: Tastes) -> list[Finding]:
    """A note, or a finding, for length and for source."""
    found = []
    for name, margins in tastes.margins.items():
        rows = np.flatnonzero(~np.isnan(margins))
        if rows.size == 0:
            continue
        auc = _auc_interval(margins[rows], rows, tastes.longer[rows], decisions)
        failed = (auc.value or 0.0) >= TASTE_AUC and (auc.low or 0.0) >= TASTE_SURE
        found.append(
            Finding(
                check="taste",
                what=f"{name} alone predicts the label with AUC {figure_text(auc)}",
                failed=failed,
                rows=int(rows.size),
                share=rows.size / decisions.n_rows,
                figures={"auc": auc},
                details={"feature": name, "folds_by": folds.by},
                hint=ADVICE[name] if failed else None,
            )
        )
    return found


def _length_design(decisions: Decisions) -> FloatArray:
    core = decisions.texts.str.replace_all(NO_EDGES, "")
    sizes = pl.DataFrame({"core": core}).select(
        characters=pl.col("core").str.len_chars(),
        blanks=pl.col("core").str.count_matches(" ", literal=True),
    )
    logs = np.log1p(sizes.to_numpy().astype(np.float64))
    characters, blanks = (logs[decisions.a] - logs[decisions.b]).T
    return np.column_stack([characters, blanks, np.sign(characters), np.tanh(3 * characters)])


def _frequent_sources(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
    """Source codes in which all but the most frequent sources are unknown (-1)."""
    count = np.bincount(np.concatenate([a, b]) + 1)[1:]
    kept = np.sort(np.argsort(-count, kind="stable")[:MAX_SOURCES])
    code = np.full(count.size + 1, -1, dtype=np.intp)  # the last entry answers for -1
    code[kept] = np.arange(kept.size)
    return code[a], code[b]


def _source_strengths(
    a: IntArray, b: IntArray, prefers_a: BoolArray, learned: BoolArray
) -> FloatArray:
    """Bradley-Terry strengths by a ridge logistic fit on counts of source against source."""
    n = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
    used = learned & (a >= 0) & (b >= 0) & (a != b)
    cell = a[used] * n + b[used]
    games = np.bincount(cell, minlength=n * n)
    wins = np.bincount(cell, weights=prefers_a[used], minlength=n * n)
    played = np.flatnonzero(games)
    design = np.zeros((played.size, n))
    place = np.arange(played.size)
    design[place, played // n] = 1.0
    design[place, played % n] = -1.0
    return logistic(design, wins[played] / games[played], games[played].astype(np.float64))


def _source_margin(a: IntArray, b: IntArray, strength: FloatArray) -> FloatArray:
    """Difference of strengths; NaN where a source is unknown or both are the same."""
    if strength.size == 0:
        return np.full(a.size, np.nan)
    return np.where((a >= 0) & (b >= 0) & (a != b), strength[a] - strength[b], np.nan)


def mirrored_auc(signed: FloatArray) -> tuple[float, FloatArray]:
    """The AUC of an antisymmetric score, each row seen in both orders of its responses.

    A row whose winner has the margin m gives the positive m and, mirrored, the negative -m. The
    AUC is the mean over all (i, j) of 1 for m_i + m_j > 0 and one half for 0: a statistic of pairs
    of rows with a symmetric kernel, whose influences are twice (mean over j - AUC) / rows.

    Args:
        signed: Margin of the preferred response over the other, [rows], not empty.

    Returns:
        The AUC, which does not depend on which response is called a, and the row influences.
    """
    ordered = np.sort(signed)
    above = signed.size - np.searchsorted(ordered, -signed, side="right")
    level = signed.size - np.searchsorted(ordered, -signed, side="left")
    placement: NDArray[np.float64] = (above + level) / (2 * signed.size)
    value = float(placement.mean())
    influence = np.zeros(signed.size) if np.ptp(placement) == 0 else placement - value
    return value, 2 * influence / signed.size


def _auc_interval(
    margins: FloatArray, rows: IntArray, texts: IntArray, decisions: Decisions
) -> Interval:
    signed = np.where(decisions.prefers_a[rows], margins, -margins)
    value, influence = mirrored_auc(signed)
    if not influence.any():  # every row has the same placement: the AUC is their mean
        same = np.full(rows.size, value)
        return cautious_interval(same, rows, texts, decisions, target=TARGET)
    users = None if decisions.users is None else decisions.users[rows]
    return lowest(
        [
            influence_interval(value, influence, users, clusters, target=TARGET, bounds=(0.0, 1.0))
            for clusters in clusterings(rows, texts, decisions)
        ]
    )
