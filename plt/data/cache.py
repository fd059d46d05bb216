"""Where plt keeps what it can make again: converted datasets, features, downloads."""

import os
from pathlib import Path

CACHE_ELSEWHERE = "export PLT_CACHE=FOLDER"
"""What to type when the cache cannot be written."""


def cache_dir() -> Path:
    """``$PLT_CACHE``, by default ``~/.cache/plt``; created by whoever writes to it."""
    configured = os.environ.get("PLT_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "plt"
