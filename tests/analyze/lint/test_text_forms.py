"""Each feature of form is seen where it is, and nothing else is."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.lint.text_forms import features_of
from tests.data.made_tables import texts as any_text

PLAIN = [f"Plain words of text number {n}." for n in range(20)]


def seen(marked: list[str]) -> set[str]:
    """The features that all of `marked` have and no plain text has."""
    features, table = features_of(pl.Series([*PLAIN, *marked]))
    return {
        feature.name
        for column, feature in enumerate(features)
        if not table[: len(PLAIN), column].any() and table[len(PLAIN) :, column].all()
    }


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("['{}']", "wrapped in [' ... ']"),
        ('["{}"]', 'wrapped in [" ... "]'),
        ("({})", "wrapped in ( ... )"),
        ("“{}”", "wrapped in “ ... ”"),
        (" {}", "with a space in front"),
        ("\n{}", "with a line break in front"),
        ("{} ", "with a space at the end"),
        ("{}\r\n", "with a line break at the end"),
        ("{}\r\n", "with carriage returns"),
        ("{}\tx", "with a tab"),
        ("So.  {}", "with two spaces between sentences"),
        ("{}\u00a0x", "with unusual spaces"),
        ("\ufeff{}", "with invisible characters"),
        ("{} cafÃ©", "with mojibake"),
        ("{} \ufffd", "with mojibake"),
        (r"{}\nmore", "with escapes such as \\n in letters"),
        ("{} &amp; x", "with HTML entities"),
        ("{}<br/>x", "with HTML tags"),
        ("{} e\u0301", "with accents as characters of their own"),
        ("{} don’t", "with curly quotes"),
        ("{} don't", "with straight quotes"),
        ("{}</s>", "with a control token"),
        ("Assistant: {}", "with a speaker's name in front"),
        ("{}\nHuman:", "with a speaker's name at the end"),
        ("Final answer: {}", "with 'Final answer:' in front"),
        ("{} [END]", "with '[END]' at the end"),
        ("<out> {}", "with '<out>' in front"),
        ("~{}", "with '~' in front"),
        ("{}~", "with '~' at the end"),
        ("x{}", "with a lower-case letter in front"),
        ("1{}", "with a digit in front"),
        ("{} x", "with a letter or digit at the end"),
    ],
)
def test_a_feature_is_seen(template: str, name: str) -> None:
    assert name in seen([template.format(plain) for plain in PLAIN])


def test_words_sentence_ends_and_length_are_no_form() -> None:
    longer = [f"{plain} And then so much more about it, again and again." for plain in PLAIN]
    assert seen(longer) == set()
    assert seen([plain.replace(".", "!") for plain in PLAIN]) == set()
    assert seen([plain.replace("Plain", "Sorry") for plain in PLAIN]) == set()


def test_what_few_texts_have_is_no_feature() -> None:
    assert seen(["~ one", "~ two", "~ three"]) == set()


@settings(max_examples=15, deadline=None)
@given(st.lists(any_text, min_size=1, max_size=30, unique=True))
def test_any_text_has_features_and_their_names_are_printable(found: list[str]) -> None:
    marked = [f"\x1b[31m{text}‮" for text in found for _ in range(6)]
    features, table = features_of(pl.Series([*found, *marked]))
    assert table.shape == (7 * len(found), len(features))
    assert all(feature.name.isprintable() for feature in features)
    assert table.any(0).all()
    assert not table.all(0).any()
