"""Fixtures shared by every test. No test uses the network or the person's own cache."""

import os
from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the session's own, shared by its tests: embeddings are costly.

    Of the session, so that fixtures of a module have it too: a person's own cache may hold what an
    earlier version or another processor made.
    """
    cache = tmp_path_factory.getbasetemp() / "plt-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLT_CACHE", os.environ.get("PLT_TEST_CACHE", str(cache)))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data files that is not part of the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data files (../shared/data) are not here")
    return folder
