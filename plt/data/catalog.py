"""From what a person calls a dataset to a preference table: a name, a path, or piped bytes."""

from pathlib import Path

from plt.data.cache import cache_dir
from plt.data.preferences import Preferences, read_preferences, write_preferences
from plt.data.registry import SYNTHETIC, dataset, load_module, simulator
from plt.data.table import Source


def is_path(text: str) -> bool:
    """Whether DATA means a file: it exists, or looks like a path rather than a registry name."""
    return Path(text).exists() or "/" in text or text.endswith((".parquet", ".jsonl", ".csv"))


def locate(text: str, raw: Path | None = None) -> Source | Preferences:
    """Where the table called `text` is, converting it once if need be.

    Args:
        text: A path or a registry name.
        raw: Local raw files of a named source, instead of the cache and the hub.

    Returns:
        A path to a `preferences/1` table, or the table itself for simulators.

    Raises:
        UsageError: No such name.
        DataError: Neither cached nor reachable, or the raw files are not what they should be.
    """
    if raw is None and is_path(text):
        return Path(text)
    if text.startswith(SYNTHETIC):
        module = load_module(simulator(text).target)
        made: Preferences = module.simulate(module.Config())
        return made
    card, variant = dataset(text)
    module = load_module(card.target)
    if raw is not None:
        converted: Preferences = module.load(raw, variant)
        return converted
    return _cached(text, module, variant)


def _cached(text: str, module: object, variant: str | None) -> Path:
    from plt.data.hub import fetch

    revision = getattr(module, "REVISION", None) or "main"
    version = getattr(module, "CONVERTER_VERSION", 1)
    name = f"{text.replace(':', '-')}-{revision}-v{version}.parquet"
    target = cache_dir() / "datasets" / name
    if not target.exists():
        folder = fetch(module)
        write_preferences(module.load(folder, variant), target)  # type: ignore[attr-defined]
    return target


def load(text: str, raw: Path | None = None) -> Preferences:
    """The whole table called `text`; see `locate`."""
    found = locate(text, raw)
    return found if isinstance(found, Preferences) else read_preferences(found)
