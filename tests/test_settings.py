"""Settings become typed configs; every wrong one is named at once."""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.errors import UsageError
from plt.settings import make_config, parse_settings, plain_values


@dataclass(frozen=True)
class Config:
    rank: int = 4
    l2: float | None = None
    tune: Literal["head", "lora"] = "head"
    centred: bool = True
    targets: tuple[str, ...] = ()
    name: str = ""


def test_texts_become_types() -> None:
    values = parse_settings(["rank=8", "l2=1e-3", "tune=lora", "centred=no", "targets=q, v"])
    assert make_config(Config, values, "lore", "plt ls") == Config(
        8, 1e-3, "lora", False, ("q", "v")
    )


@given(st.integers(), st.floats(allow_nan=False) | st.none(), st.booleans(), st.text())
def test_typed_values_pass_through(rank: int, l2: float | None, centred: bool, name: str) -> None:
    values = {"rank": rank, "l2": l2, "centred": centred, "name": name}
    assert make_config(Config, values, "lore", "plt ls") == Config(
        rank, l2, "head", centred, (), name
    )


def test_every_problem_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        make_config(
            Config,
            {"rnak": "8", "rank": "2.5", "tune": "all", "centred": "maybe"},
            "lore",
            "plt ls",
        )
    assert caught.value.problems == [
        "unknown key 'rnak'; did you mean 'rank'?",
        "'rank' is '2.5' (str), expected an integer",
        "'tune' is 'all' (str), expected one of 'head', 'lora'",
        "'centred' is 'maybe' (str), expected true or false",
    ]


def test_auto_is_none_and_the_way_back() -> None:
    config = make_config(Config, {"l2": "auto"}, "lore", "plt ls")
    assert config.l2 is None
    assert plain_values(config)["l2"] == "auto"
    assert make_config(Config, plain_values(config), "lore", "plt ls") == config


def test_a_boolean_is_no_number() -> None:
    with pytest.raises(UsageError, match=r"'rank' is True \(bool\), expected an integer"):
        make_config(Config, {"rank": True}, "lore", "plt ls")


def test_malformed_items() -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(["rank", "l2=1", "l2=2"])
    assert caught.value.problems == ["'rank' is not KEY=VALUE", "'l2' is set twice"]


def test_dashes_are_underscores() -> None:
    assert parse_settings(["my-key=a=b"]) == {"my_key": "a=b"}
