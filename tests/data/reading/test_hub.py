"""The real download code of huggingface_hub against a hub on the loopback interface.

The library reads its environment when it is imported, so each case runs in a process of its own.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from plt.data.reading.hub import fetch, is_reachable
from plt.errors import DataError
from tests.data.loopback_hub import serve

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = """
import json, sys, types
from plt.data.reading.hub import fetch
from plt.errors import PltError

source = types.ModuleType("plt.data.sources.toy_set")
source.HUB_REPO, source.REVISION = "owner/toy", None
source.FILES, source.LICENSE, source.SIZE = ("data/train-*.jsonl", "survey.jsonl"), "CC0", "1 kB"
said = []
try:
    print(json.dumps({"folder": str(fetch(source, said.append)), "said": said}))
except PltError as error:
    print(json.dumps({"error": error.message, "hint": error.hint, "said": said}))
"""


def run(endpoint: str, home: Path, **environment: str) -> dict[str, object]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    settings = {
        "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*", "PYTHONPATH": str(REPOSITORY),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | settings | environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    repo = tmp_path / "hub" / "owner" / "toy"
    (repo / "data").mkdir(parents=True)
    (repo / "data" / "train-00000.jsonl").write_text('{"a": 1}\n')
    (repo / "survey.jsonl").write_text('{"b": 2}\n')
    (repo / "huge.bin").write_text("must not be fetched")
    return tmp_path / "hub"


def test_fetch_downloads_what_is_needed_once(hub_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with serve(hub_folder) as hub:
        first = run(hub.url, home)
        folder = Path(str(first["folder"]))
        assert (folder / "data" / "train-00000.jsonl").read_text() == '{"a": 1}\n'
        assert (folder / "survey.jsonl").is_file()
        assert not (folder / "huge.bin").exists()
        assert first["said"] == ["downloading owner/toy: 1 kB, licence CC0"]
        asked = len(hub.log)
        again = run(hub.url, home)
        assert again == {"folder": str(folder), "said": []}
        assert len(hub.log) == asked
    offline = run("http://127.0.0.1:9", home, HF_HUB_OFFLINE="1")
    assert offline["folder"] == str(folder)


@pytest.mark.slow
def test_a_missing_file_or_repository_is_said(hub_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (hub_folder / "owner" / "toy" / "survey.jsonl").unlink()
    with serve(hub_folder) as hub:
        found = run(hub.url, home)
    assert found["error"] == "owner/toy lacks survey.jsonl at revision main"
    (tmp_path / "empty").mkdir()
    (tmp_path / "fresh").mkdir()
    with serve(tmp_path / "empty") as hub:
        found = run(hub.url, tmp_path / "fresh")
    assert "owner/toy is not on" in str(found["error"])


def test_no_network_is_answered_at_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # Bound but not listening: connections are refused.
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = run(endpoint, tmp_path)
    assert found["error"] == f"toy-set is not cached, and {endpoint} cannot be reached"
    assert str(found["hint"]).startswith("plt dataset-convert toy-set FOLDER")
    offline = run("http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in str(offline["error"])


def test_a_silent_host_costs_no_more_than_the_limit() -> None:
    start = time.monotonic()
    assert not is_reachable("http://192.0.2.1", seconds=0.3)  # An address that never answers.
    assert time.monotonic() - start < 2


def test_a_proxy_is_knocked_at_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serve(tmp_path) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert is_reachable("http://192.0.2.1", seconds=2)


def test_a_source_that_is_not_on_the_hub_says_where_its_files_are() -> None:
    source = ModuleType("plt.data.sources.psoups")
    source.__dict__.update(
        vars(SimpleNamespace(HUB_REPO=None, FILES=("P1A.json",), HOMEPAGE="https://example.org"))
    )
    with pytest.raises(DataError, match="not on the hub; its files come from https"):
        fetch(source)  # type: ignore[arg-type]
