"""Replaces user ids by a keyed hash, so that a table can be shared and the key kept."""

import hashlib
import os
import secrets
from dataclasses import replace
from pathlib import Path

import polars as pl

from plt.data.tables.files import cannot_write
from plt.data.tables.preferences import Preferences
from plt.errors import ArtifactError, FailedError

KEY_BYTES = 32
OWNER_ONLY = 0o600


def load_key(path: Path) -> bytes:
    """The key in `path`; made, readable by its owner alone, when there is none.

    Raises:
        ArtifactError: The file is no key of ours, or others may read it.
    """
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
        except OSError as error:
            raise cannot_write(path, error, "choose another key file") from error
    if not path.is_file():
        raise ArtifactError(f"{path} is no file, so it holds no key", hint="choose another file")
    if path.stat().st_mode & 0o077:
        raise ArtifactError(f"others may read the key in {path}", hint=f"chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise ArtifactError(f"{path} holds no key that plt made") from error
    if len(key) != KEY_BYTES:
        raise ArtifactError(f"{path} holds no key that plt made")
    return key


def pseudonym(user_id: str, key: bytes) -> str:
    """``u-`` and 16 hexadecimal digits of BLAKE2b keyed with `key`."""
    digest = hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=key)
    return f"u-{digest.hexdigest()}"


def pseudonymise(prefs: Preferences, key: bytes) -> Preferences:
    """The table with every user id replaced; the same key gives the same pseudonyms.

    Raises:
        FailedError: Two users have one pseudonym.
    """
    names = prefs.votes["user_id"].cast(pl.String)
    known = names.drop_nulls().unique().sort()
    new = [pseudonym(name, key) for name in known]
    if len(set(new)) < len(new):
        raise FailedError("two users have the same pseudonym; choose another key file")
    table = pl.DataFrame({"name": known, "pseudonym": new}, schema_overrides={"name": pl.String})
    asked = pl.DataFrame({"name": names})
    replaced = asked.join(table, on="name", how="left", maintain_order="left")["pseudonym"]
    votes = prefs.votes.with_columns(user_id=replaced.cast(pl.Categorical))
    return replace(prefs, votes=votes)
