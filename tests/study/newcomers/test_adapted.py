"""A run of `plt adapt` as a model again: it says of each question what the run said of it."""

from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.cli.shell.authors import Told, load_reward
from plt.data.cache import cache_dir
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import read_preferences, write_preferences
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from plt.errors import ArtifactError, UsageError
from plt.train.method import Compute
from tests.data.made_tables import crossed

Captured = pytest.CaptureFixture[str]
KEY = ["user_id", "pair_id", "occurrence"]


@pytest.fixture
def adapted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> Path:
    """Five new people, adapted to from 2 and 6 of their answers, twice each."""
    monkeypatch.chdir(tmp_path)
    write_preferences(split(crossed(20, 60), SplitPlan(unseen_users=0.25)), Path("t.parquet"))
    assert main(["train", "t.parquet", "--method", "individual", "--sham", "none", "-q"]) == 0
    run = capfd.readouterr().out.strip()
    line = ["adapt", run, "--n-shots", "2,6", "--draws", "2", "--no-baselines", "-q"]
    assert main(line) == 0
    return Path(capfd.readouterr().out.strip())


@pytest.mark.parametrize(("n_shots", "draw"), [("0", 0), ("2", 1), ("6", 0), ("all", 0)])
def test_it_says_what_the_run_said(adapted: Path, n_shots: str, draw: int) -> None:
    fitted = load_reward(adapted, Told(n_shots, draw), Compute(cache_dir=cache_dir()))
    scores, _ = read_table(adapted / "scores.parquet", SCORES)
    every = pl.col("variant").is_not_null()
    size = every if n_shots == "all" else pl.col("n_shots") == int(n_shots)
    said = scores.filter(size, pl.col("draw") == draw, pl.col("control").is_null()).sort(KEY)
    assert sorted(fitted.users) == said["user_id"].unique().sort().to_list()
    table = read_preferences(Path("t.parquet"))
    asked = table.filter(
        (pl.col("user_split") == "unseen")
        & (pl.col("split") == "test")
        & pl.col("user_id").cast(pl.String).is_in(list(fitted.users))
    )
    again = fitted.score(asked).frame.sort(KEY)
    assert again.select(KEY).equals(said.select(KEY))
    assert again["margin"].to_list() == pytest.approx(said["margin"].to_list(), abs=1e-9)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Told(), "shown several numbers of answers (0, 2, 6)"),
        (Told("5"), "was shown 0, 2, 6 answers"),
        (Told("many"), "was shown 0, 2, 6 answers"),
        (Told("2", 7), "has the draws 0 to 1"),
    ],
)
def test_what_the_run_was_not_shown_is_refused(adapted: Path, told: Told, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_reward(adapted, told, Compute())
    assert said in caught.value.message


def test_another_table_under_the_same_name_is_refused(adapted: Path) -> None:
    write_preferences(split(crossed(20, 59), SplitPlan(unseen_users=0.25)), Path("t.parquet"))
    with pytest.raises(ArtifactError, match="not what"):
        load_reward(adapted, Told("2"), Compute())


def test_a_number_of_answers_belongs_to_a_run_of_adapt(adapted: Path, capfd: Captured) -> None:
    line = ["generate", "builtin:tiny", "--prompts", "t.parquet", "-o", "x.parquet"]
    assert main([*line, "--n-shots", "5"]) == 2
    assert "--n-shots is a number of answers of a run of plt adapt" in capfd.readouterr().err
    assert not Path("x.parquet").exists()


def test_texts_are_chosen_for_new_people_and_judged(adapted: Path, capfd: Captured) -> None:
    line = ["generate", "builtin:tiny", "--prompts", "t.parquet", "--n-prompts", "2",
            "--max-new-tokens", "4", "-q"]  # fmt: skip
    assert main([*line, "-o", "plain.parquet"]) == 0
    best = ["--best-of", "2", "--guide", str(adapted)]
    verdicts = []
    for n_shots in ("0", "6"):
        texts, kept = f"{n_shots}.parquet", f"v{n_shots}.parquet"
        assert main([*line, *best, "--user", "all", "--n-shots", n_shots, "-o", texts]) == 0
        assert main(["winrate", texts, "plain.parquet", "--judge", "builtin:tiny", "-o", kept,
                     "-q"]) == 0  # fmt: skip
        verdicts.append(kept)
    frame = pl.read_parquet("6.parquet")
    assert frame["user_id"].n_unique() == 5
    assert frame["system"][0].endswith("(6 answers, draw 0)")
    capfd.readouterr()
    assert main(["winrate", *verdicts, "--plot", "rates.svg"]) == 0
    shown = capfd.readouterr().out
    assert "win rates; 95 % intervals" in shown
    assert shown.count("(0 answers, draw 0)") >= 2
    assert Path("rates.svg").read_text().count("answers, draw 0") >= 2
    assert main(["winrate", verdicts[0], "plain.parquet"]) == 2
    assert main(["winrate", *verdicts, "--judge", "builtin:tiny"]) == 2
