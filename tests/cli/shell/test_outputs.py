"""The commands and the machine: where they write, and what they say when they cannot."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.cli.shell.app import COMMANDS
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import read_preferences, write_preferences
from tests.data.made_tables import crossed

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a table and nothing else."""
    monkeypatch.chdir(tmp_path)
    write_preferences(split(crossed(6, 40), SplitPlan(by="pair", unseen_users=0)), Path("t"))
    return tmp_path


def bash(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    plt = f'plt() {{ {sys.executable} -m plt "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", plt + line], capture_output=True, text=True, env=whole, check=False,
        timeout=120,
    )  # fmt: skip


def run(capfd: pytest.CaptureFixture[str]) -> str:
    """A run made by `train`."""
    assert main(["train", "t", "--method", "length", "-q"]) == 0
    capfd.readouterr()
    return next(str(path) for path in Path("runs").iterdir())


TABLES = {
    "dataset-simulate": ("mirrored", "--users", "4"),
    "dataset-split": ("t",),
    "dataset-stats": ("t",),
    "score": ("RUN", "t"),
    "report": ("RUN",),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_command_with_o_refuses_the_same(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = [name, *(run(capfd) if word == "RUN" else word for word in TABLES[name])]
    Path("notes").write_text("a year of work")
    Path("folder").mkdir()
    for out, flags, message in (
        ("notes", (), "that plt wrote"),
        ("notes", ("--no-clobber",), "--no-clobber replaces nothing"),
        ("folder", ("--force",), "is a folder"),
        ("typo/x", (), "--parents"),
        ("notes/x", ("--parents",), "notes is a file, not a folder"),
    ):
        assert main([*line, "-o", out, *flags]) == 2
        said = capfd.readouterr()
        assert message in said.err
        assert said.out == ""
    assert Path("notes").read_text() == "a year of work"
    assert not Path("typo").exists()
    assert main([*line, "-o", "typo/x", "--parents"]) == 0
    capfd.readouterr()
    assert main([*line, "-o", "typo/x"]) == 0
    assert "replaced typo/x, which" in capfd.readouterr().err
    assert main([*line, "-o", "typo/x", "--no-clobber"]) == 2


@pytest.mark.parametrize("name", [name for name in COMMANDS])
def test_whatever_takes_o_has_its_flags(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    page = capfd.readouterr().out
    folders = ("train", "demo", "export", "adapt", "tax", "dose")
    if "--out" in page or name in folders:
        assert "--parents" in page
        assert "--force" in page
        assert ("--no-clobber" in page) == (name not in folders)


def test_what_was_replaced_is_said_with_rows_and_users(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("link").symlink_to("t")
    assert main(["dataset-split", "t", "-o", "link", "--by", "pair"]) == 0
    assert "replaced link, which held 240 rows of 6 users (preferences/1)" in capfd.readouterr().err
    assert Path("link").is_symlink()
    assert (read_preferences(Path("t")).meta.split or {})["unit"] == "pair"


def test_a_pipe_gets_the_table_and_nothing_lies_beside_it() -> None:
    os.mkfifo("pipe")
    simulate = "plt dataset-simulate mirrored --users 4 -o pipe"
    done = bash(f"cat pipe > got & {simulate}; code=$?; wait; exit $code")
    assert done.returncode == 0, done.stderr
    assert "traits are not written" in done.stderr
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert read_preferences(Path("got")).votes.height > 0
    assert sorted(os.listdir()) == ["got", "pipe", "t"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "link"])
def test_standard_output_by_its_names(name: str) -> None:
    Path("link").symlink_to("/dev/stdout")
    done = bash(f"plt dataset-split t -o {name} > got; test -c /dev/null && test -L /dev/stdout")
    assert done.returncode == 0, done.stderr
    assert read_preferences(Path("got")).votes.height == 240
    done = bash(f"plt dataset-split t -o {name} | plt dataset-lint - --json")
    assert done.returncode == 0, done.stderr
    assert not Path("-").exists()


def test_process_substitution() -> None:
    done = bash("plt dataset-split t -o >(cat > got); sleep 0.3")
    assert done.returncode == 0, done.stderr
    assert read_preferences(Path("got")).votes.height == 240


@pytest.mark.parametrize(
    "line",
    ["dataset-split t", "dataset-stats t --json", "ls methods", "dataset-split --help", "-h"],
)
@pytest.mark.parametrize(
    ("redirected", "reason"),
    [(">&-", "standard output is closed"), ("> /dev/full", "No space left on device")],
)
def test_closed_and_full_standard_output(line: str, redirected: str, reason: str) -> None:
    done = bash(f"plt {line} {redirected}")
    assert done.returncode == 2, done.stderr
    assert reason in done.stderr
    assert "report it" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "hint: " in done.stderr


def test_a_file_is_written_with_every_stream_closed() -> None:
    done = bash("plt dataset-split t -o got <&- >&- 2>&-")
    assert done.returncode == 2  # the path of the table has nowhere to go
    assert read_preferences(Path("got")).votes.height == 240
    assert bash("plt dataset-split t -o got 2>&- >said").returncode == 0
    assert Path("said").read_text() == "got\n"
    assert bash("plt dataset-split t -o got 2>/dev/full").returncode == 0


@pytest.mark.parametrize("cache", ["file", "file/below", "file/far/below"])
@pytest.mark.parametrize("model", ["builtin:minilm", "builtin:tiny"])
def test_a_cache_that_cannot_be_written(
    cache: str, model: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setenv("PLT_CACHE", cache)
    assert main(["train", "t", "--method", "bradley-terry", "--model", model]) == 2
    said = capfd.readouterr().err
    assert "cannot write file/" in said
    assert "file is a file, not a folder" in said
    assert "hint: export PLT_CACHE=FOLDER" in said
    assert "-o" not in said
    assert Path("file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "file"], "-o file is a file; it names a folder"),
        (["--runs", "file"], "--runs file is a file; it names a folder"),
        (["--runs", "file/runs"], "file is a file, not a folder"),
        (["--out", "typo/run"], "add --parents"),
        (["--runs", "typo/runs"], "add --parents"),
    ],
)
def test_folders_of_runs(flags: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("in the way")
    assert main(["train", "t", "--method", "length", *flags]) == 2
    assert message in capfd.readouterr().err
    assert sorted(os.listdir()) == ["file", "t"]


def test_runs_in_folders_that_are_asked_for() -> None:
    assert main(["train", "t", "--method", "length", "-q", "--out", "a/b", "--parents"]) == 0
    assert Path("a/b/manifest.json").is_file()
    assert main(["train", "t", "--method", "length", "-q"]) == 0
    assert Path("runs").is_dir()
    Path("link").symlink_to("a/b")
    assert main(["train", "t", "--method", "length", "-q", "--out", "link", "--force"]) == 0
    assert Path("link").is_symlink()
    assert Path("a/b/manifest.json").is_file()


def test_traits_beside_a_population_survive_too(capfd: pytest.CaptureFixture[str]) -> None:
    Path("p.users.parquet").write_text("somebody's own")
    assert main(["dataset-simulate", "mirrored", "--users", "4", "-o", "p.parquet"]) == 2
    assert "p.users.parquet is there already" in capfd.readouterr().err
    assert sorted(os.listdir()) == ["p.users.parquet", "t"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_drawing_replaces_drawings_only(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["dataset-stats", "t", "--plot", f"drawn.{kind}"]
    assert main(line) == 0
    assert main(line) == 0
    assert f"replaced drawn.{kind}, which plt had written" in capfd.readouterr().err
    Path(f"drawn.{kind}").write_text("<svg>mine</svg>")
    assert main(line) == 2
    assert "add --force to replace it" in capfd.readouterr().err
    assert Path(f"drawn.{kind}").read_text() == "<svg>mine</svg>"


@pytest.mark.parametrize("form", [["--json"], ["--format", "rich"], ["--format", "markdown"]])
def test_a_report_replaces_reports_of_its_form(
    form: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["report", run(capfd), "-o", "page", *form]
    assert main(line) == 0
    assert main(line) == 0
    Path("page").write_text("# which method to take\n\nAll of the methods.\n")
    assert main(line) == 2


def test_a_refusal_of_the_machine_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere/far")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", refused)
    assert main(["dataset-split", "t", "-o", "s"]) == 2
    said = capfd.readouterr().err
    assert "somewhere/far cannot be used: Permission denied" in said
    assert "report it" not in said
