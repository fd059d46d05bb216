"""A configuration is checked as flags are, and what is wrong is blamed on where it was typed."""

import os
from pathlib import Path

import pytest

from plt.cli import main
from plt.data.tables.preferences import read_preferences, write_preferences
from tests.data.made_tables import crossed


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_preferences(crossed(6, 40), Path("t"))


def complaint(toml: str, line: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    Path("study.toml").write_text(toml)
    assert main([line[0], "--config", "study.toml", *line[1:]]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert "report it" not in said.err
    return said.err


SPLIT = ["dataset-split", "t", "-o", "s"]
TRAIN = ["train", "t", "--method", "popularity"]


@pytest.mark.parametrize(
    ("toml", "line", "message"),
    [
        ("[trian]\nmethod = 'x'\n", TRAIN, "[trian] in study.toml; did you mean 'train'?"),
        ("[dataset_split]\n", SPLIT, "[dataset_split] in study.toml; did you mean 'dataset-split'"),
        ("[zzz]\n", SPLIT, "[zzz] in study.toml; known are ls, "),
        (
            "[train.sett]\nsmoothing = 1\n",
            TRAIN,
            "[train] 'sett' in study.toml; did you mean 'set'",
        ),
        ("sed = 4\n", SPLIT, "'sed' in study.toml; did you mean 'seed'?"),
        ("dataset-split = 4\n", SPLIT, "'dataset-split' in study.toml"),
        ("[[dataset-split]]\nby = 'pair'\n", SPLIT, "'dataset-split' in study.toml"),
    ],
)
def test_misspelt_names(
    toml: str, line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(toml, line, capfd)


def test_every_problem_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    said = complaint("sed = 1\n[trian]\n[dataset-split]\nbye = 'pair'\nseed = [1]\n", SPLIT, capfd)
    for part in ("'sed'", "[trian]", "'bye'", "[dataset-split] seed in study.toml is [1]"):
        assert part in said


def test_keys_of_other_commands_and_their_tables_are_no_mistake() -> None:
    Path("study.toml").write_text("method = 'length'\nseed = 3\n[train]\nmodel = 'x'\n[report]\n")
    assert main([*SPLIT, "--config", "study.toml"]) == 0
    assert (read_preferences(Path("s")).meta.split or {})["seed"] == 3


@pytest.mark.parametrize(
    ("toml", "line", "message"),
    [
        ("[dataset-split]\nseed = 'x'\n", SPLIT, "[dataset-split] seed in study.toml: "),
        ("seed = -1\n", SPLIT, "seed in study.toml: Input should"),
        ("seed = 1.5\n", SPLIT, "seed in study.toml: Input should be a valid integer"),
        ("[dataset-split]\nquiet = 2\n", SPLIT, "quiet in study.toml is 2, expected true or false"),
        ("[dataset-split]\nout = [1]\n", ["dataset-split", "t"], "out in study.toml is [1]"),
        ("[dataset-split.by]\nx = 1\n", SPLIT, "[dataset-split] by in study.toml is a table"),
        ("[dataset-split]\nout = \"a\\u0000b\"\n", ["dataset-split", "t"], "out in study.toml is"),
        ("[train]\nset = 4\n", TRAIN, "[train] set in study.toml"),
        ("[dataset-split]\nfractions = '80,10'\n", SPLIT,
         "'--fractions' was read from [dataset-split] fractions in study.toml"),
        ("[dataset-split]\nby = 'promt'\n", SPLIT, "'--by' was read from [dataset-split] by in"),
        ("[train]\nmethod = 'popularty'\n", ["train", "t"],
         "'--method' was read from [train] method in study.toml"),
        ("[train.set]\nsmoothing = 'x'\n", TRAIN, "'smoothing' was read from [train.set] in study"),
        ("[train.set]\nsmothing = 1\n", TRAIN, "'smothing' was read from [train.set] in"),
    ],
)  # fmt: skip
def test_bad_values_of_a_file(
    toml: str, line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(toml, line, capfd)
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("name", "value", "line", "message"),
    [
        ("PLT_SEED", "x", SPLIT, "the environment variable PLT_SEED: Input should"),
        ("PLT_DATASET_SPLIT_UNSEEN_USERS", "x", SPLIT, "PLT_DATASET_SPLIT_UNSEEN_USERS: Input"),
        ("PLT_DATASET_SPLIT_FRACTIONS", "80", SPLIT,
         "'--fractions' was read from the environment variable PLT_DATASET_SPLIT_FRACTIONS"),
        ("PLT_DATASET_SPLIT_BY", "promt", SPLIT,
         "'--by' was read from the environment variable PLT_DATASET_SPLIT_BY"),
        ("PLT_RUNS", "t", TRAIN, "'--runs' was read from the environment variable PLT_RUNS"),
        ("PLT_DATASET_SPLIT_OUT", "gone/s", ["dataset-split", "t"],
         "'--out' was read from the environment variable PLT_DATASET_SPLIT_OUT"),
        ("PLT_CONFIG", "gone.toml", SPLIT, "PLT_CONFIG gone.toml does not exist"),
    ],
)  # fmt: skip
def test_bad_values_of_the_environment(
    name: str, value: str, line: list[str], message: str, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value)
    assert main(line) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    "flags", [["--seed", "x"], ["--unseen-users", "x"], ["--fractions", "80"], ["--by", "promt"]]
)
def test_what_was_typed_behind_a_flag_is_blamed_on_it_alone(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLT_SEED", "3")
    Path("study.toml").write_text("[dataset-split]\nfractions = '70,20,10'\nby = 'pair'\n")
    assert main([*SPLIT, "--config", "study.toml", *flags]) == 2
    said = capfd.readouterr().err
    assert flags[0] in said
    assert "study.toml" not in said
    assert "PLT_" not in said


def test_a_file_that_cannot_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    os.mkdir("folder")
    assert main([*SPLIT, "--config", "folder"]) == 2
    assert "--config folder cannot be read: Is a directory" in capfd.readouterr().err
