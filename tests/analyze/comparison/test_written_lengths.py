"""Words by person, worked out by hand."""

import polars as pl
import pytest

from plt.analyze.comparison.written_lengths import written_lengths
from tests.data.texts import written


def test_mean_standard_error_and_empty_texts_by_person() -> None:
    """u: 0 and 4 words on two prompts: mean 2, standard error sqrt(2 * (1^2 + 1^2)) = 2."""
    table = pl.concat(
        [
            written([("u", "p", ""), ("u", "q", "a b c d")]),
            written([(None, "p", "a b"), (None, "q", "a b")], control="reference"),
            written([(None, "p", "a"), (None, "q", "a b c")], control="generic"),
        ]
    )
    found = written_lengths(table)
    assert [(row.user, row.control, row.n) for row in found] == [
        ("u", "policy", 2),
        (None, "generic", 2),
        (None, "reference", 2),
    ]
    assert found[0].words.value == 2
    assert found[0].words.se == pytest.approx(2.0)
    assert (found[0].empty, found[0].ended, found[0].tokens.value) == (0.5, None, None)
    assert found[1].words.se == pytest.approx(1.0)
    # Equal lengths say nothing of how the next text would be: no standard error, and not 0.
    assert (found[2].words.value, found[2].words.se) == (2, None)


def test_samples_of_one_prompt_are_no_further_evidence() -> None:
    """Two prompts, each written for ten times alike: the standard error is that of two."""
    rows = [("u", p, text) for p, text in (("p", "a"), ("q", "a b c"))]
    (once,) = written_lengths(written(rows))
    (often,) = written_lengths(written(rows * 10, samples=[i // 2 for i in range(20)]))
    assert often.words.se == pytest.approx(once.words.se)
