"""Overlap where no pair is shared: people who asked nearly the same question.

Conversations are compared by their opening, the first message of the user, and put together by
single linkage: two openings are near-duplicates when the cosine distance of their vectors is at
most T, and clusters are what such pairs connect. Every pair of openings is compared; nothing is
sampled or hashed into buckets, so the clusters are exact for the vectors given.

The vectors may be embeddings, from which openings that mean the same are close. Without them they
are counts of five consecutive characters (white space as one blank, case folded), folded by a hash
into 512 signed sums: openings that are written alike are close, whatever the language. A distance
depends on the two openings alone. Distances of the two kinds differ: 0.2 takes about every tenth
word to be another one for counts, and another wording of one question for embeddings.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import CodeArray, FloatArray
from plt.data.tables.codes import dense_codes
from plt.data.tables.preferences import Preferences
from plt.errors import UsageError

Vectors = NDArray[np.float32]

WINDOW = 5
"""Characters counted together."""
WIDTH = 512
"""Signed sums a text: unrelated texts get a cosine of about 1 / sqrt(512) = 0.04 by chance."""
MAX_CHARACTERS = 4_000
"""Only so much of an opening is read: what follows is a document somebody pasted."""
BLOCK = 2_048
"""Openings compared with as many others at a time."""
FEW = 16 * BLOCK
"""So many pairs of a block are compared one by one, more of them as a block."""
SAMPLE = 4_000
MAX_PASSING = 1 / 2_000
"""Share of unrelated pairs that may pass the comparison in few directions."""
ROUNDING = 1e-5
"""Of a cosine in single precision."""


@dataclass(frozen=True)
class Openings:
    """The first message of the user in every prompt.

    Attributes:
        texts: The distinct openings, sorted; the rows of a matrix of embeddings follow them.
        of_pair: The opening of each pair, in the order of `Preferences.pairs`; -1 where a prompt
            has no message of a user.
    """

    texts: pl.Series
    of_pair: CodeArray


@dataclass(frozen=True)
class PromptOverlap:
    """How much of a table is about nearly the same questions.

    A cluster is shared when judgements of at least two users belong to it.

    Attributes:
        n_clusters: Clusters, those of one opening included.
        n_shared_clusters: Those shared.
        n_groups: Groups (conversations).
        n_groups_shared: Groups in shared clusters.
        n_users: Users.
        n_users_shared: Users with a judgement in a shared cluster.
        n_judgments: Judgements.
        n_judgments_shared: Judgements in shared clusters.
        most_users: Users of the cluster that has most of them.
    """

    n_clusters: int
    n_shared_clusters: int
    n_groups: int
    n_groups_shared: int
    n_users: int
    n_users_shared: int
    n_judgments: int
    n_judgments_shared: int
    most_users: int


@dataclass(frozen=True)
class NearDuplicates:
    """Overlap by near-duplicate openings.

    Attributes:
        max_distance: The threshold T.
        vectors: `characters` or `embeddings`.
        n_openings: Distinct openings.
        overlap: What they amount to.
        n_left_out: Judgements without a user, or whose prompt has no message of a user.
    """

    max_distance: float
    vectors: str
    n_openings: int
    overlap: PromptOverlap
    n_left_out: int

    @property
    def conclusion(self) -> str:
        """One sentence in plain words."""
        o = self.overlap
        alike = "mean nearly the same" if self.vectors == "embeddings" else "are nearly alike"
        return (
            f"{o.n_groups_shared:,} of {o.n_groups:,} groups open with a question that somebody"
            f" else asked too, where openings count as one when they {alike} (cosine distance"
            f" up to {self.max_distance:g})."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, as the `near_duplicates` object of `--json`."""
        return {**asdict(self), "conclusion": self.conclusion}


def find_openings(pairs: pl.DataFrame) -> Openings:
    """The opening of every pair.

    Args:
        pairs: `prompt`, as in `Preferences.pairs`.

    Returns:
        The distinct openings, and which of them each pair has.
    """
    prompts = pairs.select("prompt").unique().with_row_index("row")
    first = (
        prompts.explode("prompt")
        .unnest("prompt")
        .filter(pl.col("role") == "user", pl.col("content").is_not_null())
        .unique("row", keep="first", maintain_order=True)
        .select("row", "content")
    )
    known = prompts.join(first, on="row", how="left")
    contents = pairs.select("prompt").join(known, on="prompt", how="left", maintain_order="left")
    of_pair, texts = dense_codes(contents["content"])
    return Openings(texts.alias("opening"), of_pair)


