"""The coverage map on file: whole, fresh, and what the page and the grid say of it."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from plt.analyze.intervals.uncertainty import mean_interval
from tests.analyze.judged_worlds import World, expected_loss, share_right
from tests.coverage import map as coverage_map
from tests.coverage.grid import cells
from tests.coverage.judgements import activities, design
from tests.coverage.map import FAMILIES, on_file, run, worst_cells, write
from tests.coverage.page import PAGE, lines, page
from tests.coverage.tally import Claim, Coverage, Held, Tally

CELLS = {cell.name: cell for cell in cells()}
AT_LEAST = 100
SMALL = 60
"""Replications of a cell in the slow tier: .93 is then measured to +-.033."""


def test_every_cell_of_the_grid_is_on_file_and_none_was_removed() -> None:
    counted = on_file()
    assert set(counted) == set(CELLS)
    assert min(tally.replications for tally in counted.values()) >= AT_LEAST
    assert {cell.family for cell in CELLS.values()} == set(FAMILIES)


def test_the_page_is_what_the_file_makes() -> None:
    """``python -m tests.coverage.page`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page(on_file())


def test_the_page_names_what_is_outside_the_promise() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = text.split("## Cells outside the promise")[1].split("## The worst cells")[0]
    for line in lines(on_file()):
        if line.outside:
            assert f"| {line.cell} | {line.figure} | {line.shown} |" in named


def test_counting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Two times three replications are six, and the file holds all of a tally."""
    cell = CELLS["worst, world ten users"]
    whole = run(cell, Tally(), 6)
    path = tmp_path / "coverage.json"
    write({cell.name: run(cell, Tally(), 3)}, path)
    again = run(cell, on_file(path)[cell.name], 6)
    write({cell.name: again}, path)
    assert on_file(path)[cell.name].replications == 6
    for figure, found in whole.coverage.items():
        other = again.coverage[figure]
        assert (found.n, found.held, found.targets) == (other.n, other.held, other.targets)
        assert found.width == pytest.approx(other.width, rel=1e-5)


def test_a_run_writes_what_it_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "coverage.json"
    line = ["--cells", "worst, world ten", "--replications", "2", "--out", str(path)]
    coverage_map.main(line)
    assert list(on_file(path)) == ["worst, world ten users"]
    assert "worst, world ten users" in capsys.readouterr().out
    coverage_map.main(line)
    assert capsys.readouterr().out == ""


def test_sums_of_a_tally_by_hand() -> None:
    found = Coverage()
    for value, ends, truth in ((1.0, (0.0, 2.0), 0.5), (2.0, (1.5, 2.5), 1.0), (0.0, None, 0.0)):
        found.add(Held("x", value, ends, "population", truth))
    assert (found.n, found.held, found.refused, found.share) == (2, 1, 1, 0.5)
    assert found.errors == [1.5, 1.25]
    # Errors 0.5 and 1 spread by 0.25; mean width 1.5.
    assert found.ratio == pytest.approx(1.5 / (3.92 * 0.25))
    tally = Tally()
    for happened in (True, False, False):
        tally.add([Claim("y", "null", happened), Held("x", 0.0, (-1.0, 1.0), "groups", 2.0)])
    assert tally.claims["y"].share == pytest.approx(1 / 3)
    assert tally.coverage["x"].held == 0
    assert Tally.from_json(tally.to_json()) == tally
    worse = {"a": tally, "b": Tally()}
    assert worst_cells(worse, 1) == ["a"]


@pytest.mark.parametrize("target", ["population", "these-users", "these-prompts"])
def test_the_truth_of_a_world_is_what_many_draws_give(target: str) -> None:
    """Draws of what the target leaves open, with what it holds fixed."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(4), [2, 3, 5, 10])
    groups = rng.integers(0, 6, users.size)
    pairs = groups * 2 + rng.integers(0, 2, users.size)
    world = World(users, groups, pairs, by_pair=0.5)
    drawn = world.draw(rng)
    qualities = []
    for _ in range(40_000):
        other = world.draw(rng)
        if target == "these-users":
            other = type(other)(drawn.users, other.groups, other.pairs, other.noise)
        if target == "these-prompts":
            other = type(other)(other.users, drawn.groups, drawn.pairs, other.noise)
        qualities.append(world.quality(other))
    many = np.array(qualities)
    for average in ("user", "pair"):
        weights = world.weights(average)
        for expected, seen in (
            (share_right, many > 0),
            (expected_loss, np.logaddexp(0, -many)),
        ):
            truth = world.truth(target, average, drawn, expected)
            assert (seen @ weights).mean() == pytest.approx(truth, abs=0.006)


def test_a_design_is_as_uneven_as_it_says() -> None:
    cell = CELLS["judgements, users 100, activity zipf, largest 0.35"]
    world = design(cell, cell.rng(), activities(cell))
    count = np.bincount(world.users)
    assert count.min() >= 1
    assert count[0] / count.sum() == pytest.approx(1 / np.sum(1 / np.arange(1, 101)), abs=0.02)
    largest = np.bincount(world.groups).max() / world.users.size
    assert largest == pytest.approx(0.35, abs=0.03)
    alone = CELLS["judgements, users 30, activity equal, overlap 0.0"]
    nested = design(alone, alone.rng(), activities(alone))
    owners = np.unique(np.stack((nested.users, nested.groups)), axis=1)[1]
    assert np.unique(owners).size == owners.size


def test_an_interval_that_knows_nothing_of_clusters_would_be_seen() -> None:
    """The map counts what it should: rows taken as independent cover far too little."""
    cell = CELLS["judgements, users 30, activity equal, largest 0.35"]
    world = design(cell, cell.rng(), activities(cell))
    found = Coverage()
    for number in range(100):
        drawn = world.draw(cell.rng(1, number))
        rows = np.arange(world.users.size)
        naive = mean_interval(world.quality(drawn) > 0, None, rows, bounds=(0.0, 1.0))
        assert naive.low is not None
        assert naive.high is not None
        truth = world.truth("population", "pair", drawn)
        found.add(Held("naive", naive.value, (naive.low, naive.high), "population", truth))
    assert found.share < 0.75


def small() -> list[str]:
    """The dozen cells that stand worst on file and inside the promise."""
    counted = on_file()
    beyond = {line.cell for line in lines(counted) if line.outside}
    quick = [name for name in worst_cells(counted, len(counted)) if "pairs 1000" not in name]
    return [name for name in quick if name not in beyond][:12]


@pytest.mark.slow
@pytest.mark.parametrize("name", small())
def test_the_worst_cells_keep_the_promise(name: str) -> None:
    """Other draws than those on file, fewer, and held to it by three standard errors."""
    replicate, tally = FAMILIES[CELLS[name].family](CELLS[name]), Tally()
    for number in range(SMALL):
        tally.add(replicate(1_000_000 + number))
    for line in lines({name: tally}):
        assert line.excess <= 3, line


@pytest.mark.study
@pytest.mark.parametrize("name", list(CELLS))
def test_the_cells_on_file_are_what_the_command_gives(name: str) -> None:
    """Counted again, from the same streams; other processors may round a figure over an end."""
    counted = on_file()[name]
    again = run(CELLS[name], Tally(), counted.replications)
    for figure, found in counted.coverage.items():
        other = again.coverage[figure]
        assert abs(found.held - other.held) <= 0.01 * counted.replications
        assert abs(found.refused - other.refused) <= 0.01 * counted.replications
    for figure, claim in counted.claims.items():
        assert again.claims[figure].share == pytest.approx(claim.share, abs=0.02)


def test_streams_of_cells_differ() -> None:
    keys = [zlib.crc32(name.encode()) for name in CELLS]
    assert len(set(keys)) == len(keys)
