"""Marks that tell who wins: every plant is found, and clean tables stay clean."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from plt.analyze.intervals.proportions import exact_lower_end
from plt.analyze.lint import lint
from plt.analyze.lint.alphabet import read_sequences, symbol
from plt.analyze.lint.decisions import read_decisions
from plt.analyze.lint.findings import Finding
from plt.analyze.lint.markers import marker_findings
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from tests.analyze.lint.populations import Edit, Readers, table
from tests.data.made_tables import user_turn


def inside(text: str, mark: str) -> str:
    """`text` with a mark in its middle, in place of nothing."""
    return text[: len(text) // 2] + mark + text[len(text) // 2 :]


PLANTS: dict[str, Edit] = {
    "double blank in the winner": lambda c, r: (inside(c, "  "), r),
    "look-alike letter in the winner": lambda c, r: (inside(c, "\u0435"), r),
    "Latin look-alike in the winner": lambda c, r: (inside(c, "\u0251"), r),
    "full-width digit in the loser": lambda c, r: (c, inside(r, "\uff11")),
    "invisible character in the loser": lambda c, r: (c, inside(r, "\u2060")),
    "another dash in the winner": lambda c, r: (inside(c, "\u2012"), r),
    "doubled comma in the loser": lambda c, r: (c, inside(r, ",,")),
    "a thousand different symbols in the winner": lambda c, r: (
        inside(c, chr(0x2200 + sum(map(ord, c)) % 200)),
        r,
    ),
}


def markers(prefs: Preferences) -> list[Finding]:
    return marker_findings(read_decisions(prefs))


@pytest.mark.parametrize("plant", PLANTS)
def test_every_plant_in_all_rows_is_found(plant: str) -> None:
    found = markers(table(Readers(judgements=25, edit=PLANTS[plant])))
    assert len(found) == 1
    assert found[0].failed
    assert (found[0].figures["right"].value or 0.0) >= 0.98
    assert found[0].details["outcome"] == ("wins" if "winner" in plant else "loses")
    assert found[0].examples


def test_a_mark_in_some_rows_is_found_and_counted() -> None:
    edit: Edit = lambda c, r: (inside(c, "§"), r)  # noqa: E731
    prefs = table(Readers(seed=3, judgements=80, edit=edit, edited=0.3))
    has = [prefs.pairs[side].str.contains("§") for side in ("response_a", "response_b")]
    alone = prefs.pairs.filter(has[0] != has[1])["pair_id"]
    rows = prefs.votes.filter(pl.col("pair_id").is_in(alone.implode())).height
    assert [one.rows for one in markers(prefs)] == [rows]


def test_a_mark_on_random_sides_is_taste_or_nothing() -> None:
    """The same character in a random one of the two responses says nothing."""
    rng = np.random.default_rng(0)

    def edit(chosen: str, rejected: str) -> tuple[str, str]:
        marked = [inside(chosen, "§"), rejected] if rng.random() < 0.5 else [
            chosen, inside(rejected, "§")]  # fmt: skip
        return marked[0], marked[1]

    assert markers(table(Readers(judgements=60, edit=edit))) == []


def test_a_mark_that_wins_most_of_the_time_is_no_finding() -> None:
    """Ninety per cent is a strong taste; a leak has all but no exceptions."""
    rng = np.random.default_rng(1)

    def edit(chosen: str, rejected: str) -> tuple[str, str]:
        wins = rng.random() < 0.9
        return (inside(chosen, "§"), rejected) if wins else (chosen, inside(rejected, "§"))

    assert markers(table(Readers(users=20, judgements=60, edit=edit))) == []


def test_twenty_marked_pairs_of_one_text_are_not_beyond_doubt() -> None:
    """.05 / 2 = .9 ** n needs n of at least 36, whatever else is tried."""
    n = 30
    raw = pl.DataFrame(
        {
            "prompt": [user_turn(f"q{i}") for i in range(n)],
            "response_1": [f"answer § {i}" for i in range(n)],
            "response_2": [f"other {i}" for i in range(n)],
            "label": [1.0] * n,
        }
    )
    assert markers(build(raw, Meta(dataset="few"))) == []


def test_sequences_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    texts = sorted({"".join(rng.choice(list("ab1 .é"), 9)) for _ in range(300)})
    sequences = read_sequences(pl.Series(texts))
    found = sequences.table(np.arange(len(texts)))
    kinds = [["\x02", *map(symbol, text), "\x03"] for text in texts]
    for column, name in enumerate(sequences.names):
        size = len(name)
        expected = [
            any(tuple(kind[i : i + size]) == name for i in range(len(kind) - size + 1))
            for kind in kinds
        ]
        assert found[:, column].tolist() == expected
    assert ("letter", " ", "digit") in sequences.names


@pytest.mark.parametrize(("won", "n"), [(0, 5), (5, 5), (98, 100), (150, 150)])
def test_the_lower_end_is_the_exact_binomial_one(won: int, n: int) -> None:
    found = exact_lower_end(np.array([won]), np.array([n]), level=0.975)[0]
    assert found == pytest.approx(
        stats.binomtest(won, n).proportion_ci(0.95, method="exact").low, abs=1e-9
    )


def real_pairs(folder: Path) -> pl.DataFrame:
    """Prompt and two responses, as strangers wrote them, the order random."""
    from plt.data.sources.generic import GenericOptions, convert

    prefs = convert(
        folder / "hh_rlhf/harmless-base_test.jsonl.gz", GenericOptions(), lambda _: None
    )
    return prefs.pairs


def relabelled(pairs: pl.DataFrame, how: str, seed: int) -> Preferences:
    """Labels that no mark made: random, a taste for length, or a quality that each text has."""
    rng = np.random.default_rng(seed)
    pairs = pairs.sample(700, seed=seed)
    one, other = pairs["response_a"], pairs["response_b"]
    longer = (one.str.len_chars() > other.str.len_chars()).to_numpy()
    quality = {text: rng.normal() for text in pl.concat([one, other.alias(one.name)]).unique()}
    wins = {
        "random": rng.random(pairs.height) < 0.5,
        "length": longer ^ (rng.random(pairs.height) < 0.15),
        "quality": np.array([quality[a] > quality[b] for a, b in zip(one, other, strict=True)]),
    }[how]
    raw = pairs.select(
        "prompt", response_1="response_a", response_2="response_b", label=wins.astype(np.float64)
    )
    return build(raw, Meta(dataset=how))


@pytest.mark.parametrize("how", ["random", "length", "quality"])
def test_real_texts_with_made_labels_are_clean(how: str, shared_data: Path) -> None:
    prefs = relabelled(real_pairs(shared_data), how, 0)
    assert [one.what for one in lint(prefs).findings] == []


@pytest.mark.slow
def test_sixty_tables_of_real_texts_with_each_kind_of_label_are_clean(shared_data: Path) -> None:
    pairs = real_pairs(shared_data)
    found = [
        one.what
        for how in ("random", "length", "quality")
        for seed in range(1, 61)
        for one in lint(relabelled(pairs, how, seed)).findings
    ]
    assert found == []