def near_duplicates(
    prefs: Preferences, max_distance: float, embeddings: NDArray[np.floating] | None = None
) -> NearDuplicates:
    """Overlap by near-duplicate openings.

    Args:
        prefs: The table with its texts.
        max_distance: Largest cosine distance of near-duplicates, in [0, 1).
        embeddings: One row for each of `find_openings(prefs.pairs).texts`; characters are counted
            without them.

    Returns:
        The overlap.

    Raises:
        UsageError: A threshold outside [0, 1).
        ValueError: Embeddings of another number, not finite, or zero.
    """
    if not 0 <= max_distance < 1:
        raise UsageError(
            f"the distance of near-duplicates is {max_distance:g}, expected one in [0, 1)",
            hint="--near-duplicates 0.1",
        )
    openings = find_openings(prefs.pairs)
    if embeddings is None:
        vectors = character_vectors(openings.texts)
    elif len(embeddings) == openings.texts.len():
        vectors = _unit(np.asarray(embeddings, dtype=np.float32))
    else:
        raise ValueError(f"{len(embeddings)} embeddings for {openings.texts.len()} openings")
    clusters = cluster(vectors, max_distance)
    place = np.searchsorted(prefs.pairs["pair_id"].to_numpy(), prefs.votes["pair_id"].to_numpy())
    opening = openings.of_pair[place]
    users, _ = dense_codes(prefs.votes["user_id"])
    groups, _ = dense_codes(prefs.votes["group"])
    used = (users >= 0) & (opening >= 0)
    return NearDuplicates(
        max_distance=max_distance,
        vectors="characters" if embeddings is None else "embeddings",
        n_openings=openings.texts.len(),
        overlap=prompt_overlap(clusters[opening[used]], users[used], groups[used]),
        n_left_out=int(np.count_nonzero(~used)),
    )


def prompt_overlap(clusters: CodeArray, users: CodeArray, groups: CodeArray) -> PromptOverlap:
    """Counts what shared clusters hold.

    Args:
        clusters: Cluster of each judgement, codes >= 0, [rows].
        users: User of each judgement, codes >= 0, [rows].
        groups: Group of each judgement, codes >= 0, [rows].

    Returns:
        The counts; zeros for no rows.
    """
    members = pl.DataFrame({"cluster": clusters, "user": users}).unique()
    sizes = members.group_by("cluster").len()
    shared = sizes.filter(pl.col("len") >= 2)["cluster"].to_numpy()
    inside = np.isin(clusters, shared)
    return PromptOverlap(
        n_clusters=sizes.height,
        n_shared_clusters=shared.size,
        n_groups=np.unique(groups).size,
        n_groups_shared=np.unique(groups[inside]).size,
        n_users=np.unique(users).size,
        n_users_shared=np.unique(users[inside]).size,
        n_judgments=clusters.size,
        n_judgments_shared=int(np.count_nonzero(inside)),
        most_users=int(sizes["len"].max() or 0),  # type: ignore[arg-type] # of integers it is one
    )


