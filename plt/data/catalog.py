"""From what a person calls a dataset to a preference table: a name, a path, or piped bytes."""

from pathlib import Path
from typing import Protocol

from plt.data.cache import CACHE_ELSEWHERE, cache_dir
from plt.data.identity import GIVEN
from plt.data.reading.hub import HubSource, fetch
from plt.data.registry import SYNTHETIC, dataset, load_module, simulator
from plt.data.remarks import Say, warn
from plt.data.tables.files import write_bytes
from plt.data.tables.preferences import Preferences, read_preferences, write_preferences
from plt.data.tables.table import Source
from plt.errors import UsageError


class SourceModule(HubSource, Protocol):
    """A module of `plt.data.sources`.

    Attributes:
        CONVERTER_VERSION: Raised when `load` makes another table of the same files.
    """

    CONVERTER_VERSION: int

    def load(self, raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
        """The table made of the raw files in `raw`."""
        ...


def is_path(text: str) -> bool:
    """Whether DATA means a file: it exists, or looks like a path rather than a registry name."""
    return Path(text).exists() or "/" in text or text.endswith((".parquet", ".jsonl", ".csv"))


def locate(text: str, raw: Path | None = None, say: Say = warn) -> Source | Preferences:
    """Where the table called `text` is, converting it once if need be.

    Args:
        text: A path or a registry name.
        raw: Local raw files of a named source, instead of the cache and the hub.
        say: Takes remarks of downloads and conversions.

    Returns:
        A path to a `preferences/1` table, or the table itself for simulators.

    Raises:
        UsageError: No such name; or a run made in Python is repeated, and the data was a frame.
        DataError: Neither cached nor reachable, or the raw files are not what they should be.
    """
    refuse_given(text, "DATA", "plt train DATA --config FILE")
    if raw is None and is_path(text):
        return Path(text)
    if text.startswith(SYNTHETIC):
        module = load_module(simulator(text).target)
        made: Preferences = module.simulate(module.Config())
        return made
    card, variant = dataset(text)
    source: SourceModule = load_module(card.target)
    if raw is not None:
        return source.load(raw, variant, say)
    return _cached(text, source, variant, say)


def refuse_given(text: str, what: str, hint: str) -> None:
    """Raises a `UsageError` for what `config.toml` says of a frame: it cannot be read again."""
    if text == GIVEN:
        raise UsageError(
            f"this run was made in Python, and its {what} was a frame: no path leads to it",
            hint=hint,
        )


def _cached(text: str, source: SourceModule, variant: str | None, say: Say) -> Path:
    revision = (source.REVISION or "main").replace("/", "-")
    name = f"{text.replace(':', '-')}-{revision}-v{source.CONVERTER_VERSION}.parquet"
    target = cache_dir() / "datasets" / name
    if not target.exists():
        folder = fetch(source, say)
        content = write_preferences(source.load(folder, variant, say), None)
        write_bytes(target, content, CACHE_ELSEWHERE)
    return target


def load(text: str, raw: Path | None = None, say: Say = warn) -> Preferences:
    """The whole table called `text`; see `locate`."""
    found = locate(text, raw, say)
    return found if isinstance(found, Preferences) else read_preferences(found)
