"""The documented names of the package: what the commands do, from paths, names and frames."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import polars as pl
import pytest

import plt
from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, read_preferences, write_preferences
from plt.data.tables.table import content_hash
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed, raw_frame, user_turn

PARTS = ("config.toml", "scores.parquet", "metrics.parquet")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0))
    write_preferences(prefs, tmp_path / "t.parquet")
    return Path("t.parquet")


FORMS: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "path": Path,
    "table": read_preferences,
    "polars": pl.read_parquet,
    "lazy": pl.scan_parquet,
    "pandas": lambda path: pl.read_parquet(path).to_pandas(),
    "pandas-read": pd.read_parquet,
    "datasets": lambda path: datasets.Dataset.from_parquet(str(path)),
    "datasets-selected": lambda path: datasets.Dataset.from_parquet(str(path)).select(
        range(pl.read_parquet(path).height)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_is_the_same_data_and_stays_unchanged(form: str, path: Path) -> None:
    data, untouched = FORMS[form](path), FORMS[form](path)
    expected = read_preferences(path)
    before = {entry.name for entry in Path().iterdir()}
    found = plt.read(data)
    assert found.votes.equals(expected.votes)
    assert found.pairs.equals(expected.pairs)
    assert plt.stats(data).to_json()["verdict"] == plt.stats(expected).to_json()["verdict"]
    assert plt.lint(data).to_json()["n_judgments"] == 360
    assert plt.split(data, by="pair").votes.height == 360
    if isinstance(data, pd.DataFrame):
        pd.testing.assert_frame_equal(data, untouched)
    elif isinstance(data, pl.DataFrame):
        assert data.equals(untouched)
    elif isinstance(data, datasets.Dataset):
        assert data.to_list() == untouched.to_list()
    assert {entry.name for entry in Path().iterdir()} == before


@pytest.mark.parametrize("form", ["text", "path", "table", "pandas", "datasets"])
def test_train_makes_the_run_of_the_command(
    form: str, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same run id, and the same bytes where the command could have been told the same."""
    data = FORMS[form](path)
    line = ["train", "t.parquet", "--method", "random,length", "--seed", "2", "--runs", "typed"]
    assert main(line) == 0
    typed = [Path(text) for text in capfd.readouterr().out.split()]
    runs = plt.train(data, ["random", "length"], seed=2, runs="called")
    assert capfd.readouterr() == ("", "")
    assert [run.path.name for run in runs] == [run.name for run in typed]
    for run, other in zip(runs, typed, strict=True):
        assert run.scores.equals(plt.load(other).scores)
        if form in ("text", "path"):
            for name in PARTS:
                assert (run.path / name).read_bytes() == (other / name).read_bytes()
        else:
            config = (run.path / "config.toml").read_text()
            assert config.replace("(given in Python)", "t.parquet") == (
                (other / "config.toml").read_text()
            )
    assert {entry.name for entry in Path().iterdir()} == {"t.parquet", "typed", "called"}


def test_flags_are_arguments(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:minilm", "--set",
            "l2=0.5", "--train-size", "40,all", "--sham", "score", "--no-baseline",
            "--runs", "typed"]  # fmt: skip
    assert main(line) == 0
    typed = [Path(text).name for text in capfd.readouterr().out.split()]
    said: list[str] = []
    runs = plt.train(
        path, "individual", model="builtin:minilm", settings={"l2": 0.5}, train_size=[40, "all"],
        sham="score", baseline=False, runs=Path("called"), report=said.append,
    )  # fmt: skip
    assert [run.path.name for run in runs] == typed
    assert any("test accuracy" in sentence for sentence in said)
    one = plt.train(path, "length", out="here")
    assert one[0].path == Path("here")