def character_vectors(texts: pl.Series) -> Vectors:
    """Signed hashed counts of five consecutive characters, as unit vectors, [n, `WIDTH`].

    Args:
        texts: No null, [n].
    """
    plain = (
        texts.str.head(MAX_CHARACTERS)
        .str.to_lowercase()
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    padded = (" " + plain + " ").str.pad_end(WINDOW)
    found = np.empty((texts.len(), WIDTH), dtype=np.float32)
    size = max(1, 4_000_000 // MAX_CHARACTERS)
    for first in range(0, texts.len(), size):
        found[first : first + size] = _counts(padded.slice(first, size))
    return _unit(found)


def _counts(texts: pl.Series) -> FloatArray:
    letters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    mixed = np.zeros(letters.size - WINDOW + 1, dtype=np.uint64)
    for offset in range(WINDOW):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= letters[offset : offset + mixed.size]
    # The finaliser of SplitMix64: every bit of the window moves every bit of the hash.
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    text = np.repeat(np.arange(lengths.size), lengths)
    inside = text[: mixed.size] == text[WINDOW - 1 :]
    mixed, text = mixed[inside], text[: inside.size][inside]
    column = (mixed & np.uint64(WIDTH - 1)).astype(np.int64)
    sign = 1.0 - 2.0 * (mixed >> np.uint64(63)).astype(np.float64)
    sums = np.bincount(text * WIDTH + column, sign, minlength=lengths.size * WIDTH)
    return np.asarray(sums.reshape(-1, WIDTH))


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ValueError("every vector must be finite and differ from zero")
    return np.asarray(vectors / length, dtype=np.float32)


def cluster(vectors: Vectors, max_distance: float) -> CodeArray:
    """Single-linkage clusters of unit vectors.

    Args:
        vectors: Rows of length 1, [n, d].
        max_distance: Largest cosine distance that links two rows.

    Returns:
        For each row the smallest row of its cluster, [n].
    """
    n = vectors.shape[0]
    label: CodeArray = np.arange(n)
    if n < 2:
        return label
    turned = _main_directions(vectors)
    left, right = _bounded(turned[:, : _enough(turned, max_distance)])
    for rows, others in _blocks(n):
        if (label[rows] == label[others.start]).all() and np.ptp(label[others]) == 0:
            continue  # one cluster already: a data set made from a template would take minutes
        # At least minus the cosine distance, see `_bounded`.
        close = left[rows] @ right[others].T >= -(max_distance + ROUNDING)
        near = _near(np.flatnonzero(close), turned, rows, others, label)
        linked = near.cosine >= 1 - max_distance - ROUNDING
        if linked.any():
            label = _join(label, near.rows[linked], near.others[linked])
    return label


def _main_directions(vectors: Vectors) -> Vectors:
    """The same vectors in other coordinates: those in which they differ most come first."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    return np.ascontiguousarray(vectors @ axes[:, ::-1])


def _enough(turned: Vectors, max_distance: float) -> int:
    """How many directions tell most pairs apart that are apart, by a sample of pairs."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, turned.shape[0], (2, SAMPLE))
    partial = np.cumsum((turned[left] - turned[right])[left != right] ** 2, axis=1)
    if partial.shape[0] == 0:
        return int(turned.shape[1])
    passing = np.mean(partial <= 2 * max_distance, axis=0)
    return int(np.flatnonzero(passing <= passing[-1] + MAX_PASSING)[0]) + 1


def _bounded(leading: Vectors) -> tuple[Vectors, Vectors]:
    """Two matrices whose products of rows are -|x - y|^2 / 2 in the leading directions.

    In all directions that is minus the cosine distance of unit vectors. Leaving directions out
    brings vectors nearer, so pairs that are far apart in some are far apart.
    """
    half = np.einsum("nd,nd->n", leading, leading)[:, None] / 2
    one = np.ones_like(half)
    return np.hstack([leading, half, one]), np.hstack([leading, -one, -half])


def _blocks(n: int) -> Iterator[tuple[slice, slice]]:
    for first in range(0, n, BLOCK):
        for other in range(first, n, BLOCK):
            yield slice(first, min(first + BLOCK, n)), slice(other, min(other + BLOCK, n))


@dataclass(frozen=True)
class _Near:
    """Pairs of rows that may be near, and their cosines."""

    rows: CodeArray
    others: CodeArray
    cosine: Vectors


def _near(
    places: CodeArray, turned: Vectors, rows: slice, others: slice, label: CodeArray
) -> _Near:
    """The pairs at these places of a block that no cluster holds yet."""
    left, right = np.divmod(places, others.stop - others.start)
    left, right = left + rows.start, right + others.start
    apart = (left < right) & (label[left] != label[right])
    left, right = left[apart], right[apart]
    if left.size > FEW:
        block = turned[rows] @ turned[others].T
        return _Near(left, right, block[left - rows.start, right - others.start])
    return _Near(left, right, np.einsum("nd,nd->n", turned[left], turned[right]))


def _join(label: CodeArray, left: CodeArray, right: CodeArray) -> CodeArray:
    """Labels after linking more pairs: the smallest row that can be reached."""
    label = label.copy()
    while True:
        before = label.copy()
        low = np.minimum(label[left], label[right])
        np.minimum.at(label, label[left], low)
        np.minimum.at(label, label[right], low)
        label = label[label]
        if np.array_equal(before, label):
            return label
