import gc
import gzip
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.reading import json_rows as raw_json
from plt.data.reading.raw_files import RawTable, find_files, no_collection, read
from plt.errors import DataError

ROWS = [{"prompt": "one", "n": 1}, {"prompt": "zwei, drei", "n": 2}]


def parquet(rows: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FORMATS = {
    "a.jsonl": jsonl(ROWS),
    "a.json": json.dumps(ROWS, indent=2).encode(),
    "data.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "a.csv": b'prompt,n\none,1\n"zwei, drei",2\n',
    "a.tsv": b"prompt\tn\none\t1\nzwei, drei\t2\n",
    "semicolon.csv": b"prompt;n\none;1\nzwei, drei;2\n",
    "a.parquet": parquet(ROWS),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("piped", [False, True])
def test_every_format_reads_alike(tmp_path: Path, name: str, packed: bool, piped: bool) -> None:
    data = gzip.compress(FORMATS[name]) if packed else FORMATS[name]
    path = tmp_path / name  # The name does not say that it is gzipped: the magic does.
    path.write_bytes(data)
    table = read(data if piped else path)
    assert list(table.columns) == ["prompt", "n"]
    assert table.columns["prompt"] == ["one", "zwei, drei"]
    assert [int(n) for n in table.columns["n"]] == [1, 2]
    assert table.height == 2


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_byte_order_mark_and_crlf_change_nothing(name: str) -> None:
    plain = read(FORMATS[name])
    dressed = read(b"\xef\xbb\xbf" + FORMATS[name].replace(b"\n", b"\r\n"))
    assert dressed.columns == plain.columns


def test_csv_cells_keep_line_breaks_and_quotes() -> None:
    table = read(b'prompt,n\n"a\nb ""c""",1\n')
    assert table.columns["prompt"] == ['a\nb "c"']


BAD = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS pointer"),
    "pickle": (b"\x80\x04\x95\x10", "pickle"),
    "zipped pickle": (gzip.compress(b"\x80\x02}q"), "pickle"),
    "truncated gzip": (gzip.compress(FORMATS["a.jsonl"] * 50)[:-20], "truncated gzip"),
    "damaged gzip": (gzip.compress(b"x" * 5000)[:12] + b"zz" * 40, "gzip"),
    "latin-1": ('{"prompt": "é"}\n'.encode("latin-1"), "not UTF-8: byte 0xe9 in line 1"),
    "latin-1 csv": ("prompt,n\na,1\né,2\n".encode("latin-1"), "not UTF-8: byte 0xe9 in line 3"),
    "utf-16": ('{"prompt": "x"}'.encode("utf-16"), "UTF-16"),
    "zip": (b"PK\x03\x04rest", "ZIP"),
    "html": (b"<!DOCTYPE html><html>", "HTML"),
    "truncated parquet": (FORMATS["a.parquet"][:-9], "damaged Parquet"),
    "no format": (b"just a sentence\n", "no JSONL"),
    "empty list": (b"[]", "has no rows"),
    "header only": (b"prompt,n\n", "has no rows"),
    "list of texts": (b'["a", {"b": 1}]', "list of objects"),
    "broken list": (b'[{"a": 1},\n{"a": ]', "malformed JSON"),
    "repeated header": (b"a,a\n1,2\n", "several columns alike"),
    "mac line ends": (b"a,b\r1,2\r", "CR alone"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_table_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    data, message = BAD[kind]
    path = tmp_path / "raw.jsonl.gz" if "gzip" in kind else tmp_path / "raw"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(DataError) as caught:
            read(source)
        assert message in str(caught.value)
    assert str(path) in read_error(path)
    assert "standard input" in read_error(data)


def read_error(source: Path | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(source)
    return str(caught.value)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    assert "nearest: train.jsonl" in read_error(tmp_path / "trian.jsonl")


def test_a_directory_lists_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    message = read_error(tmp_path)
    assert "is a directory" in message
    assert "train.jsonl" in message


def test_every_malformed_line_is_named() -> None:
    lines = ['{"a": 1}', '{"a": ', "", '{"a": 2}', "[1]", "{'a': 3}", '{"a": 4} x']
    with pytest.raises(DataError) as caught:
        read("\n".join(lines).encode())
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems] == [
        "line 2",
        "line 5",
        "line 6",
        "line 7",
    ]
    assert "a list where an object is needed" in problems[1]


def test_malformed_lines_are_listed_up_to_a_limit() -> None:
    with pytest.raises(DataError) as caught:
        read(b'{"a": 1}\n' + b"{\n" * 5000)
    assert len(caught.value.problems) == raw_json.MAX_PROBLEMS + 1
    assert caught.value.problems[-1] == "stopped at line 1001 after 1000 problems"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,b\n1,2\n3\n4,5\n", "line 3: 1 cells, 2 in the header"),
        (b"a,b\n1,2,3\n", "line 2: 3 cells, 2 in the header"),
        (b'a,b\n1,2\n"x,3\n', "line 3: unexpected end of data"),
    ],
)
def test_ragged_csv_rows_are_named(data: bytes, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read(data)
    assert problem in caught.value.problems


def test_empty_csv_cells_are_not_ragged_rows() -> None:
    assert read(b"a,b\n1,\n,2\n").columns == {"a": ["1", None], "b": [None, "2"]}


def test_lone_surrogates_are_dropped_and_counted_and_pairs_kept() -> None:
    lines = [r'{"a": "\ud800 lone"}', r'{"a": "\ud83d\ude00"}', r'{"a": "\\ud800"}']
    table = read("\n".join(lines).encode())
    assert table.columns["a"] == ["\U0001f600", "\\ud800"]
    assert table.dropped == {"invalid unicode": 1}
    assert [table.where(row) for row in range(2)] == ["line 2", "line 3"]
    document = read(f"[{','.join(lines)}]".encode())
    assert document.columns == table.columns
    assert document.dropped == table.dropped


def test_nul_bytes_and_long_texts_pass_through() -> None:
    long = "x" * 200_000
    table = read(jsonl([{"a": "nul \x00 here"}, {"a": long}]))
    assert table.columns["a"] == ["nul \x00 here", long]
    assert read(f"a,b\n{long},1\n".encode()).columns["a"] == [long]


def test_a_list_among_texts_stays_a_list() -> None:
    table = read(b'{"a": "text"}\n{"a": ["in a list"]}\n')
    assert table.columns["a"] == ["text", ["in a list"]]


def test_keys_that_a_row_lacks_are_none() -> None:
    table = read(b'{"a": 1}\n{"b": {"c": [2]}}\n')
    assert table.columns == {"a": [1, None], "b": [None, {"c": [2]}]}
    assert list(table.rows())[1] == {"a": None, "b": {"c": [2]}}


def test_line_numbers_count_blank_lines() -> None:
    table = read(b'\n{"a": 1}\n\n   \n{"a": 2}\n')
    assert [table.where(0), table.where(1)] == ["line 2", "line 5"]


SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.fixed_dictionaries({"a": st.text(max_size=8), "b": SCALARS}), min_size=1))
def test_both_readers_of_json_lines_agree(rows: list[dict[str, object]]) -> None:
    """Where the fast reader answers at all, it says what Python's says."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        encoded = data.encode()
    except UnicodeEncodeError:
        return
    fast = raw_json._read_flat_jsonl(encoded)
    slow = raw_json._read_jsonl(data, "x")
    if fast is None:
        return
    spelled = [
        {
            name: [None if v is None else json.dumps(v).strip('"') for v in cells]
            for name, cells in part.items()
        }
        for part in (fast[0], slow[0])
    ]
    assert spelled[0] == spelled[1]
    assert fast[1:] == slow[1:]


PIECES = st.sampled_from(
    ["\\", "u", "d83d", "\ud83d", "\ude00", "\ud55c", "\ud7ff", '"', "a", "[x"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=6).map("".join), min_size=1))
def test_both_readers_agree_on_escaped_surrogates(texts: list[str]) -> None:
    data = "".join(json.dumps({"a": text}) + "\n" for text in texts)
    fast = raw_json._read_flat_jsonl(data.encode())
    if fast is not None:
        assert fast == raw_json._read_jsonl(data, "x")


def test_whole_surrogate_pairs_need_no_slow_reader() -> None:
    rows: list[dict[str, object]] = [{"a": "\U0001f600 \ud55c"}, {"a": "x"}]
    assert raw_json._read_flat_jsonl(jsonl(rows)) is not None
    assert read(jsonl(rows)).columns["a"] == ["\U0001f600 \ud55c", "x"]


CELLS = st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["a", "b", "0", 0.5, 1.0])
LISTS = st.lists(st.sampled_from(["a", "b"]), max_size=1)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), CELLS, CELLS | LISTS), max_size=12))
def test_exact_repeats_are_rows_that_read_alike_in_every_column(rows: list[tuple[object]]) -> None:
    columns = {
        name: list(cells) for name, cells in zip("abc", zip(*rows, strict=True), strict=False)
    }
    table = RawTable("x", columns, len(rows), "")
    spelled = [repr(row) for row in rows]
    expected = [i for i, text in enumerate(spelled) if text in spelled[:i]]
    assert table.exact_repeats() == expected


def test_the_collector_runs_again_after_a_conversion() -> None:
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_find_files_names_all_that_are_missing(tmp_path: Path) -> None:
    nested = tmp_path / "data" / "rm_training"
    nested.mkdir(parents=True)
    (nested / "P1A.json.gz").write_bytes(gzip.compress(b"{}"))
    (tmp_path / "README.md").write_text("x")
    assert find_files(tmp_path, ["P1A.json"]) == [nested / "P1A.json.gz"]
    assert find_files(tmp_path, ["P1A.json"], optional=["x"]) == [nested / "P1A.json.gz"]
    with pytest.raises(DataError) as caught:
        find_files(tmp_path, ["P1A.json", "P1B.json", "P2A.json"])
    assert "lacks P1B.json, P2A.json" in caught.value.message
    assert "README.md" in caught.value.problems[0]
    with pytest.raises(DataError, match="does not exist"):
        find_files(tmp_path / "nowhere", ["P1A.json"])


ROWS = pl.DataFrame({"prompt": ["q"], "chosen": ["x"], "rejected": ["y"]})


def test_arrow_files_and_the_streams_that_datasets_saves(tmp_path: Path) -> None:
    ROWS.write_ipc(tmp_path / "x.arrow")
    ROWS.write_ipc_stream(tmp_path / "y.arrow")
    for name in ("x.arrow", "y.arrow"):
        assert dict(read(tmp_path / name).columns) == ROWS.to_dict(as_series=False)
    with pytest.raises(DataError, match="damaged Arrow"):
        read((tmp_path / "x.arrow").read_bytes()[:40])
