"""What stands where a person points survives, whatever it is and whatever goes wrong."""

import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.tables import output as module
from plt.data.tables.output import Output, check_folder
from plt.data.tables.preferences import write_preferences
from plt.errors import ArtifactError, PltError, UsageError
from tests.data.made_tables import crossed

NEW = b"PAR1 the new content PAR1"
OWN_TABLE = write_preferences(crossed(3, 4), None)


def foreign_table(path: Path) -> None:
    pl.DataFrame({"user_id": ["a", "b"], "x": [1, 2]}).write_parquet(path)


# What can stand at a path, and whether a table may replace it: by itself, with --force, never.
BY_ITSELF, FORCED, NEVER = "by itself", "forced", "never"
KINDS = {
    "nothing": (lambda path: None, BY_ITSELF),
    "an empty file": (lambda path: path.touch(), BY_ITSELF),
    "an own table": (lambda path: path.write_bytes(OWN_TABLE), BY_ITSELF),
    "a foreign table": (foreign_table, FORCED),
    "half of an own table": (lambda path: path.write_bytes(OWN_TABLE[:-40]), FORCED),
    "a foreign text": (lambda path: path.write_text("a year of work"), FORCED),
    "a folder": (lambda path: path.mkdir(), NEVER),
}


def seen(path: Path) -> object:
    """What stands at the end of a path, comparable."""
    if not path.exists():
        return None
    return sorted(path.iterdir()) if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "fails in the middle"])
