"""As whom a benchmark is scored: all users of a run, or some drawn by a hash of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from plt.errors import UsageError

SAMPLE = 100
"""Users that are scored where nobody says how many."""


def parse_users(text: str) -> int | None:
    """How many users: a number, or None for ``all``.

    Raises:
        UsageError: It is neither.
    """
    if text.strip().casefold() == "all":
        return None
    if not text.strip().isascii() or not text.strip().isdigit() or int(text) < 1:
        raise UsageError(f"--users is {text!r}, expected a number from 1 or all", hint="--users 20")
    return int(text)


def chosen_users(
    names: Sequence[str], wanted: int | None, seed: int, report: Callable[[str], None]
) -> tuple[str | None, ...]:
    """Some of the users, drawn by a hash of their names, which is said; nobody is None alone."""
    if wanted is None or wanted >= len(names):
        return tuple(names) or (None,)
    report(
        f"scored as {wanted} of {len(names)} users, drawn by a hash of their names"
        " (--users all takes everybody)"
    )
    return tuple(sorted(sorted(names, key=lambda name: drawn(seed, name))[:wanted]))


def drawn(seed: int, name: str) -> bytes:
    """The mark by which a name is drawn; the same on every machine."""
    text = f"{seed}:{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
