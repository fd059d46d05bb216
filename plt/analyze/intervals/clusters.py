"""Rows grouped by the two clusters of preference data, user and group, and sums over them."""

import functools
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
CodeArray: TypeAlias = NDArray[np.integer]
BoolArray: TypeAlias = NDArray[np.bool_]

ROUNDING = 1e-9
"""A standard error this small beside the mean absolute deviation is rounding, not information."""


@dataclass(frozen=True)
class Codes:
    """One kind of cluster.

    Attributes:
        rows: The cluster of each row, small codes >= 0 that may have gaps, [rows].
        n: Distinct clusters that occur.
        given: The codes as the caller wrote them, [rows]; None where `rows` are these.
    """

    rows: NDArray[np.intp]
    n: int
    given: CodeArray | None = None

    def code(self, cluster: int) -> int:
        """What the caller calls a cluster of `rows`."""
        if self.given is None:
            return cluster
        return int(self.given[int((self.rows == cluster).argmax())])


@dataclass(frozen=True)
class Cells(Codes):
    """The (user, group) cells as clusters.

    Attributes:
        users: User of each cell, [largest code + 1].
        groups: Group of each cell, likewise.
    """

    users: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    groups: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))


LARGE_SHARE = 0.25
"""A cluster with more than this share of the judgements is named beside the figure."""


@dataclass(frozen=True)
class Dominant:
    """A cluster that holds more than `LARGE_SHARE` of the judgements behind a figure.

    Attributes:
        kind: ``user`` or ``group``.
        code: Its code, as the caller of the interval wrote it.
        share: Share of the judgements.
        name: What the code stands for, once somebody who knows the names has filled it in.
    """

    kind: Literal["user", "group"]
    code: int
    share: float
    name: str | None = None


@dataclass(frozen=True)
class Clusters:
    """Both kinds; `users` is None for data without users."""

    users: Codes | None
    groups: Codes

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return self.groups.rows.size

    @property
    def n_users(self) -> int | None:
        """Distinct users, or None for data without users."""
        return None if self.users is None else self.users.n

    @property
    def counts(self) -> dict[str, Any]:
        """What an interval says of its rows."""
        return {"n_rows": self.n_rows, "n_users": self.n_users, "n_groups": self.groups.n}

    @functools.cached_property
    def cells(self) -> Cells:
        """The (user, group) cells; only for data with users."""
        assert self.users is not None
        return read_cells(self.users, self.groups)

    def dominant(self, of_users: FloatArray | None, of_groups: FloatArray) -> tuple[Dominant, ...]:
        """Users, then groups with more than `LARGE_SHARE` of the judgements, largest first.

        Args:
            of_users: Judgements (or their weight) of each user code, [largest code + 1]; None for
                data without users.
            of_groups: The same of groups.
        """
        found: list[Dominant] = []
        kinds: tuple[tuple[Literal["user", "group"], Codes | None, FloatArray | None], ...] = (
            ("user", self.users, of_users),
            ("group", self.groups, of_groups),
        )
        for kind, codes, totals in kinds:
            if codes is None or totals is None:
                continue
            whole = float(totals.sum())
            large = np.flatnonzero(totals > LARGE_SHARE * whole)
            large = large[np.argsort(-totals[large], kind="stable")]
            found += [Dominant(kind, codes.code(int(i)), float(totals[i]) / whole) for i in large]
        return tuple(found)

    def varying(self, target: str) -> list[Codes]:
        """The kinds that vary for a target of `uncertainty`: groups before users."""
        kinds = [] if target == "these-prompts" else [self.groups]
        if target in ("population", "these-prompts") and self.users is not None:
            kinds.append(self.users)
        return kinds

    def lone(self, target: str) -> str | None:
        """Why a variance cannot be had: a kind that varies has one cluster only. Else None."""
        if not any(kind.n < 2 for kind in self.varying(target)):
            return None
        fixed = target == "these-prompts"
        return "one user only" if fixed or self.groups.n > 1 else "one group only"


def read_clusters(n_rows: int, users: CodeArray | None, groups: CodeArray) -> Clusters:
    """Check the caller's codes and count the clusters.

    Args:
        n_rows: Rows that the codes must cover.
        users: Integer codes >= 0, [rows], or None.
        groups: Integer codes >= 0, [rows].

    Returns:
        The codes as bincount takes them.

    Raises:
        ValueError: Codes that are not integers, are negative, or have another length.
    """
    return Clusters(
        None if users is None else _read_codes("users", users, n_rows),
        _read_codes("groups", groups, n_rows),
    )


