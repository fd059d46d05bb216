"""The one reader and the one writer: metadata, atomicity, and what a broken file is told to be."""

import os
import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.tables.codes import dense_codes
from plt.data.tables.files import write_text
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import PREFERENCES, USERS
from plt.data.tables.table import Meta, content_hash, read_meta, read_table, write_table
from plt.errors import ArtifactError, DataError
from tests.data.made_tables import crossed


@given(
    st.builds(
        Meta,
        dataset=st.none() | st.text(max_size=5),
        license=st.none() | st.just("MIT"),
        dropped=st.dictionaries(st.text(max_size=5), st.integers(1, 9), max_size=3),
        split=st.none() | st.just({"unit": "pair", "seed": 3}),
        truth=st.none() | st.just({"simulator": "noise", "users": 4}),
        oriented=st.booleans(),
    )
)
def test_metadata_round_trip(meta: Meta) -> None:
    assert Meta.from_parquet(meta.to_parquet(PREFERENCES)) == meta


def test_dropped_counts_add_up() -> None:
    meta = Meta(dropped={"tie": 2}).with_dropped({"tie": 3, "empty": 1, "none": 0})
    assert meta.dropped == {"tie": 5, "empty": 1}


def test_columns_are_projected(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_preferences(crossed(2, 2), path)
    frame, _ = read_table(path, PREFERENCES, ["pair_id", "profile"])
    assert frame.columns == ["pair_id", "profile"]


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"PAR1 and then nothing", "truncated Parquet"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git-LFS pointer"),
            (pickle.dumps({"a": 1}), "is a Python pickle"),
            (b"user,label\n1,0\n", "is not a Parquet file"),
            (b"PAR1" + bytes(100) + b"PAR1", "is a damaged Parquet file"),
        ],
    )
    def test_what_it_is_is_said(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "t.parquet"
        path.write_bytes(content)
        for source in (path, content):
            with pytest.raises(DataError, match=message):
                read_table(source, PREFERENCES)

    def test_a_cut_file(self, tmp_path: Path) -> None:
        whole = write_preferences(crossed(3, 3), None)
        with pytest.raises(DataError, match="truncated Parquet file"):
            read_table(whole[:-30], PREFERENCES)

    def test_missing_and_directory(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            read_meta(tmp_path / "nope.parquet")
        with pytest.raises(DataError, match="is a directory"):
            read_meta(tmp_path)


class TestWriting:
    def test_a_frame_that_does_not_fit_is_not_written(self, tmp_path: Path) -> None:
        path = tmp_path / "t.parquet"
        with pytest.raises(DataError, match="user_id"):
            write_table(pl.DataFrame({"x": [1]}), USERS, path)
        assert list(tmp_path.iterdir()) == []

    def test_what_stood_there_survives_a_failure(self, tmp_path: Path) -> None:
        path = tmp_path / "t.parquet"
        users = pl.DataFrame({"user_id": ["a"]})
        write_table(users, USERS, path)
        before = path.read_bytes()
        with pytest.raises(DataError):
            write_table(pl.concat([users, users]), USERS, path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(ArtifactError, match="cannot write"):
            write_text(tmp_path / "file" / "t.txt", "y")

    def test_a_full_disk_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        """The limit on file size makes the kernel refuse the write as a full disk would."""
        path = tmp_path / "t.parquet"
        path.write_text("what stood there")
        script = f"""
            import resource, signal
            from pathlib import Path
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            from plt.data.tables.preferences import write_preferences
            from plt.errors import ArtifactError
            from tests.data.made_tables import crossed
            prefs = crossed(20, 50)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
            try:
                write_preferences(prefs, Path({str(path)!r}))
            except ArtifactError as error:
                print(error)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONPATH": "."},
            check=True,
        )
        assert "cannot write" in done.stdout
        assert path.read_text() == "what stood there"
        assert list(tmp_path.iterdir()) == [path]


class TestContentHash:
    def test_order_and_compression_change_nothing(self) -> None:
        votes = crossed(4, 5).votes
        shuffled = votes.sample(fraction=1, shuffle=True, seed=1)
        assert content_hash(shuffled) == content_hash(votes)
        as_text = votes.with_columns(pl.col("user_id").cast(pl.String))
        assert content_hash(as_text) == content_hash(votes)

    @pytest.mark.parametrize("column", ["user_id", "label", "split", "occurrence", "pair_id"])
    def test_any_change_of_a_judgement_changes_it(self, column: str) -> None:
        votes = crossed(3, 3).votes
        new = {"user_id": "zz", "label": 0.25, "split": "test", "occurrence": 9, "pair_id": 1}
        first = pl.int_range(votes.height) == 0
        changed = votes.with_columns(
            pl.when(first).then(pl.lit(new[column])).otherwise(pl.col(column).cast(
                pl.String if column in ("user_id", "split") else votes.schema[column]
            )).cast(pl.String if column == "user_id" else votes.schema[column]).alias(column)
        )  # fmt: skip
        assert content_hash(changed) != content_hash(votes)

    def test_names_cannot_imitate_each_other(self) -> None:
        """A separator inside a name must not make two different tables equal."""
        votes = crossed(2, 1).votes.with_columns(pl.col("user_id").cast(pl.String))
        one = votes.with_columns(user_id=pl.Series(["a|1", "b"]))
        other = votes.with_columns(user_id=pl.Series(["a", "1|b"]))
        missing = votes.with_columns(user_id=pl.Series([None, "b"], dtype=pl.String))
        dash = votes.with_columns(user_id=pl.Series(["-", "b"]))
        hashes = {content_hash(frame) for frame in (one, other, missing, dash)}
        assert len(hashes) == 4

    def test_it_is_written_and_read(self) -> None:
        prefs = crossed(2, 3)
        meta, tag = read_meta(write_preferences(prefs, None))
        assert tag == "preferences/1"
        assert meta == replace(prefs.meta, content=content_hash(prefs.votes))


@given(st.lists(st.none() | st.sampled_from(["b", "a", "zz", ""]), max_size=20))
def test_dense_codes_of_text_and_categories_agree(names: list[str | None]) -> None:
    series = pl.Series("x", names, dtype=pl.String)
    codes, levels = dense_codes(series)
    as_categories, same_levels = dense_codes(series.cast(pl.Categorical))
    assert np.array_equal(codes, as_categories)
    assert levels.to_list() == same_levels.to_list() == sorted({n for n in names if n is not None})
    assert [None if c < 0 else levels[int(c)] for c in codes] == names
