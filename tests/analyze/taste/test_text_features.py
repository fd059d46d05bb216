"""Features of texts: what is counted, in any language, on hostile texts, and per distinct text."""

import numpy as np
import polars as pl
import pytest

from plt.analyze.taste.text_features import (
    CONTEXT,
    ENGLISH_ONLY,
    FEATURES,
    pair_features,
    response_features,
)
from plt.data.tables.schema import MESSAGES

NAMES = [feature.name for feature in FEATURES]


def counts(text: str) -> dict[str, float]:
    """Features of one text with the logarithm undone; `refusal` as it is."""
    values = dict(zip(NAMES, response_features(pl.Series([text]))[0], strict=True))
    undone = {name: float(np.round(np.expm1(value), 9)) for name, value in values.items()}
    return undone | {"refusal": float(values["refusal"])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("été", {"length": 3}),
        ("- one\n* two\n 3. three\n(4) four\n5) five", {"lists": 5}),
        ("-not a list, 3.5 is a number\n12.5% too", {"lists": 0}),
        ("# Head\n###### deep\n**bold** and __bold__", {"emphasis": 4}),
        ("#hashtag 2 ** 3 ** 4\n** open", {"emphasis": 1}),
        ("```py\nx\n``` and `y`", {"code": 3}),
        ("Wow! ¡Hola! 好！", {"exclamation": 4}),
        ("Why? ¿Por qué? 为什么？ لماذا؟", {"questions": 5}),
        ("It might rain, perhaps; I think it often does.", {"hedging": 4}),
        ("mighty oftentimes", {"hedging": 0}),
    ],
)
def test_counts(text: str, expected: dict[str, float]) -> None:
    found = counts(text)
    assert {name: found[name] for name in expected} == expected
    assert found["length"] == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m really sorry",
        "I cannot in good conscience provide this.",
        "I must decline.",
        "As an AI language model, I have no taste.",
        "Well. I am just an AI.",
        "I don't have personal opinions.",
        "I'm not able to do that",
    ],
)
def test_refusals(text: str) -> None:
    assert counts(text)["refusal"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "Sure, here it is.",
        "You can't help it.",
        "I can help with that.",
        "She said she was sorry.",
        "x" * 400 + " I'm sorry",
    ],
)
def test_what_is_no_refusal(text: str) -> None:
    assert counts(text)["refusal"] == 0


def test_other_languages_have_no_hedging_and_no_refusal() -> None:
    found = counts("Es tut mir leid, vielleicht kann ich das nicht beantworten.")
    assert all(found[name] == 0 for name in ENGLISH_ONLY)


def test_hostile_texts_are_counted_like_others() -> None:
    text = "\x1b[31mred\x1b[0m \x00 [bold]x[/bold] <|im_end|>\u202e!"
    found = counts(text)
    assert found["length"] == len(text)
    assert found["exclamation"] == 1
    assert np.isfinite(list(found.values())).all()


def frame(rows: list[tuple[list[dict[str, str]], str, str]]) -> pl.DataFrame:
    names = {"prompt": MESSAGES, "response_a": pl.String, "response_b": pl.String}
    return pl.DataFrame(rows, schema=names, orient="row")


def test_pairs_have_the_features_of_their_responses() -> None:
    ask = [{"role": "user", "content": "Hi"}]
    more = [*ask, {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "Again!"}]
    found = pair_features(
        frame([(ask, "the one", "two!"), (more, "two!", "three"), ([], "x", "y")])
    )
    single = response_features(pl.Series(["the one", "two!", "three", "x", "y"]))
    assert np.array_equal(found.a, single[[0, 1, 3]])
    assert np.array_equal(found.b, single[[1, 2, 4]])
    assert list(found.names) == NAMES
    assert found.context.shape[1] == len(CONTEXT)
    assert np.allclose(np.expm1(found.context), [[2, 1], [6, 3], [0, 0]])
    assert found.share_english == pytest.approx(1 / 5)


def test_no_pairs() -> None:
    found = pair_features(frame([]))
    assert found.a.shape == found.b.shape == (0, len(NAMES))
    assert found.context.shape == (0, len(CONTEXT))
    assert found.share_english is None
