"""Tables in Python: read, converted, divided, checked and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plt.api.answer import Answer
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.analyze.dataset.statistics import DatasetStatistics
    from plt.analyze.lint import LintReport
    from plt.data.splitting.splits import Unit
    from plt.data.tables.preferences import Preferences

Data: TypeAlias = Any
"""A path, a registry name, `Preferences`, a polars or pandas frame, or a `datasets.Dataset`. The
last two are not imported, so that no type can name them."""


def read(data: Data) -> Preferences:
    """A preference table: votes and pairs, two polars frames, with the table's metadata.

    Args:
        data: ``prefs.parquet``, ``synthetic:attributes``, ``prism``, a frame with the columns of
            `preferences/1`, ...

    Raises:
        UsageError: It is none of these.
        DataError: It is no preference table; every problem is listed.
    """
    return _read(data, unique_keys=True)


def _read(data: Data, *, unique_keys: bool) -> Preferences:
    from plt.data import catalog
    from plt.data.reading.frames import as_polars, read_frame
    from plt.data.tables.preferences import Preferences, read_preferences

    if isinstance(data, Preferences):
        return data
    if isinstance(data, str | Path):
        if catalog.is_path(str(data)):
            return read_preferences(Path(data), unique_keys=unique_keys)
        return catalog.load(str(data))
    frame = as_polars(data)
    if frame is None:
        raise UsageError(
            f"a {type(data).__name__} is no data: a path, a registry name, a polars or pandas"
            " frame or a datasets.Dataset is",
            hint='plt.read("prefs.parquet")',
        )
    return read_frame(frame, unique_keys=unique_keys)


def convert(
    raw: Data = None,
    source: str = "generic",
    *,
    maps: Mapping[str, str] | None = None,
    label_values: Mapping[str, str] | None = None,
    unlabelled: bool = False,
    tie_below: float | None = None,
    pairs: str = "all",
    duplicates: str = "keep",
    strict: bool = False,
    dataset: str | None = None,
    license: str | None = None,
    seed: int = 0,
) -> Preferences:
    """Raw preference data as a checked, oriented table, as ``plt dataset-convert`` makes it.

    Args:
        raw: A file or a frame; for a named source its folder, or None for the hub.
        source: ``generic``, or the name of a source that knows its own files: ``prism``, ...
        maps: generic: field to column, path or ``=constant``.
        label_values: generic: ``{"a": "left", "b": "right", "tie": "equal", "none": "skip"}``.
        unlabelled: generic: pairs without any label are meant.
        tie_below: generic: score differences below this are ties.
        pairs: generic: ``all``, ``best-worst`` or ``random:K`` of each list.
        duplicates: generic: ``keep`` or ``drop`` exact copies of rows.
        strict: generic: one row that cannot be read is too many.
        dataset: generic: what the data is called.
        license: generic: the licence that travels with it.
        seed: Of ``random:K``.

    Raises:
        UsageError: An argument is not understood, or does not belong to `source`.
        DataError: The data cannot be read; every problem is listed.
    """
    from plt.data import catalog
    from plt.data.reading.frames import as_polars, raw_frame
    from plt.data.sources.generic import GenericOptions
    from plt.data.sources.generic import convert as convert_generic
    from plt.settings import check_whole

    check_whole(0, seed=seed)

    if source != "generic":
        own = {
            "maps": maps,
            "label_values": label_values,
            "unlabelled": unlabelled,
            "tie_below": tie_below,
            "pairs": pairs != "all",
            "duplicates": duplicates != "keep",
            "strict": strict,
            "dataset": dataset,
            "license": license,
        }
        if given := [name for name, value in own.items() if value]:
            raise UsageError(
                f"{' and '.join(given)} belong to generic; {source} knows its own columns",
                hint=f'plt.convert("FOLDER", "{source}")',
            )
        return catalog.load(source, None if raw is None else Path(raw))
    if raw is None:
        raise UsageError("generic needs a file or a frame", hint='plt.convert("votes.jsonl")')
    frame = None if isinstance(raw, str | Path) else as_polars(raw)
    name = "generic" if frame is not None else Path(raw).name.split(".")[0]
    words = label_values and ",".join(f"{key}={value}" for key, value in label_values.items())
    options = GenericOptions.parse(
        [f"{field}={column}" for field, column in (maps or {}).items()],
        words or None, tie_below, pairs, seed, duplicates, unlabelled=unlabelled, strict=strict,
        dataset=dataset or name, license=license,
    )  # fmt: skip
    return convert_generic(Path(raw) if frame is None else raw_frame(frame), options)


def split(
    data: Data,
    *,
    by: Unit | None = None,
    unseen_users: float = 0.2,
    fractions: Sequence[float] = (80, 10, 10),
    protocol: str | None = None,
    seed: int = 0,
) -> Preferences:
    """The table divided into train, val and test and users into seen and unseen.

    Args:
        data: As `read`.
        by: What stays whole: ``group``, ``prompt``, ``response`` or ``pair``; by default the
            coarsest of which 20 are left in each part.
        unseen_users: Share of users kept apart as new people.
        fractions: Per cent of train, val and test.
        protocol: A paper's own split, instead of all of the above.
        seed: Of the division.

    Raises:
        UsageError: An argument is not understood.
        DataError: The table is too small.
    """
    from plt.data.splitting.protocols import apply_protocol
    from plt.data.splitting.splits import SplitPlan
    from plt.data.splitting.splits import split as divide
    from plt.settings import check_whole

    check_whole(0, seed=seed)

    if protocol is not None:
        if by is not None:
            raise UsageError("protocol says what stays whole; by says it too", hint="leave one out")
        return apply_protocol(read(data), protocol)
    return divide(read(data), SplitPlan(by, tuple(map(float, fractions)), unseen_users, seed))


def concat(
    tables: Sequence[Data],
    *,
    again: Literal["repeats", "copies"] | None = None,
    users_apart: bool = False,
    drop_split: bool = False,
) -> Preferences:
    """Several preference tables as one.

    Args:
        tables: At least two, each as `read`.
        again: What a judgement in two tables is: another act of judging, or the same one copied,
            kept once. None refuses it.
        users_apart: Whether equal user ids are different people.
        drop_split: Whether the division of the tables is forgotten.

    Raises:
        UsageError: An argument is not understood.
        DataError: The tables contradict each other; every problem is listed.
    """
    from plt.data.splitting.joined import JoinPlan, Named, join_tables

    plan = JoinPlan(again, users_apart, drop_split)
    named = [
        Named(str(each) if isinstance(each, str | Path) else f"table {i}", read(each))
        for i, each in enumerate(tables, start=1)
    ]
    return join_tables(named, plan).prefs


def lint(data: Data, *, seed: int = 0) -> Answer[LintReport]:
    """What gives labels away and what straddles splits; `.found.clean` is the verdict."""
    from plt.analyze.lint import lint as look
    from plt.cli.pages.lint import lint_blocks
    from plt.settings import check_whole

    check_whole(0, seed=seed)

    found = look(_read(data, unique_keys=False), seed=seed)
    name = str(data) if isinstance(data, str | Path) else "DATA"
    return Answer(found, found.as_dict(), lint_blocks(found, name))


def stats(
    data: Data,
    *,
    assume_flip: Sequence[float] | None = None,
    near_duplicates: float | None = None,
    seed: int = 0,
) -> Answer[DatasetStatistics]:
    """Do these people really disagree, and how much could be gained: ``plt dataset-stats``.

    Args:
        data: As `read`.
        assume_flip: Flip rates to show the noise of.
        near_duplicates: Also count overlap by openings within this cosine distance.
        seed: Of permutations and bootstraps.
    """
    from plt.analyze.dataset.describe import describe
    from plt.cli.pages.dataset_statistics import statistics_blocks
    from plt.settings import check_whole

    check_whole(0, seed=seed)

    prefs = read(data)
    found = describe(
        prefs.votes,
        prefs.meta,
        lambda: prefs,
        assume_flip=assume_flip,
        near_duplicates=near_duplicates,
        seed=seed,
    )
    return Answer(found, found.to_json(), statistics_blocks(found))
