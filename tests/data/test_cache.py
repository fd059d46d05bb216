"""Where plt keeps what it can make again, and that the suite leaves a person's own alone."""

from pathlib import Path

import pytest

from plt.data.cache import cache_dir

asked_by_the_module: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def module_fixture() -> None:
    asked_by_the_module.append(cache_dir())


def test_fixtures_of_a_module_have_the_suites_cache_too() -> None:
    assert [cache_dir()] == asked_by_the_module
    assert cache_dir() != Path.home() / ".cache" / "plt"


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLT_CACHE", "elsewhere")
    assert cache_dir() == Path("elsewhere")
    monkeypatch.delenv("PLT_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "plt"
