"""`plt report` as it is typed: forms, folders, gates, bundles, and what it refuses."""

import csv
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.cli import main
from plt.cli.pages.report.forms import to_csv
from plt.cli.shell.streams import printable
from plt.data.run import MANIFEST, SCORES_FILE, load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import METRICS_TABLE, SCORES
from plt.data.tables.table import Meta, read_table, write_table
from tests.analyze.score_tables import scores
from tests.cli.formats.hostile import hostile
from tests.data.made_tables import crossed

METHODS = "random,length,popularity"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a split table and three runs."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
        write_preferences(prefs, folder / "split.parquet")
        assert main(["train", "split.parquet", "--method", METHODS, "-q"]) == 0
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be spoilt."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def said(capfd: pytest.CaptureFixture[str], *line: str, code: int = 0) -> str:
    assert main(["report", *line]) == code, capfd.readouterr().err
    return capfd.readouterr().out


def complaint(capfd: pytest.CaptureFixture[str], *line: str, code: int = 2) -> str:
    assert main(["report", *line]) == code
    return capfd.readouterr().err


def texts(html: str) -> str:
    class Texts(HTMLParser):
        found = ""

        def handle_data(self, data: str) -> None:
            self.found += f"{data}\n"

    parser = Texts()
    parser.feed(html)
    return parser.found


