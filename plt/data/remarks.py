"""Remarks of reading and converting: who takes them."""

import sys
import warnings
from collections.abc import Callable

Say = Callable[[str], None]


def warn(text: str) -> None:
    """How remarks reach a Python caller; the command line passes its own `Say` instead.

    They are blamed on the caller's line: Python shows equal remarks of one line only once.
    """
    frame, level, caller = sys._getframe(), 1, 1
    while (above := frame.f_back) is not None:
        level += 1
        if frame.f_globals.get("__name__", "").partition(".")[0] == "plt":
            caller = level
        frame = above
    warnings.warn(text, UserWarning, stacklevel=caller)
