"""plt: personalised preference learning, from the command line and from Python.

    >>> import plt
    >>> prefs = plt.read("prefs.parquet")            # doctest: +SKIP
    >>> plt.stats("prefs.parquet").to_json()         # doctest: +SKIP
    >>> plt.load("runs/bradley-terry-1a2b").score("new.parquet")  # doctest: +SKIP
    >>> sorted(plt.METHODS)                          # doctest: +SKIP

Not a plotting library: the shorthand ``plt`` for ``matplotlib.pyplot`` is another thing.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["METHODS", "load", "read", "stats"]

if TYPE_CHECKING:
    from plt.api import load, read, stats
    from plt.train.registry import METHODS


def __getattr__(name: str) -> Any:
    """The four documented names, imported when they are asked for."""
    if name == "METHODS":
        from plt.train.registry import METHODS

        return METHODS
    if name in ("load", "read", "stats"):
        import importlib

        return getattr(importlib.import_module("plt.api"), name)
    raise AttributeError(
        f"plt has no '{name}'; this is plt-toolkit, not matplotlib.pyplot"
        if name in ("plot", "figure", "show", "subplots", "hist", "scatter")
        else f"module 'plt' has no attribute '{name}'"
    )
