from importlib.util import find_spec

import pytest

from plt.errors import UsageError
from plt.train.tuning.settings import TUNED_ONLY, RewardSettings


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(UsageError, match="nothing with --tune head") as error:
        RewardSettings(epochs=3.0, lora_rank=4)
    assert error.value.problems == ["'epochs' is 3.0", "'lora_rank' is 4"]
    assert error.value.hint == "--tune lora"
    with pytest.raises(UsageError, match="nothing with --tune full") as error:
        RewardSettings(tune="full", l2=1.0)
    assert error.value.problems == ["'l2' is 1.0"]


def test_ranges_are_checked_before_any_data_is_read() -> None:
    with pytest.raises(UsageError, match="above 0"):
        RewardSettings(tune="lora", epochs=0.0)
    with pytest.raises(UsageError) as error:
        RewardSettings(tune="lora", learning_rate=float("inf"), pairs_per_step=0)
    assert error.value.problems == [
        "'learning_rate' is inf, expected a number above 0",
        "'pairs_per_step' is 0, expected a number above 0",
    ]
    assert error.value.hint
    with pytest.raises(UsageError, match="above 0"):
        RewardSettings(l2=-1.0)


def test_what_is_not_set_is_left_to_the_defaults_of_tuning() -> None:
    from plt.train.tuning.options import Tuning

    assert RewardSettings(tune="lora").tuning() == Tuning(tune="lora")
    settings = RewardSettings(
        tune="full", epochs=2.0, learning_rate=1e-5, pairs_per_step=8, max_length=64
    )
    assert settings.tuning() == Tuning("full", 2.0, 1e-5, 8, 64)
    assert {*TUNED_ONLY} <= set(RewardSettings.__dataclass_fields__)
    with pytest.raises(ValueError, match="not fine-tuned"):
        RewardSettings().tuning()


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_without_bitsandbytes_say_what_to_install() -> None:
    with pytest.raises(UsageError, match="needs the package bitsandbytes") as error:
        RewardSettings(tune="lora", quantize="4bit")
    assert error.value.hint == "pip install bitsandbytes"


def test_four_bits_go_with_adapters_only() -> None:
    with pytest.raises(UsageError, match="nothing with --tune head") as error:
        RewardSettings(quantize="4bit")
    assert error.value.problems == ["'quantize' is 4bit"]
    with pytest.raises(UsageError, match="--tune full moves them") as error:
        RewardSettings(tune="full", quantize="4bit")
    assert error.value.hint == "--tune lora"
