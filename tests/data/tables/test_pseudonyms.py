"""Ids become a keyed hash; the key stays with its owner."""

from pathlib import Path

import polars as pl
import pytest

from plt.data.tables.pseudonyms import load_key, pseudonym, pseudonymise
from plt.errors import ArtifactError
from tests.data.made_tables import crossed


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "plt.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plt.key"
    load_key(path)
    path.chmod(0o644)
    with pytest.raises(ArtifactError, match=r"chmod 600"):
        load_key(path)


def test_another_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "plt.key"
    path.write_text("secret")
    path.chmod(0o600)
    with pytest.raises(ArtifactError, match="holds no key"):
        load_key(path)


def test_only_the_names_change() -> None:
    prefs = crossed(5, 7)
    key = bytes(range(32))
    made = pseudonymise(prefs, key)
    assert made.votes.drop("user_id").equals(prefs.votes.drop("user_id"))
    names = prefs.votes["user_id"].cast(pl.String).to_list()
    new = made.votes["user_id"].cast(pl.String).to_list()
    assert new == [pseudonym(name, key) for name in names]
    assert not set(new) & set(names)


def test_another_key_gives_other_pseudonyms() -> None:
    assert pseudonym("u", bytes(32)) != pseudonym("u", bytes(31) + b"\x01")
    assert pseudonym("u", bytes(32)) == pseudonym("u", bytes(32))
