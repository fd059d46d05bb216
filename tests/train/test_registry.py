import subprocess
import sys

import pytest

from plt.errors import UsageError
from plt.train.registry import (
    METHODS,
    config_dict,
    config_keys,
    load_class,
    make_method,
    method_card,
    method_name,
)


@pytest.mark.parametrize("name", METHODS)
def test_names_ignore_case_and_joints(name: str) -> None:
    for spelling in (name.upper(), name.replace("-", "_"), name.replace("-", "").title()):
        assert method_name(spelling) == name
    for alias in METHODS[name].aliases:
        assert method_card(alias) is METHODS[name]


def test_no_spelling_is_shared() -> None:
    spellings = [
        spelling.replace("-", "").casefold()
        for name, card in METHODS.items()
        for spelling in (name, *card.aliases)
    ]
    assert len(set(spellings)) == len(spellings)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'bradley-terry'") as error:
        method_card("bradly-tery")
    assert error.value.hint == "plt ls methods"
    with pytest.raises(UsageError, match="there is no method") as error:
        method_card("xyzzy")
    assert error.value.message == "there is no method 'xyzzy'"


def test_every_problem_with_the_settings_at_once() -> None:
    settings = {"modle": "x", "l2": "much", "max-length": 3.5, "model": 7, "labels": "all"}
    with pytest.raises(UsageError) as error:
        make_method("bradley-terry", settings)
    assert error.value.problems == [
        "unknown key 'modle'; did you mean 'model'?",
        "'l2' is 'much' (str), expected a number or 'auto'",
        "'max-length' is 3.5 (float), expected an integer or 'auto'",
        "'model' is 7 (int), expected a text",
        "'labels' is 'all' (str), expected one of 'votes', 'majority'",
    ]
    with pytest.raises(UsageError) as error:
        make_method("random", {"l2": 1})
    assert error.value.problems == ["unknown key 'l2'; it has no settings"]
    with pytest.raises(UsageError) as error:
        make_method("popularity", {"beta": 1, "smoothing": True})
    assert error.value.problems == [
        "unknown key 'beta'; known are smoothing",
        "'smoothing' is True (bool), expected a number",
    ]


def test_texts_of_the_command_line_are_read_as_the_type_of_the_key() -> None:
    typed = make_method("bradley-terry", {"l2": 3, "max_length": 64, "model": "builtin:minilm"})
    texts = make_method("vanilla", {"l2": "3", "max-length": "64", "model": "builtin:minilm"})
    assert texts.config == typed.config
    assert type(texts.config.l2) is float
    assert make_method("bt", {"l2": "auto"}).config.l2 is None
    assert config_dict(make_method("bt", {}))["l2"] == "auto"


def test_ranges_are_checked_by_the_config() -> None:
    with pytest.raises(UsageError, match=r"'l2' is 0\.0, expected a number above 0"):
        make_method("individual", {"l2": 0})
    with pytest.raises(UsageError, match=r"'smoothing' is -1\.0"):
        make_method("popularity", {"smoothing": -1})
    with pytest.raises(UsageError) as error:
        make_method("eb", {"iterations": -1, "variance": "-2"})
    assert len(error.value.problems) == 2
    with pytest.raises(UsageError, match="one over linear heads") as error:
        make_method("eb", {"tune": "lora"})
    assert error.value.hint == "plt train --method eb-shrinkage --tune head"


def test_keys_are_those_of_the_config() -> None:
    assert config_keys("popularity") == ("smoothing",)
    for card in METHODS.values():
        assert isinstance(load_class(card.target), type)


def test_asking_for_a_card_imports_nothing_heavy() -> None:
    code = (
        "import sys; from plt.train.registry import method_card; method_card('eb');"
        "print(sorted(m for m in ('torch', 'transformers', 'scipy.stats') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
