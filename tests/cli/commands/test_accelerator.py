"""What is tuned how where nobody types --tune: heads, or adapters where an accelerator is."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import plt.train.runtime.devices
from plt.cli import main
from plt.data.run import load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.study.plan import Asked, on_device, plan
from tests.contracts.population import population
from tests.data.made_tables import crossed
from tests.train.tiny_models import save_tiny

FLAGS = {"tune": None, "epochs": None, "learning_rate": None, "max_length": None}


def tuned(methods: str, model: str | None, *settings: str, **flags: object) -> dict[str, object]:
    """Method to how it is tuned, beside an accelerator."""
    asked = Asked(methods, model, FLAGS | flags, settings, None, "total", None, True)
    return {cell.name: cell.config.get("tune") for cell in plan(asked, population(), False).cells}


def test_methods_that_take_adapters_get_them_and_the_others_heads(tmp_path: Path) -> None:
    model = str(save_tiny(tmp_path / "m"))
    assert tuned("bradley-terry,individual,pref,pal,random", model) == {
        "bradley-terry": "lora", "individual": "lora", "pref": "lora", "pal": "head",
        "random": None,
    }  # fmt: skip


def test_embedded_models_and_what_was_typed_stay(tmp_path: Path) -> None:
    model = str(save_tiny(tmp_path / "m"))
    for name in (None, "builtin:minilm", "builtin:tiny"):
        assert tuned("bradley-terry", name) == {"bradley-terry": "head"}
    assert tuned("bradley-terry", model, tune="head") == {"bradley-terry": "head"}
    assert tuned("bradley-terry", model, tune="full") == {"bradley-terry": "full"}
    assert tuned("bradley-terry", model, "tune=head") == {"bradley-terry": "head"}
    assert tuned("bradley-terry", model, "l2=0.1") == {"bradley-terry": "head"}
    assert tuned("bradley-terry", model, epochs=2) == {"bradley-terry": "lora"}


def test_only_a_named_model_asks_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plt.train.runtime.devices, "resolve_device", lambda _: torch.device("cuda"))
    for models, flags, settings, expected in (
        ("org/model", FLAGS, (), True),
        ("builtin:tiny, org/model", FLAGS, (), True),
        ("builtin:tiny,builtin:minilm", FLAGS, (), False),
        (None, FLAGS, (), False),
        ("org/model", FLAGS | {"tune": "head"}, (), False),
        ("org/model", FLAGS, ("tune=full",), False),
    ):
        asked = Asked("bt", models, flags, settings, None, "total", None)
        assert on_device(asked, "auto").accelerated is expected
    monkeypatch.setattr(plt.train.runtime.devices, "resolve_device", lambda _: torch.device("cpu"))
    assert not on_device(
        Asked("bt", "org/model", FLAGS, (), None, "total", None), "auto"
    ).accelerated


def test_the_choice_is_said_and_stands_in_manifest_and_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The detector alone is made to see what is not here; the run itself is a real one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "plt.study.plan.on_device", lambda asked, _: replace(asked, accelerated=True)
    )
    prefs = split(crossed(3, 16), SplitPlan(by="pair", unseen_users=0))
    write_preferences(prefs, tmp_path / "t.parquet")
    model = str(save_tiny(tmp_path / "m"))
    line = ["train", "t.parquet", "--model", model, "--device", "cpu", "--epochs", "1"]
    assert main(line) == 0
    found = capfd.readouterr()
    assert "so this is --tune lora (else type --tune head): bradley-terry" in found.err
    run = Path(found.out.strip())
    assert load_run(run).identity.config["set"]["tune"] == "lora"
    assert tomllib.loads((run / "config.toml").read_text())["train"]["set"]["tune"] == "lora"
    monkeypatch.setattr(
        "plt.study.plan.on_device", lambda asked, _: replace(asked, accelerated=False)
    )
    assert main(["train", "--config", str(run / "config.toml")]) == 0
    assert "done already" in capfd.readouterr().err
