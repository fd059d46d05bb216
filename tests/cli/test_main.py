"""The contract of the command line: streams, exit codes, messages, pipes, configuration."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from plt import __version__
from plt.cli import main
from plt.cli.shell.app import COMMANDS
from plt.data.tables.preferences import read_preferences, write_preferences
from tests.data.made_tables import crossed

PLT = [sys.executable, "-m", "plt"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    write_preferences(crossed(6, 40), path)
    return path


def shell(line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    plt = f"{sys.executable} -m plt"
    return subprocess.run(
        ["bash", "-c", line.replace("plt ", f"{plt} ")],
        capture_output=True,
        env={**os.environ, **env},
        cwd=ROOT,
        check=False,
    )


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"plt {__version__}\n"
    assert main(["--help"]) == 0
    out = capfd.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    found = capfd.readouterr()
    assert f"Example: plt {name}" in " ".join(found.out.split())
    assert found.err == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["trian"], "there is no command 'trian'; did you mean 'train'?"),
        (["dataset-split", "x", "--bye", "pair"], "No such option: --bye"),
        (["dataset-split"], "Missing argument"),
        (["dataset-split", "nope.parquet"], "nope.parquet does not exist"),
        (["dataset-split", "synthetic:dirichet"], "did you mean 'dirichlet'?"),
        (["ls", "method"], "nothing called 'method' to list"),
        (["report", "/nowhere"], "/nowhere does not exist"),
        (["train", "--seed", str(2**64)], "Invalid value for '--seed'"),
    ],
)
def test_wrong_lines_get_one_clear_message(
    line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    found = capfd.readouterr()
    assert found.out == ""
    assert found.err.startswith("plt: ")
    assert message in found.err
    assert "Traceback" not in found.err


def test_a_table_goes_through_a_pipe(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.parquet"
    done = shell(
        f"plt dataset-split {table} --by pair -q | plt dataset-split - --by prompt -o {out}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == str(out)
    made = read_preferences(out)
    assert made.meta.split is not None
    assert made.meta.split["unit"] == "prompt"
    assert made.meta.command == f"plt dataset-split - --by prompt -o {out}"


def test_json_is_alone_on_stdout(table: Path, tmp_path: Path) -> None:
    done = shell(f"plt dataset-split {table} --json -o {tmp_path / 's.parquet'}")
    assert json.loads(done.stdout)["split"]["unit"] == "pair"
    assert b"split by pair" in done.stderr


def test_a_closed_pipe_is_141(table: Path) -> None:
    done = shell(f"set -o pipefail; plt dataset-split {table} -q | head -c 1 > /dev/null")
    assert done.returncode in (0, 141)  # a small table may fit into the pipe before it closes
    done = shell(f"plt dataset-split {table} -q >&-")
    assert b"Traceback" not in done.stderr


def test_bytes_are_not_written_to_a_terminal(table: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    done = subprocess.run(
        [*PLT, "dataset-split", str(table)], stdout=follower, stderr=subprocess.PIPE, check=False
    )
    os.close(follower)
    os.close(leader)
    assert done.returncode == 2
    assert b"stdout is a terminal" in done.stderr


def test_empty_and_foreign_standard_input() -> None:
    assert b"standard input is empty" in shell("plt dataset-split - < /dev/null").stderr
    done = shell("printf '\\xff\\xfe' | plt dataset-split -")
    assert done.returncode == 2
    assert b"neither a Parquet table nor paths" in done.stderr
    done = shell("printf 'a.parquet\\nb.parquet\\n' | plt dataset-split -")
    assert b"2 lines where one table is wanted" in done.stderr


def test_libraries_that_print_do_not_reach_stdout(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import plt.data.splitting.splits as splits

    genuine = splits.split

    def noisy(*args: object) -> object:
        print("noise")
        os.write(1, b"more noise\n")
        return genuine(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(splits, "split", noisy)
    assert main(["dataset-split", str(table), "-o", str(tmp_path / "s.parquet")]) == 0
    found = capfd.readouterr()
    assert found.out == f"{tmp_path / 's.parquet'}\n"
    assert "noise" in found.err


def test_a_bug_is_3_and_its_traceback_is_kept(
    table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import plt.data.splitting.splits as splits

    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(splits, "split", broken)
    assert main(["dataset-split", str(table), "-o", str(table.with_name("never.parquet"))]) == 3
    err = capfd.readouterr().err
    assert "plt failed: RuntimeError: boom" in err
    kept = Path(next(word for word in err.split() if word.endswith(".txt")))
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_ctrl_c_is_130() -> None:
    process = subprocess.Popen(
        [*PLT, "dataset-split", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        # A suite that runs in the background ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    time.sleep(3)  # it waits for standard input now
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


class TestConfig:
    def run(
        self, table: Path, tmp_path: Path, toml: str, *flags: str, **env: str
    ) -> dict[str, object]:
        config = tmp_path / "plt.toml"
        config.write_text(toml)
        out = tmp_path / "s.parquet"
        flag_text = " ".join(flags)
        done = shell(f"plt dataset-split {table} --config {config} -o {out} {flag_text}", **env)
        assert done.returncode == 0, done.stderr
        return dict(read_preferences(out).meta.split or {})

    def test_precedence(self, table: Path, tmp_path: Path) -> None:
        toml = "seed = 5\n[dataset-split]\nby = 'pair'\nunseen-users = 0.5\n"
        made = self.run(table, tmp_path, toml)
        assert (made["seed"], made["unit"], made["unseen_users"]) == (
            5, "pair", 0.5,
        )  # fmt: skip
        assert self.run(table, tmp_path, toml, PLT_SEED="7")["seed"] == 7
        assert self.run(table, tmp_path, toml, "--seed 9", PLT_SEED="7")["seed"] == 9

    def test_unknown_keys_are_named(
        self, table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        config = tmp_path / "plt.toml"
        config.write_text("[dataset-split]\nunseen-user = 0.5\n")
        assert main(["dataset-split", str(table), "--config", str(config)]) == 2
        err = capfd.readouterr().err
        assert "[dataset-split] 'unseen-user' in plt.toml; did you mean 'unseen-users'?" in err

    def test_no_toml(self, table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        config = tmp_path / "plt.toml"
        config.write_text("[dataset-split\n")
        assert main(["dataset-split", str(table), "--config", str(config)]) == 2
        assert "is no TOML file" in capfd.readouterr().err


def test_hostile_file_names_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset-split", str(tmp_path / "\x1b[31mred.parquet")]) == 2
    err = capfd.readouterr().err
    assert "\x1b" not in err
    assert "\\x1b[31mred" in err


def test_foreign_tables_are_accepted_and_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "foreign.parquet"
    wide = crossed(4, 30).wide()
    turned = wide.with_columns(
        response_a="response_b", response_b="response_a", label=1 - pl.col("label")
    )
    turned.write_parquet(path)
    assert main(["dataset-split", str(path), "-o", str(tmp_path / "s.parquet")]) == 0
    err = capfd.readouterr().err
    assert "carries no plt.schema; taken for preferences/1" in err
    assert "120 rows had their responses turned round" in err
