"""An exported run is a plain reward model: stock classes alone must give the run's scores."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import read_preferences, write_preferences
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from plt.train.models.embedded.tiny import CHAT_TEMPLATE
from tests.data.made_tables import crossed
from tests.train.tiny_models import save_tiny

TUNED = ("--learning-rate", "0.01", "--set", "pairs_per_step=2")
QUICK = ("--batch-size", "16", "--sham", "none", "--no-baseline", "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("export")
    prefs = split(crossed(3, 16), SplitPlan(by="pair", unseen_users=0))
    write_preferences(prefs, home / "table.parquet")
    return home


def trained(home: Path, capfd: pytest.CaptureFixture[str], *line: str) -> Path:
    code = main(["train", str(home / "table.parquet"), "--runs", str(home / "runs"), *QUICK, *line])
    found = capfd.readouterr()
    assert code == 0, found.err
    return Path(found.out.strip())


def exported(
    run: Path, folder: Path, capfd: pytest.CaptureFixture[str], *line: str
) -> dict[str, object]:
    code = main(["export", str(run), str(folder), "--device", "cpu", "--json", *line])
    found = capfd.readouterr()
    assert code == 0, found.err
    made: dict[str, object] = json.loads(found.out)
    return made


def assert_stock_scores(
    home: Path, run: Path, folder: Path, capfd: pytest.CaptureFixture[str], user: str | None = None
) -> None:
    """`plt score` against transformers' own classes, in padded batches and one text at a time."""
    out = folder.with_suffix(".parquet")
    line = ["score", str(run), str(home / "table.parquet"), "-o", str(out), "--device", "cpu"]
    assert main([*line, *(["--as-user", user] if user else [])]) == 0
    capfd.readouterr()
    scores = read_table(out, SCORES)[0].unique("pair_id").sort("pair_id")
    pairs = read_preferences(home / "table.parquet").pairs
    rows = scores.join(pairs, on="pair_id", how="left").head(6).to_dicts()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    assert model.config.num_labels == 1
    assert model.config.pad_token_id == tokenizer.pad_token_id
    chats = [
        [*row["prompt"], {"role": "assistant", "content": row[f"response_{side}"]}]
        for row in rows
        for side in "ab"
    ]
    expected = [row[f"reward_{side}"] for row in rows for side in "ab"]
    batch = tokenizer.apply_chat_template(
        chats, padding=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        together = model(**batch).logits[:, 0]
        single = [
            tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
            for chat in chats
        ]
        alone = [model(**encoded).logits.item() for encoded in single]
    assert np.ptp(expected) > 1e-3
    assert np.allclose(together, expected, rtol=0, atol=1e-5)
    assert np.allclose(alone, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tune", ["head", "lora", "full"])
@pytest.mark.slow
def test_everybodys_reward_in_every_tuning(
    tune: str, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = () if tune == "head" else TUNED
    run = trained(home, capfd, "--model", "builtin:tiny", "--tune", tune, *more)
    made = exported(run, tmp_path / "m", capfd)
    assert made["user"] is None
    assert made["notes"] == []
    assert_stock_scores(home, run, tmp_path / "m", capfd)
    assert not any("lora" in name for name in load_file(tmp_path / "m" / "model.safetensors"))


@pytest.mark.parametrize(
    ("method", "tune"),
    [
        ("individual", "head"), ("individual", "lora"), ("individual", "full"),
        ("p-rm", "head"), ("eb-shrinkage", "head"), ("pref", "head"), ("lore", "head"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_one_users_reward(
    method: str, tune: str, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = ("--tune", tune, *(() if tune == "head" else TUNED))
    run = trained(home, capfd, "--method", method, "--model", "builtin:tiny", *more)
    user = sorted(read_preferences(home / "table.parquet").votes["user_id"].cast(pl.String))[0]
    made = exported(run, tmp_path / "m", capfd, "--user", user)
    assert made["user"] == user
    assert_stock_scores(home, run, tmp_path / "m", capfd, user)
    card = (tmp_path / "m" / "README.md").read_text()
    assert f"reward of: `{user}`" in card
    if tune != "head":
        assert main(["export", str(run), str(tmp_path / "p"), "--user", "population"]) == 2
        assert "is the mean of 3 fine-tuned models" in capfd.readouterr().err
        return
    exported(run, tmp_path / "p", capfd, "--user", "population")
    assert_stock_scores(home, run, tmp_path / "p", capfd, "population")
    assert user not in (tmp_path / "p" / "README.md").read_text()


def test_a_public_reward_model_comes_back_as_it_was(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = trained(home, capfd, "--method", "pretrained")
    exported(run, tmp_path / "m", capfd)
    assert_stock_scores(home, run, tmp_path / "m", capfd)


@pytest.mark.parametrize("model_type", ["gpt2", "opt", "bloom"])
def test_without_a_template_the_folder_gets_one_and_a_padding_token(
    model_type: str, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Texts of the plain form end in the end token, which is the padding of many models."""
    base = save_tiny(tmp_path / "base", model_type, chat_template=None)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings["pad_token"] = settings["eos_token"]
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    run = trained(home, capfd, "--model", str(base), "--max-length", "200")
    made = exported(run, tmp_path / "m", capfd)
    assert "was added" in str(made["notes"])
    assert_stock_scores(home, run, tmp_path / "m", capfd)


def test_a_begin_token_that_only_the_tokenizer_writes_gets_into_the_template(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`apply_chat_template` does not ask the tokenizer for its begin token, and plt does."""
    base = save_tiny(
        tmp_path / "base", chat_template=CHAT_TEMPLATE.replace("{{- bos_token -}}", "")
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|bos|> $A", special_tokens=[("<|bos|>", tokenizer.bos_token_id)]
    )
    tokenizer.save_pretrained(base)
    run = trained(home, capfd, "--model", str(base))
    assert exported(run, tmp_path / "m", capfd)["notes"] == []
    assert_stock_scores(home, run, tmp_path / "m", capfd)


def test_a_personal_method_that_learnt_one_reward_asks_for_no_user(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uniform = ("--method", "p-rm", "--set", "users=uniform", "--model", "builtin:tiny")
    assert exported(trained(home, capfd, *uniform), tmp_path / "m", capfd)["user"] is None


def test_what_cannot_be_exported_says_why(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    minilm = trained(home, capfd, "--method", "bradley-terry")
    length = trained(home, capfd, "--method", "length")
    individual = trained(home, capfd, "--method", "individual", "--model", "builtin:tiny")
    for line, why in (
        ([minilm], "plt reads the mean of its tokens, scaled to length 1"),
        ([length], "these can: bradley-terry, individual"),
        ([minilm, "--user", "u0"], "scores everybody alike"),
        ([individual], "one must be chosen"),
        ([individual, "--user", "nobody here"], "the run knows no user 'nobody here'"),
    ):
        run, *rest = line
        assert main(["export", str(run), str(tmp_path / "m"), *map(str, rest)]) == 2
        assert why in capfd.readouterr().err
    assert not (tmp_path / "m").exists()
    assert list(tmp_path.iterdir()) == []


def test_only_an_earlier_export_is_replaced_and_only_with_force(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = trained(home, capfd, "--model", "builtin:tiny")
    (tmp_path / "m").mkdir()
    exported(run, tmp_path / "m", capfd)
    assert main(["export", str(run), str(tmp_path / "m")]) == 2
    assert "--force" in capfd.readouterr().err
    (tmp_path / "m" / "stale.txt").write_text("old")
    exported(run, tmp_path / "m", capfd, "--force")
    assert not (tmp_path / "m" / "stale.txt").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert main(["export", str(run), str(tmp_path / "mine"), "--force"]) == 2
    assert "no export of plt" in capfd.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
