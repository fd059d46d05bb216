"""Fixtures shared by every test. No test uses the network or the person's own cache."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A property is true or false on a busy machine too; how long it takes is the benches' question.
settings.register_profile("plt", deadline=None)
settings.load_profile("plt")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own, shared within the session: embeddings are costly."""
    cache = tmp_path_factory.getbasetemp() / "plt-cache"
    monkeypatch.setenv("PLT_CACHE", os.environ.get("PLT_TEST_CACHE", str(cache)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data files that is not part of the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data files (../shared/data) are not here")
    return folder