def test_a_folder_stands_for_its_runs(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runs = sorted(map(str, (here / "runs").iterdir()))
    by_name = json.loads(said(capfd, *runs, "--json"))
    by_folder = json.loads(said(capfd, "runs", "--json"))
    unnamed = json.loads(said(capfd, "--json"))
    above = json.loads(said(capfd, ".", "--json"))
    for found in (by_folder, unnamed, above):
        assert found["rows"] == by_name["rows"]
    assert by_name["schema"] == "report/1"
    assert by_name["looks"] == {"known": 3, "shown": 3}
    assert {each["judgements"] for each in by_name["costs"].values()} == {
        load_run(Path(runs[0])).record["training"]["rows"]
    }


def test_looks_count_runs_that_are_not_shown(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runs = sorted(map(str, (here / "runs").iterdir()))
    assert json.loads(said(capfd, *runs[:2], "--json"))["looks"] == {"known": 3, "shown": 2}
    text = said(capfd, runs[0], "--format", "markdown")
    assert "3 runs are known to have looked at them, 2 of them not shown here" in text


@pytest.mark.parametrize("ending", ["md", "tex", "html", "csv", "parquet", "json", "jsonl"])
def test_the_ending_names_the_form_and_our_own_files_are_replaced(
    here: Path, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"r.{ending}"
    assert said(capfd, "runs", "-o", name).strip() == name
    first = (here / name).read_bytes()
    assert said(capfd, "runs", "-o", name).strip() == name
    assert len((here / name).read_bytes()) == pytest.approx(len(first), abs=40)
    (here / name).write_bytes(b"mine")
    assert "is there already" in complaint(capfd, "runs", "-o", name)


def test_the_tables_say_what_json_says(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(said(capfd, "runs", "--json"))
    rows = list(csv.DictReader(io.StringIO(said(capfd, "runs", "--format", "csv"))))
    said(capfd, "runs", "-o", "figures.parquet")
    table, meta = read_table(here / "figures.parquet", METRICS_TABLE)
    assert meta.dataset == document["dataset"]
    assert table.height == len(rows)
    for row in document["rows"]:
        mine = [r for r in rows if r["run_id"] == row["run_id"] and r["metric"] == "accuracy"]
        assert {float(r["value"]) for r in mine} == {
            row["accuracy"]["user"]["value"], row["accuracy"]["pair"]["value"]
        }  # fmt: skip
        if row["gain"] is not None:
            own = table.filter(
                (pl.col("run_id") == row["run_id"])
                & (pl.col("metric") == "gain")
                & pl.col("control").is_null()
            ).row(0, named=True)
            ends = [own["adjusted_low"], own["adjusted_high"]]
            assert ends == (row["gain"]["adjusted_ci"] or [None, None])


def test_a_page_says_it_all(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    html = said(capfd, "runs", "--format", "html")
    words = texts(html)
    for text in ("Which method?", "For whom?", "How sure is that?", "What does it cost?",
                 "What to do next", "plt verify", "Where it comes from"):  # fmt: skip
        assert text in words
    document = json.loads(said(capfd, "runs", "--json"))
    assert document["test_rows"] in words
    assert document["verdict"] in words
    assert html.count("<svg") >= 2
    # Each person has an anchor with a number, and everybody stands under every run.
    assert [f'id="people-{u}"' in html for u in (1, 6, 7)] == [True, True, False]
    # The data is described where it is still there, and not where it is other.
    assert "Do these people disagree?" in words
    (here / "split.parquet").unlink()
    assert "Not described" in texts(said(capfd, "runs", "--format", "html"))
    write_preferences(split(crossed(6, 50), SplitPlan(by="pair")), here / "split.parquet")
    gone = texts(said(capfd, "runs", "--format", "html"))
    assert "no longer holds the judgements" in gone


def test_gates(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    low = said(capfd, "runs", "--min", "accuracy=0.01", "--max", "accuracy=0.99")
    assert "| passed |" in low
    assert "| failed |" not in low
    high = said(capfd, "runs", "--min", "accuracy=0.999", code=1)
    assert "| failed |" in high
    # A figure without an interval keeps no limit: popularity says the same of everything.
    unsure = said(capfd, "runs", "--max", "log_loss=50", code=1)
    assert "popularity: log_loss 0.6931 has no interval" in unsure
    gates = json.loads(said(capfd, "runs", "--min", "accuracy=0.999", "--json", code=1))["gates"]
    assert [gate["passed"] for gate in gates] == [False] * len(gates)
    assert "needs a --margin" in complaint(capfd, "runs", "--no-worse-than", "length")
    runs = sorted(map(str, (here / "runs").iterdir()))
    wide = said(capfd, runs[0], "--no-worse-than", runs[2], "--margin", "99")
    assert "is shown to lose less than 99 points" in wide
    # The reference is the baseline, also where only its path names it.
    document = json.loads(said(capfd, runs[0], "--no-worse-than", runs[2], "--margin", "99",
                               "--json"))  # fmt: skip
    assert document["baseline"] == load_run(Path(runs[2])).identity.method
    assert "has no figure" in complaint(capfd, "runs", "--min", "acuracy=0.5")


def test_a_bundle_holds_everything_and_replaces_only_a_bundle(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(capfd, "runs", "--bundle", "b").strip() == "b/report.html"
    names = {path.relative_to(here / "b").as_posix() for path in (here / "b").rglob("*.*")}
    ids = [load_run(run).run_id for run in (here / "runs").iterdir()]
    assert {"report.html", "report.md", "report.tex", "report.json", "report.eee.jsonl",
            "figures.csv", "figures.parquet", "gains.svg"} <= names  # fmt: skip
    assert {f"runs/{run}/{MANIFEST}" for run in ids} <= names
    assert {f"runs/{run}/config.toml" for run in ids} <= names
    assert said(capfd, "runs", "--bundle", "b").strip() == "b/report.html"
    (here / "other").mkdir()
    (here / "other" / "mine.txt").write_text("mine")
    assert "holds other files" in complaint(capfd, "runs", "--bundle", "other")


def test_changed_scores_are_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = sorted((here / "runs").iterdir())[0]
    table, meta = read_table(run / SCORES_FILE, SCORES)
    write_table(table.with_columns(margin=-pl.col("margin")), SCORES, run / SCORES_FILE, meta)
    err = complaint(capfd, "runs")
    assert "has changed since the run ended" in err
    assert "plt verify" in err


def test_runs_of_other_data_are_refused_with_what_differs(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    again = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0, seed=1))
    write_preferences(again, here / "again.parquet")
    assert main(["train", "again.parquet", "--method", "length", "-q", "--runs", "others"]) == 0
    capfd.readouterr()
    err = complaint(capfd, "runs", "others")
    assert "different data or splits" in err
    assert "judgements or splits" in err
    assert "seed 1" in err


def test_what_is_no_run(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Foreign manifests in a folder are left out and named; asked for alone they are an error."""
    foreign = here / "runs" / "foreign"
    foreign.mkdir()
    (foreign / MANIFEST).write_text('{"name": "an extension of a browser", "version": 3}')
    started = here / "runs" / "started"
    shutil.copytree(sorted((here / "runs").glob("length-*"))[0], started)
    manifest = json.loads((started / MANIFEST).read_text())
    manifest["record"]["status"] = "started"
    (started / MANIFEST).write_text(json.dumps(manifest))
    assert main(["report", "runs", "--json"]) == 0
    found = capfd.readouterr()
    assert len(json.loads(found.out)["rows"]) == 3
    assert "foreign is left out" in found.err
    assert "started is left out: it did not finish" in found.err
    assert "is damaged" in complaint(capfd, "runs/foreign")
    assert "did not finish" in complaint(capfd, "runs/started")
    (here / "empty").mkdir()
    assert "holds none" in complaint(capfd, "empty")
    assert "does not exist" in complaint(capfd, "nowhere")


def table_of(path: Path, users: list[str | None], label: list[float], margin: list[float]) -> None:
    write_table(scores(label, margin, users), SCORES, path, Meta())


def test_one_user_one_pair_and_nan(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=20).tolist()
    table_of(here / "one.parquet", ["ann"] * 20, [1.0, 0.0] * 10, margin)
    table_of(here / "thin.parquet", [f"u{i}" for i in range(20)], [1.0, 0.0] * 10, margin)
    table_of(here / "single.parquet", ["ann"], [1.0], [0.5])
    for name in ("one", "thin", "single"):
        html = said(capfd, f"{name}.parquet", "--format", "html")
        assert "nan" not in texts(html).lower().split()
        document = json.loads(said(capfd, f"{name}.parquet", "--json"))
        assert document["looks"] is None
        for form in ("latex", "csv", "eee", "markdown"):
            assert said(capfd, f"{name}.parquet", "--format", form)
    frame = scores([1.0, 0.0], [float("nan"), 0.3], ["a", "b"])
    frame.write_parquet(here / "nan.parquet", metadata={"plt.schema": "scores/1"})
    assert "margin" in complaint(capfd, "nan.parquet")


def test_names_that_are_markup_formulas_and_paths(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Users, methods, data sets and groups may be called anything: every form keeps its shape."""
    names = [name for name in hostile() if len(name) < 1000]
    rng = np.random.default_rng(1)
    users: list[str | None] = [name for name in names for _ in range(6)]
    label = [1.0, 0.0] * (len(users) // 2)
    for i, method in enumerate(("bradley-terry", names[0], names[11])):
        made = scores(label, rng.normal(size=len(users)), users, [*range(6)] * len(names))
        table = made.with_columns(
            run_id=pl.lit(f"../{i}"), method=pl.lit(method), dataset=pl.lit(names[2])
        )
        write_table(table, SCORES, here / f"{i}.parquet", Meta())
    files = [f"{i}.parquet" for i in range(3)]
    html = said(capfd, *files, "--format", "html")
    assert "<img" not in html
    assert "<iframe" not in html
    assert html.count("<script") == 1
    for name in names:
        assert printable(name) in texts(html)
    for row in csv.reader(io.StringIO(said(capfd, *files, "--format", "csv"))):
        assert not any(cell[:1] in ("=", "@", "\t") for cell in row)
    for line in said(capfd, *files, "--format", "eee").splitlines():
        json.loads(line)
    text = said(capfd, *files, "--by-user", "--format", "markdown")
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| user")}
    assert widths == {3}
    assert "\x1b" not in text
    said(capfd, *files, "--bundle", "b")
    assert not (here.parent / "0").exists()


def test_formulas_in_csv_are_texts() -> None:
    table = pl.DataFrame({"name": ["=1+1", "-2", "plain", None], "value": [-1.5, 2.0, None, 0.0]})
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert rows[1:] == [["'=1+1", "-1.5"], ["'-2", "2.0"], ["plain", ""], ["", "0.0"]]


def test_identical_runs_say_so(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = sorted((here / "runs").glob("length-*"))[0]
    shutil.copytree(run, here / "copy")
    assert main(["report", str(run), "copy", "--json"]) == 0
    found = capfd.readouterr()
    assert len(json.loads(found.out)["rows"]) == 1
    assert "given twice" in found.err


def test_records_of_every_eval_ever(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Held to the structure of the schema, version 0.3.0, without its descriptions."""
    jsonschema = pytest.importorskip("jsonschema")
    path = Path(__file__).resolve().parents[2] / "golden" / "every_eval_ever.schema.json"
    validator = jsonschema.Draft7Validator(json.loads(path.read_text()))
    lines = said(capfd, "runs", "--format", "eee").splitlines()
    assert len(lines) == 3
    for line in lines:
        record = json.loads(line)
        assert [error.message for error in validator.iter_errors(record)] == []
        results = {each["metric_config"]["metric_id"]: each for each in
                   record["evaluation_results"]}  # fmt: skip
        assert "accuracy.user" in results
        interval = results["accuracy.user"]["score_details"]["uncertainty"]["confidence_interval"]
        assert interval["lower"] <= results["accuracy.user"]["score_details"]["score"]
        broken = record | {"evaluation_results": [{"score": 1}]}
        assert list(validator.iter_errors(broken))


def test_explain(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "worst tenth"]) == 0
    assert "least served tenth" in capfd.readouterr().out
    assert main(["explain", "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)["figures"]
    assert {"accuracy", "gain", "room"} <= {each["name"] for each in figures}
    assert main(["explain", "gian"]) == 2
    assert "did you mean 'gain'" in capfd.readouterr().err
