from pathlib import Path

import numpy as np
import pytest

from plt.analyze.dataset.plots import MARK, cluster_order, picture_kind, plot_statistics, shown
from plt.analyze.dataset.statistics import dataset_statistics
from plt.data.tables.output import HEAD_BYTES
from plt.data.tables.table import Meta
from plt.errors import UsageError
from tests.analyze.vote_tables import frame, matrix


def test_camps_stand_together() -> None:
    camp = np.array([0, 1, 0, 1, 1, 0, 0, 1])
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, (8, 8))
    agreement = np.where(camp[:, None] == camp, 0.9, 0.2) + (noise + noise.T) / 2
    np.fill_diagonal(agreement, 1.0)
    ordered = camp[cluster_order(agreement)]
    assert np.count_nonzero(np.diff(ordered)) == 1
    assert cluster_order(np.ones((2, 2))).tolist() == [0, 1]


def test_labels_are_printable_and_short() -> None:
    assert shown("a\x1bb\n\u202e") == "a\\x1bb\\n\\u202e"
    assert len(shown("x" * 99)) == 30


def test_panels_without_data_say_why() -> None:
    nothing = dataset_statistics(frame([("u", 1, 1.0, 0, None)]), Meta(dataset="alone $x_{$"))
    text = plot_statistics(nothing, "svg").decode()
    assert "no pair has votes of two users" in text
    assert "alone $x_{$" in text


def test_many_users_are_drawn_without_names() -> None:
    votes = np.random.default_rng(0).integers(0, 2, (45, 25))
    drawn = plot_statistics(dataset_statistics(matrix(votes), Meta()), "svg")
    assert b"u0001" not in drawn


def test_other_endings_are_refused() -> None:
    assert picture_kind(Path("figures.PNG")) == "png"
    with pytest.raises(UsageError, match="must end in"):
        picture_kind(Path("figures.jpg"))


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_each_picture_is_known_by_its_beginning(kind: str) -> None:
    drawn = plot_statistics(dataset_statistics(frame([]), Meta()), kind)
    assert MARK in drawn[:HEAD_BYTES]
