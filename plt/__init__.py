"""plt: personalised preference learning, from the command line and from Python.

    >>> import plt
    >>> prefs = plt.read("prefs.parquet")                       # doctest: +SKIP
    >>> plt.stats(prefs)                                        # doctest: +SKIP
    >>> runs = plt.train(prefs, ["bradley-terry", "lore"])      # doctest: +SKIP
    >>> plt.compare(runs)                                       # doctest: +SKIP
    >>> plt.adapt(runs, n_shots=[0, 5, 30])                     # doctest: +SKIP
    >>> plt.tax(runs, bench="rewardbench")                      # doctest: +SKIP
    >>> plt.dose(runs[-1], max_tax=2, bench="rewardbench")      # doctest: +SKIP
    >>> plt.load("runs/lore-1a2b").score("new.parquet")         # doctest: +SKIP
    >>> sorted(plt.METHODS)                                     # doctest: +SKIP

Not a plotting library: the shorthand ``plt`` for ``matplotlib.pyplot`` is another thing.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from plt import train as _train_package  # only a docstring: it loads nothing

__version__ = "0.1.0"
__all__ = [
    "METHODS", "adapt", "compare", "concat", "convert", "dose", "lint", "load", "read", "split",
    "stats", "tax", "train",
]  # fmt: skip

if TYPE_CHECKING:
    from plt.api import adapt, compare, concat, convert, dose, lint, load, read, split, stats, tax
    from plt.train.registry import METHODS


class _Train(ModuleType):
    """The package `plt.train` as the function that it is called after.

    Python binds a package's name to it as soon as any of its modules is imported, so that the name
    cannot be a function as well; but a module may be called.
    """

    @property
    def __signature__(self) -> Any:
        import inspect

        from plt.api import train

        return inspect.signature(train)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `plt.api.train`."""
        from plt.api import train

        return train(*args, **kwargs)


_train_package.__class__ = _Train


def __getattr__(name: str) -> Any:
    """The documented names, imported when they are asked for."""
    if name == "METHODS":
        from plt.train.registry import METHODS

        return METHODS
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("plt.api"), name)
    raise AttributeError(
        f"plt has no '{name}'; this is plt-toolkit, not matplotlib.pyplot"
        if name in ("plot", "figure", "show", "subplots", "hist", "scatter")
        else f"module 'plt' has no attribute '{name}'"
    )


def __dir__() -> list[str]:
    """Every documented name, also those that nobody has asked for yet, and what was imported."""
    imported = {
        name
        for name, value in globals().items()
        if name.startswith("__") or (isinstance(value, ModuleType) and not name.startswith("_"))
    }
    return sorted({*imported, *__all__})
