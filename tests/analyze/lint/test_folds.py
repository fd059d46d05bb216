"""No text stands on both sides of a fold."""

import numpy as np
import pytest

from plt.analyze.lint.decisions import Decisions, read_decisions
from plt.analyze.lint.folds import make_folds
from plt.data.tables.preferences import Preferences
from tests.analyze.lint.populations import Readers, table
from tests.data.made_tables import crossed


def check_apart(decisions: Decisions, seed: int) -> None:
    folds = make_folds(decisions, seed)
    for learned, tried in folds.parts(decisions):
        assert tried.any()
        seen = set(decisions.a[learned]) | set(decisions.b[learned])
        assert not seen & (set(decisions.a[tried]) | set(decisions.b[tried]))
        if folds.by == "group":
            assert not set(decisions.groups[learned]) & set(decisions.groups[tried])
    total = sum(tried for _, tried in folds.parts(decisions))
    assert np.array_equal(total, folds.tried(decisions).astype(int))


@pytest.mark.parametrize("seed", range(3))
def test_prompts_with_answers_of_their_own_are_divided_by_group(seed: int) -> None:
    decisions = read_decisions(table(Readers(seed=seed)))
    folds = make_folds(decisions, seed)
    assert (folds.by, folds.n) == ("group", 5)
    assert folds.tried(decisions).all()
    check_apart(decisions, seed)


def test_conversations_about_the_same_pairs_are_divided_by_text() -> None:
    prefs = crossed(20, 30)
    votes = prefs.votes.with_columns(group="user_id")
    decisions = read_decisions(Preferences(votes, prefs.pairs, prefs.meta))
    folds = make_folds(decisions, 0)
    assert folds.by == "text"
    assert folds.tried(decisions).all()
    check_apart(decisions, 0)


def test_one_prompt_whose_answers_all_meet_tries_rows_of_one_fold_only() -> None:
    decisions = read_decisions(table(Readers(prompts=1, answers=40)))
    folds = make_folds(decisions, 0)
    assert folds.by == "text"
    assert 0 < folds.tried(decisions).mean() < 0.5
    check_apart(decisions, 0)


def test_too_little_is_not_divided() -> None:
    prefs = crossed(3, 4, label=0.5)
    decisions = read_decisions(prefs)
    assert decisions.n_rows == 0
    assert make_folds(decisions, 0).n == 0
