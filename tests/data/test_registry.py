"""Every registered name resolves, and says what its module says."""

import dataclasses

import pytest

from plt.data.registry import DATASETS, SIMULATORS, dataset, load_module, names, simulator
from plt.errors import UsageError


@pytest.mark.parametrize("name", list(DATASETS))
def test_sources_have_what_a_download_and_a_conversion_need(name: str) -> None:
    card = DATASETS[name]
    module = load_module(card.target)
    assert callable(module.load)
    assert isinstance(module.CONVERTER_VERSION, int)
    assert module.FILES
    assert set(getattr(module, "VARIANTS", (None,))) - {None} == set(card.variants)
    assert module.LICENSE.split(" (")[0] == card.license.split(" (")[0]
    assert "Paper: " in (module.__doc__ or "") or "et al." in (module.__doc__ or "")


@pytest.mark.parametrize("name", list(SIMULATORS))
def test_simulators_have_a_config_a_table_and_a_truth(name: str) -> None:
    module = load_module(SIMULATORS[name].target)
    assert dataclasses.is_dataclass(module.Config)
    assert {"users", "pairs_per_user", "noise", "seed"} <= {
        field.name for field in dataclasses.fields(module.Config)
    }
    for function in ("simulate", "user_table", "true_reward"):
        assert callable(getattr(module, function))


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'prism'"):
        dataset("prisma")
    with pytest.raises(UsageError, match="did you mean 'tldr:top5'"):
        dataset("tldr:top6")
    with pytest.raises(UsageError, match="did you mean 'noise'"):
        simulator("synthetic:nois")
    assert dataset("prism:lore")[1] == "lore"
    assert "synthetic:pets" in names()
