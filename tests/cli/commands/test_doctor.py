import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from plt.cli import main
from tests.train.tiny_models import save_tiny


def test_without_a_model_it_checks_the_embedded_encoder(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cpu"]) == 0
    said = capfd.readouterr()
    assert "no --model given: checking builtin:minilm" in said.err
    assert "All 7 checks passed." in said.out
    for word in ("transformers", "peft", "hidden_size", "384", "FAIL"):
        assert (word in said.out) == (word != "FAIL")


def test_a_failed_check_is_exit_1_and_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = torch.inf
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert main(["doctor", "--model", str(folder), "--device", "cpu"]) == 1
    said = capfd.readouterr().out
    assert "FAIL" in said
    assert "checks failed: states are finite" in said
    assert main(["doctor", "--model", str(folder), "--device", "cpu", "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert found["ok"] is False
    assert {check["name"]: check["ok"] for check in found["checks"]}["one begin token"]


def test_json_holds_environment_model_and_checks(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "builtin:tiny", "--device", "cpu", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert sorted(found) == ["checks", "environment", "model", "ok"]
    assert found["model"]["kind"] == "causal"
    assert found["model"]["lora_targets"].startswith("q_proj")
    assert found["environment"]["torch"] == torch.__version__
    assert all(check["difference"] <= check["allowed"] for check in found["checks"])


def test_a_model_that_is_not_there_is_exit_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "./nothing"]) == 2
    assert "model ./nothing does not exist" in capfd.readouterr().err
