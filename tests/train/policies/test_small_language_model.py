"""`builtin:small`: fitted once, kept, and by one process; its full size is in the slow tier."""

from pathlib import Path

import pytest

from plt.errors import UsageError
from plt.train.models.source import resolve_model
from plt.train.policies import small_language_model as small
from plt.train.policies.settings import PersonalSettings, PolicySettings


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real recipe with two steps on a small world."""
    for name, value in {"POSTS": 30, "ANSWERS": 10, "STEPS": 2, "TEXTS_A_STEP": 4}.items():
        monkeypatch.setattr(small, name, value)


@pytest.mark.usefixtures("two_steps")
def test_it_is_fitted_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, int, int]] = []
    made = small.small_language_model(tmp_path, lambda *step: steps.append(step))
    assert made == small.folder(tmp_path)
    assert [step for step in steps if step[0] == "fitting builtin:small, once"] == [
        ("fitting builtin:small, once", 1, 2), ("fitting builtin:small, once", 2, 2),
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "models").iterdir()] == [made.name]
    again: list[tuple[str, int, int]] = []
    assert small.small_language_model(tmp_path, lambda *step: again.append(step)) == made
    assert again == []
    source = resolve_model(str(made))
    elsewhere = small.small_language_model(tmp_path / "elsewhere", lambda *_: None)
    assert resolve_model(str(elsewhere)).fingerprint == source.fingerprint
    assert (source.causal, source.model_type, source.positions) == (True, "llama", 512)
    monkeypatch.setenv("PLT_CACHE", str(tmp_path))
    assert resolve_model("builtin:small").fingerprint == source.fingerprint


def test_several_processes_are_told_to_let_one_fit_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="not fitted yet") as caught:
        small.small_language_model(tmp_path, lambda *_: None)
    assert caught.value.hint == "plt doctor --model builtin:small"
    assert list((tmp_path / "models").iterdir()) == []


def test_toys_have_defaults_of_their_own_and_other_models_the_papers() -> None:
    assert PolicySettings().model == "builtin:small"
    of_small, of_tiny = PersonalSettings(), PersonalSettings(model="builtin:tiny")
    assert (of_small.tuned, of_small.steps(10_000), of_small.rate) == ("full", 200, 1e-3)
    assert (of_small.users_rate, of_small.window) == (1e-2, None)
    assert (of_tiny.tuned, of_tiny.steps(10_000), of_tiny.window) == ("full", 50, 256)
    for real in ("builtin:smollm2", "org/model", "runs/sft-1", "builtin:tiny-reward"):
        found = PersonalSettings(model=real)
        assert (found.tuned, found.rate, found.window) == ("lora", 5e-5, None)
        assert found.steps(1600) == 200  # two passes in steps of 16
        assert found.users_rate == pytest.approx(5e-4)
    typed = PersonalSettings(tune="lora", epochs=1, learning_rate=1e-4, max_length=64)
    assert (typed.tuned, typed.steps(1600), typed.rate, typed.window) == ("lora", 100, 1e-4, 64)