def _read_codes(name: str, codes: CodeArray, n_rows: int) -> Codes:
    given = np.asarray(codes)
    if given.shape != (n_rows,):
        raise ValueError(f"{name} has shape {given.shape}, the values have {n_rows} rows")
    if n_rows == 0:
        return Codes(np.zeros(0, dtype=np.intp), 0)
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{name} must be integer codes, not {given.dtype}")
    if given.min() < 0:
        raise ValueError(f"{name} holds negative codes: leave rows without one out and count them")
    if given.max() > 4 * n_rows + 1_000:
        # Hashes and ids of a larger table would make bincount allocate by the largest code.
        small = np.unique(given, return_inverse=True)[1].astype(np.intp, copy=False)
        return Codes(small, int(small.max()) + 1, given)
    rows = given.astype(np.intp, copy=False)
    return Codes(rows, int(np.count_nonzero(np.bincount(rows))))


def cluster_sums(values: FloatArray, codes: Codes) -> FloatArray:
    """Sum of the values in each cluster, [largest code + 1]; 0 for codes that do not occur."""
    return np.bincount(codes.rows, values).astype(np.float64, copy=False)


def cell_sums(values: FloatArray, users: Codes, groups: Codes) -> FloatArray:
    """Sum of the values in each (user, group) cell that occurs, [cells]."""
    key, n_keys = _cell_keys(groups, users)
    if n_keys <= 4 * key.size:
        return cluster_sums(values, Codes(key, 0))[np.bincount(key) > 0]
    order, starts = _runs(key, n_keys)
    ordered = values[order]
    return ordered if starts.size == key.size else np.add.reduceat(ordered, starts)


def read_cells(users: Codes, groups: Codes) -> Cells:
    """The (user, group) cell of each row, by group and then by user; codes may have gaps."""
    key, n_keys = _cell_keys(groups, users)
    if n_keys <= 4 * key.size:
        width = int(users.rows.max()) + 1
        group, user = np.divmod(np.arange(n_keys, dtype=np.intp), width)
        return Cells(key, int(np.count_nonzero(np.bincount(key))), users=user, groups=group)
    order, starts = _runs(key, n_keys)
    rows = np.empty_like(order)
    rows[order] = np.repeat(np.arange(starts.size), np.diff(starts, append=order.size))
    first = order[starts]
    return Cells(rows, starts.size, users=users.rows[first], groups=groups.rows[first])


def without_gaps(codes: Codes) -> Codes:
    """The same clusters, in the same order, as codes 0 .. n - 1."""
    occurs = np.bincount(codes.rows) > 0
    return Codes((np.cumsum(occurs) - 1)[codes.rows], codes.n)


def cell_counts(users: Codes, groups: Codes) -> tuple[NDArray[np.intp], FloatArray]:
    """User and number of rows of each (user, group) cell that occurs, [cells] each."""
    key, n_keys = _cell_keys(groups, users)
    order, starts = _runs(key, n_keys)
    return users.rows[order[starts]], np.diff(starts, append=key.size).astype(np.float64)


def _cell_keys(first: Codes, second: Codes) -> tuple[NDArray[np.intp], int]:
    """One code a row for both codes, ordered by the first, and a number above all of them."""
    width = int(second.rows.max()) + 1
    key = first.rows * width
    key += second.rows
    return key, width * (int(first.rows.max()) + 1)


def _runs(key: NDArray[np.intp], n_keys: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order that sorts `key`, and where each run of equal keys starts in it."""
    row_bits = key.size.bit_length()
    if n_keys.bit_length() + row_bits < 63:
        # A sort of (key, row) packed in 64 bits is vectorised; an argsort is not: six times slower.
        ordered = key << row_bits
        ordered |= np.arange(key.size)
        ordered.sort()
        order = ordered & ((1 << row_bits) - 1)
        ordered >>= row_bits
    else:
        order = np.argsort(key, kind="stable")
        ordered = key[order]
    return order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


def kish_size(weights: FloatArray | NDArray[np.integer]) -> float:
    """Kish's effective number of clusters, (sum w)^2 / sum w^2, from their total weights.

    Equal weights give their number, and one cluster that holds everything gives 1; clusters of
    weight 0 do not count. Kish (1965), Survey Sampling.

    Args:
        weights: Weight or number of rows of each cluster, >= 0, [clusters].

    Returns:
        A number between 1 and the number of clusters; 0 when there is no weight at all.
    """
    total = np.asarray(weights, dtype=np.float64)
    squares = float(total @ total)
    return float(total.sum()) ** 2 / squares if squares > 0 else 0.0
