"""Length and authorship are notes until they say all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.lint import Finding, lint
from plt.analyze.lint.length_and_author import mirrored_auc
from tests.analyze.lint.populations import Readers, table


def of_taste(readers: Readers) -> dict[str, Finding]:
    report = lint(table(readers))
    return {
        str(found.details["feature"]): found
        for found in (*report.findings, *report.notes)
        if found.check == "taste"
    }


MARGINS = st.lists(st.integers(-4, 4), min_size=1, max_size=25)


@settings(max_examples=80, deadline=None)
@given(MARGINS)
def test_mirrored_auc_is_the_auc_of_both_orders(margins: list[int]) -> None:
    """Each row once as a positive and, its responses swapped, once as a negative."""
    value, influence = mirrored_auc(np.array(margins, dtype=np.float64))
    pairs = [(m > -n) + 0.5 * (m == -n) for m in margins for n in margins]
    assert value == pytest.approx(np.mean(pairs))
    assert influence.sum() == pytest.approx(0, abs=1e-9)


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=12), st.integers(0, 11))
def test_influences_are_the_derivative_by_the_weight_of_a_row(
    margins: list[int], place: int
) -> None:
    signed = np.array(margins, dtype=np.float64)
    place %= signed.size
    _, influence = mirrored_auc(signed)
    step = 1e-6

    def weighted(weights: np.ndarray) -> float:
        kernel = (signed[:, None] + signed > 0) + 0.5 * (signed[:, None] + signed == 0)
        return float(weights @ kernel @ weights / weights.sum() ** 2)

    more = np.ones(signed.size)
    more[place] += step
    slope = (weighted(more) - weighted(np.ones(signed.size))) / step
    assert influence[place] == pytest.approx(slope, abs=1e-4)


def test_length_is_a_note_and_its_auc_is_near_the_truth() -> None:
    """A probit on log characters with this noise has AUC 0.76 over its own differences."""
    found = of_taste(
        Readers(users=20, prompts=150, judgements=100, noise=1.5,
                taste=lambda text, user: float(np.log(len(text))))
    )  # fmt: skip
    note = found["length"]
    assert not note.failed
    figure = note.figures["auc"]
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < 0.76 < figure.high
    assert figure.target == "these-users"


def test_length_that_says_all_is_a_finding() -> None:
    found = of_taste(Readers(noise=0.0, taste=lambda text, user: len(text.strip(' .!?:)"\n-#1'))))
    assert found["length"].failed
    assert found["length"].hint


def test_random_labels_have_an_auc_of_one_half() -> None:
    figure = of_taste(Readers(users=20, prompts=80, judgements=80))["length"].figures["auc"]
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < 0.5 < figure.high


def test_brackets_and_blanks_are_no_length() -> None:
    wrapped = of_taste(Readers(words=(8, 9), edit=lambda c, r: (c, f"   [[[{r}]]]   ")))
    high = wrapped["length"].figures["auc"].high
    assert high is not None
    assert high < 0.8


@pytest.mark.parametrize(("strength", "failed"), [(1.0, False), (100.0, True)])
def test_source_models_are_a_note_until_they_say_all(strength: float, failed: bool) -> None:
    readers = Readers(
        users=12, prompts=120, judgements=60, answers=3, sources=3,
        taste=lambda text, user: strength * text.count("~"),
        form=lambda text, answer: "~" * answer + text,
    )  # fmt: skip
    found = of_taste(readers)["source model"]
    assert found.failed == failed
    assert found.rows == 12 * 60


def test_unknown_sources_say_nothing() -> None:
    assert "source model" not in of_taste(Readers())