@pytest.mark.parametrize("flag", ["", "force", "no_clobber"])
@pytest.mark.parametrize("linked", [0, 1, 2], ids=["itself", "a link to it", "a link to a link"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_target(
    kind: str, linked: int, flag: str, broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, replaced_when = KINDS[kind]
    (tmp_path / "far").mkdir()
    target = path = tmp_path / "far" / "t.parquet"
    make(target)
    for number in range(linked):
        link = tmp_path / f"link-{number}"
        # One link is relative, as `ln -s` makes them.
        link.symlink_to(os.path.relpath(path, tmp_path))
        path = link
    before = seen(target)
    if broken:
        fill_disk(monkeypatch)
    output = Output(path, force=flag == "force", no_clobber=flag == "no_clobber")
    stands = kind != "nothing"
    allowed = {
        BY_ITSELF: not (stands and flag == "no_clobber"),
        FORCED: flag == "force",
        NEVER: False,
    }[replaced_when]

    if not allowed:
        with pytest.raises(UsageError):
            output.check()
        with pytest.raises(UsageError):
            output.write(NEW)
    elif broken:
        output.check()
        with pytest.raises(ArtifactError, match=r"cannot write .*: No space left"):
            output.write(NEW)
    else:
        output.check()
        said = output.write(NEW)
        assert (said is None) == (kind in ("nothing", "an empty file"))

    assert seen(target) == (NEW if allowed and not broken else before)
    assert all((tmp_path / f"link-{number}").is_symlink() for number in range(linked))
    left = [entry.name for entry in (tmp_path / "far").iterdir()]
    assert left == ([] if seen(target) is None else ["t.parquet"])


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the bytes are written, and then the disk is full."""
    genuine = Path.write_bytes

    def cut(path: Path, content: bytes) -> int:
        genuine(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", cut)


def test_a_file_size_limit_of_the_kernel_leaves_what_stood_there(tmp_path: Path) -> None:
    """The same failure without any stand-in."""
    path = tmp_path / "t.parquet"
    path.write_bytes(OWN_TABLE)
    script = f"""
        import resource
        from pathlib import Path
        from plt.data.tables.output import Output
        from plt.errors import ArtifactError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            Output(Path({str(path)!r})).write(bytes(1 << 20))
        except ArtifactError as error:
            print(error)
    """
    line = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert "File too large" in done.stdout
    assert "free some space" in done.stdout
    assert path.read_bytes() == OWN_TABLE
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_replaced_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(OWN_TABLE)
    said = Output(path).write(NEW)
    assert said == f"replaced {path}, which held 12 rows of 3 users (preferences/1)"
    said = Output(path, force=True).write(OWN_TABLE)
    assert said == f"replaced {path}, {len(NEW)} bytes that plt had not written"


def test_a_page_knows_its_own_by_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    page = Output(path, mark=b"| method ")
    page.write(b"| method | accuracy |\n")
    assert page.write(b"| method | more |\n") == f"replaced {path}, which plt had written"
    path.write_text("# my notes\n")
    with pytest.raises(UsageError, match="no page or picture that plt wrote"):
        page.write(b"| method |\n")
    path.write_bytes(OWN_TABLE)  # a page over a table is a slip
    with pytest.raises(UsageError, match="no page or picture that plt wrote"):
        page.write(b"| method |\n")
    assert path.read_bytes() == OWN_TABLE


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays(linked: bool, tmp_path: Path) -> None:
    path = typed = tmp_path / "pipe"
    os.mkfifo(path)
    if linked:
        typed = tmp_path / "link"
        typed.symlink_to(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    output = Output(typed)
    output.check()
    assert not output.is_file
    assert output.write(OWN_TABLE) is None
    reader.join(10)
    assert got == [OWN_TABLE]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == sorted({path, typed})


def test_a_pipe_that_nobody_reads_any_more(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: os.close(os.open(path, os.O_RDONLY)))
    reader.start()
    with pytest.raises(BrokenPipeError):
        Output(path).write(bytes(1 << 22))
    reader.join(10)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_an_open_file_is_written_to_where_it_stands(tmp_path: Path) -> None:
    """/dev/fd/N is no name of a file: replacing the file would leave the open one empty."""
    path = tmp_path / "log"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.write(handle, b"first ")
        link = tmp_path / "link"
        link.symlink_to(f"/dev/fd/{handle}")
        for typed in (Path(f"/dev/fd/{handle}"), Path(f"/proc/self/fd/{handle}"), link):
            assert Output(typed).write(b"more ") is None
    finally:
        os.close(handle)
    assert path.read_bytes() == b"first more more more "
    with pytest.raises(ArtifactError, match="Bad file descriptor"):
        Output(Path(f"/dev/fd/{handle}")).write(b"more")


def test_standard_output_is_known_by_all_its_names(tmp_path: Path) -> None:
    link = tmp_path / "out"
    link.symlink_to("/dev/stdout")
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/../dev/stdout", link):
        assert Output(Path(name)).is_stdout, name
        assert not Output(Path(name)).is_file
    assert not Output(tmp_path / "-").is_stdout
    assert not Output(tmp_path / "1").is_stdout


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_devices_stay_devices(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.stat(device)
    assert stat.S_ISCHR(before.st_mode)

    def never(*_: object) -> None:  # a second lock: without it a mistake would break the machine
        raise AssertionError("a device was about to be replaced")

    monkeypatch.setattr(module, "replacing", never)
    for force in (False, True):
        output = Output(Path(device), force=force)
        output.check()
        if device == "/dev/full":
            with pytest.raises(ArtifactError, match="cannot write /dev/full: No space left"):
                output.write(b"x")
        else:
            assert output.write(b"x") is None
    assert (os.stat(device).st_ino, os.stat(device).st_rdev) == (before.st_ino, before.st_rdev)


class TestFolders:
    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        path = tmp_path / "typo" / "deep" / "t.parquet"
        with pytest.raises(UsageError, match="there is no folder") as caught:
            Output(path).check()
        assert caught.value.hint is not None
        assert "--parents" in caught.value.hint
        assert list(tmp_path.iterdir()) == []
        output = Output(path, parents=True)
        output.check()
        assert list(tmp_path.iterdir()) == []  # looking makes nothing
        output.write(NEW)
        assert path.read_bytes() == NEW

    def test_a_dangling_link_into_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "gone" / "t.parquet")
        with pytest.raises(UsageError, match=r"there is no folder .*gone"):
            Output(link).write(NEW)
        Output(link, parents=True).write(NEW)
        assert link.is_symlink()
        assert (tmp_path / "gone" / "t.parquet").read_bytes() == NEW

    @pytest.mark.parametrize("parents", [False, True])
    def test_below_a_file(self, parents: bool, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        for below in ("t.parquet", "deeper/t.parquet"):
            with pytest.raises(PltError, match="file is a file, not a folder"):
                Output(tmp_path / "file" / below, parents=parents).write(NEW)
        assert (tmp_path / "file").read_text() == "in the way"

    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises(ArtifactError, match="Too many levels of symbolic links"):
            Output(tmp_path / "a", force=True).write(NEW)
        assert (tmp_path / "a").is_symlink()

    def test_folders_that_runs_are_made_in(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "there")
        for good in ("there", "link", "new", "there/new"):
            check_folder(tmp_path / good, "--runs", parents=False)
        check_folder(tmp_path / "a" / "b", "--runs", parents=True)
        for bad, message in (
            ("file", "it names a folder"),
            ("gone", "link to nothing"),
            ("a/b", "there is no folder"),
            ("file/x", "is a file, not a folder"),
        ):
            with pytest.raises(UsageError, match=f"--runs .*{message}"):
                check_folder(tmp_path / bad, "--runs", parents=False)
        assert sorted(e.name for e in tmp_path.iterdir()) == ["file", "gone", "link", "there"]


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(OWN_TABLE)
    path.chmod(0o600)
    Output(path).write(NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(OWN_TABLE)
    path.chmod(0o444)
    with pytest.raises(UsageError, match="is write-protected"):
        Output(path).check()
    Output(path, force=True).write(NEW)


def test_force_and_no_clobber_contradict(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--force .* --no-clobber"):
        Output(tmp_path / "t", force=True, no_clobber=True).check()


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
def test_any_name_of_a_file(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    output = Output(folder / name)
    try:
        output.write(NEW)
    except PltError:
        assert list(folder.iterdir()) == []
        assert name in (".", "..") or len(os.fsencode(name)) > 255
    else:
        assert [entry.read_bytes() for entry in folder.iterdir()] == [NEW]