def test_compare_is_the_report(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import json

    runs = plt.train(path, ["random", "length"])
    found = plt.compare(runs)
    assert main(["report", *(str(run.path) for run in runs), "--json"]) == 0
    assert found.to_json() == json.loads(capfd.readouterr().out)
    forms = [runs[0], str(runs[0].path), runs[0].path, runs[0].path / "scores.parquet",
             runs[0].scores, runs[0].scores.to_pandas()]  # fmt: skip
    for form in forms:
        again = plt.compare(form, runs[1], baseline="random")
        assert again.found.rows[1].gain == plt.compare(runs, baseline="random").found.rows[1].gain
    assert len(repr(found).splitlines()) == 1
    assert "<table>" in found._repr_html_()


def test_read_stats_load_and_score(path: Path) -> None:
    prefs = plt.read(path)
    assert prefs.votes.height == 360
    assert plt.stats(path).to_json()["n_users"] == 6
    assert plt.stats(prefs).to_json() == plt.stats(str(path)).to_json()
    assert main(["train", str(path), "--method", "length", "-o", "run", "-q"]) == 0
    scores = plt.load("run").score(path)
    assert scores.height == 360
    assert scores["margin"].null_count() == 0
    assert plt.load("run").score(pl.read_parquet(path)).equals(scores)
    assert plt.load("run").metrics.height > 0
    assert "length" in plt.METHODS


def test_convert_reads_files_and_frames_alike(tmp_path: Path) -> None:
    raw = pl.DataFrame(
        {"who": ["u", "v"], "prompt": ["why?", "how?"], "chosen": ["so", "thus"],
         "rejected": ["no", "never"]}
    )  # fmt: skip
    raw.write_csv(tmp_path / "raw.csv")
    expected = plt.convert(tmp_path / "raw.csv", maps={"user_id": "who"}, dataset="mine")
    for frame in (raw, raw.to_pandas(), datasets.Dataset.from_pandas(raw.to_pandas())):
        found = plt.convert(frame, maps={"user_id": "who"}, dataset="mine")
        assert found.votes.equals(expected.votes)
        assert found.pairs.equals(expected.pairs)
    with pytest.raises(UsageError, match="maps belong to generic; prism knows its own columns"):
        plt.convert(tmp_path, "prism", maps={"user_id": "who"})


def test_integers_that_pandas_made_floats_are_integers_again() -> None:
    frame = pd.DataFrame(
        {"user_id": [7, None, 9], "prompt": ["a", "b", "c"], "chosen": ["x", "y", "z"],
         "rejected": ["p", "q", "r"], "subset": [None, None, None]}
    )  # fmt: skip
    users = plt.convert(frame).votes["user_id"].cast(pl.String).to_list()
    assert sorted(users, key=str) == ["7", "9", None]
    assert frame["user_id"].dtype == float


def test_registry_names_are_data_too() -> None:
    assert plt.read("synthetic:pets").meta.dataset == "synthetic:pets"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plt.read(7), "a int is no data"),
        (lambda: plt.read("nothing"), "there is no dataset 'nothing'"),
        (lambda: plt.read("nothing.parquet"), "nothing.parquet does not exist"),
        (lambda: plt.stats(pl.DataFrame({"a": [1]})), "the frame is not a preferences table"),
        (lambda: plt.read(pl.DataFrame()), "the frame is not a preferences table"),
        (lambda: plt.read(datasets.DatasetDict()), "datasets.DatasetDict is not one table"),
        (lambda: plt.convert(pl.DataFrame({"a": []})), "the frame has no rows"),
        (lambda: plt.convert(None), "generic needs a file or a frame"),
        (lambda: plt.split("synthetic:pets", by="row"), "the split cannot be made"),
        (lambda: plt.split("synthetic:pets", by="pair", protocol="pref"), "protocol says what"),
        (lambda: plt.stats("synthetic:pets", assume_flip=[2]), r"assume_flip is \[2\]"),
        (lambda: plt.train("synthetic:pets", "nobody"), "there is no method 'nobody'"),
        (lambda: plt.train("synthetic:pets", "length", tune="lora"), "length has no --tune"),
        (lambda: plt.train("synthetic:pets", "length", users=3), "users is a int"),
        (lambda: plt.train("synthetic:pets", "length", seed=-1), "seed is -1, expected a whole"),
        (lambda: plt.train("synthetic:pets", "length", seed=2**64), "expected a whole number"),
        (lambda: plt.train("synthetic:pets", "length", batch_size=0), "batch_size is 0, expected"),
        (lambda: plt.split("synthetic:pets", seed=0.5), r"seed is 0\.5, expected a whole"),
        (lambda: plt.stats("synthetic:pets", seed="a"), "seed is 'a', expected a whole"),
        (lambda: plt.lint("synthetic:pets", seed=True), "seed is True, expected a whole"),
        (lambda: plt.compare(3), "a int is neither a run nor a scores table"),
        (lambda: plt.compare(), "there is no run to report on"),
        (lambda: plt.compare("nowhere"), "nowhere does not exist\nhint: ls runs"),
        (lambda: plt.compare(pl.DataFrame({"a": [1]})), "the frame is not a scores table"),
        (lambda: plt.compare("x", split="tset"), "split is 'tset'; known are train, val, test"),
        (lambda: plt.load("nowhere"), "nowhere is no run"),
    ],
)
def test_what_is_wrong_is_said_as_the_command_line_says_it(
    call: Callable[[], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plt.errors import PltError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(PltError) as error:
        call()
    assert re.search(message, str(error.value))
    assert error.value.hint or error.value.problems or "known are" in error.value.message
    assert list(Path().iterdir()) == []


def test_a_frame_whose_pair_ids_contradict_its_texts_is_refused() -> None:
    wide = crossed(2, 3).wide()
    wrong = wide.with_columns(pair_id=pl.lit(1, dtype=pl.UInt64), occurrence=pl.int_range(
        pl.len()).cast(pl.UInt16))  # fmt: skip
    with pytest.raises(DataError, match="the frame: a pair_id must always name") as error:
        plt.read(wrong)
    assert error.value.hint == 'plt.convert(frame, maps={"user_id": "COLUMN"})'


def hostile() -> Preferences:
    from plt.data.tables.preferences import build
    from plt.data.tables.table import Meta

    name = "<script>alert(1)</script>\x1b[31m"
    rows = [
        {"user_id": f"{name}{user}", "prompt": user_turn(f"p {p}"), "response_1": "l",
         "response_2": f"r {p}", "label": float(user > 2 or p % 2)}
        for user in range(4) for p in range(40)
    ]  # fmt: skip
    return build(raw_frame(rows), Meta(dataset=name))


def test_what_is_shown_is_short_and_html_is_escaped(path: Path) -> None:
    prefs = hostile()
    runs = plt.train(path, ["random", "length"])
    shown = [prefs, plt.stats(prefs), plt.lint(prefs), runs, plt.compare(runs), runs[0]]
    for each in shown:
        assert len(repr(each).splitlines()) <= 6
        assert "\x1b" not in repr(each)
        if hasattr(each, "_repr_html_"):
            page = each._repr_html_()
            assert "<script>" not in page
            assert "\x1b" not in page
    assert "<table>" in plt.stats(prefs)._repr_html_()
    assert "<td" in runs._repr_html_()
    assert "Verdict: " in str(plt.stats(path))


def test_concat_joins_tables_and_refuses_what_the_command_refuses() -> None:
    whole = plt.read("synthetic:mirrored")
    half = pl.col("pair_id") % 2 == 0
    one, other = whole.filter(half), whole.filter(~half)
    assert content_hash(plt.concat([one, other]).votes) == content_hash(whole.votes)
    with pytest.raises(DataError, match="stand in several tables"):
        plt.concat([one, whole])
    assert plt.concat([one, whole], again="copies").n_judgements == whole.n_judgements


def test_the_package_is_complete_and_loads_nothing_heavy() -> None:
    names = {"METHODS", "adapt", "compare", "concat", "convert", "dose", "lint", "load", "read",
             "split", "stats", "tax", "train"}  # fmt: skip
    assert names <= set(dir(plt))
    assert not set(dir(plt)) & {"Any", "ModuleType", "TYPE_CHECKING"}
    assert set(plt.__all__) == names
    for name in names - {"METHODS"}:
        assert callable(getattr(plt, name)), name
    assert "method" in inspect.signature(plt.train).parameters
    script = (
        "import sys, plt, plt.train.registry\n"
        "dir(plt), plt.METHODS, plt.read, plt.compare, plt.train\n"
        "assert callable(plt.train) and plt.train.registry.METHODS is plt.METHODS\n"
        "prefs = plt.read('synthetic:mirrored'); plt.stats(prefs); plt.lint(prefs)\n"
        "print(sorted({'torch', 'pandas', 'datasets', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_each_argument_of_train_is_a_flag_of_the_command() -> None:
    from plt.cli.commands.train import command

    flags = set(inspect.signature(command).parameters)
    arguments = set(inspect.signature(plt.train).parameters)
    assert arguments - flags == {"report", "progress"}
    # A folder is mistyped on a command line; Python code names its own.
    assert flags - arguments == {"launch", "as_json", "quiet", "config", "parents"}


def test_who_expected_pyplot_is_told() -> None:
    with pytest.raises(AttributeError, match=r"plt-toolkit, not matplotlib\.pyplot"):
        _ = plt.figure
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = plt.nothing


def test_the_docstring_of_the_package_names_what_it_has() -> None:
    assert set(re.findall(r"plt\.(\w+)", plt.__doc__ or "")) <= {*dir(plt)}


def test_a_remark_is_blamed_on_the_line_that_called(path: Path) -> None:
    rows = pl.DataFrame({"prompt": ["a?"], "chosen": ["x"], "rejected": ["y"], "user_id": ["u"]})
    runs = plt.train(path, "length")
    for call in (lambda: plt.convert(rows), lambda: plt.compare(runs, runs[0].path)):
        with pytest.warns(UserWarning, match="read as|given twice") as remarks:
            call()
        assert {remark.filename for remark in remarks} == {__file__}


def test_a_run_of_a_frame_says_why_its_configuration_alone_does_not_repeat_it(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = plt.train(plt.read(path), "length", seed=1, runs="called")
    config = ["train", "--config", str(run.path / "config.toml"), "--runs", "typed"]
    assert main(config) == 2
    said = capfd.readouterr().err
    assert "made in Python, and its DATA was a frame" in said
    assert "hint: plt train DATA --config FILE" in said
    assert main([config[0], str(path), *config[1:]]) == 0
    assert Path(capfd.readouterr().out.strip()).name == run.path.name
    people = pl.DataFrame({"user_id": ["a"], "profile": ["hurried"]})
    (told,) = plt.train(path, "length", seed=1, runs="called", users=people)
    assert main(["train", "--config", str(told.path / "config.toml")]) == 2
    assert "its table of users was a frame" in capfd.readouterr().err


def test_what_is_shown_of_a_divided_frame_is_that_it_is_divided() -> None:
    prefs = plt.split("synthetic:mirrored", by="pair")
    assert repr(prefs).endswith("split by pair)")
    assert repr(plt.read(prefs.wide())).endswith("users, split)")
    assert repr(plt.read("synthetic:mirrored")).endswith("no split)")
