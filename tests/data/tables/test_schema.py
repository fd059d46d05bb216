"""The contracts: what fits passes, and every problem of what does not is named at once."""

import polars as pl
import pytest

from plt.data.tables.schema import PREFERENCES, TABLES, conform, validate
from tests.data.made_tables import crossed


def test_schemas_are_named_and_versioned() -> None:
    assert {s.tag for s in TABLES} == {
        "preferences/1",
        "users/1",
        "scores/1",
        "metrics/1",
        "generations/1",
        "verdicts/1",
    }
    for schema in TABLES:
        assert set(schema.key) <= set(schema.names)
        assert len(set(schema.names)) == len(schema.names)


def test_a_built_table_fits() -> None:
    assert validate(crossed(3, 4).wide(), PREFERENCES) == []


def test_every_problem_is_reported_at_once() -> None:
    wide = crossed(2, 3).wide()
    broken = wide.drop("response_b", "dataset").with_columns(
        strength=pl.Series([0.5, 1.2, None, 0.0, 1.0, -1.0], dtype=pl.Float32),
        judged_at=pl.Series(["yesterday"] * 6),
        label=pl.Series([1.5, float("nan"), 0.0, 1.0, -0.1, 0.5], dtype=pl.Float32),
        occurrence=pl.Series(["a"] * 6),
        user_id=pl.Series(["same"] * 6),
        pair_id=pl.Series([7, 7, 8, 9, 10, 11], dtype=pl.UInt64),
    )
    problems = "\n".join(validate(broken, PREFERENCES))
    assert "'response_b'" in problems
    assert "'dataset'" in problems
    assert "'occurrence' is String" in problems
    assert "label is a probability in [0, 1]; it is 1.5 in rows 0, 1, 4" in problems
    assert "strength lies in [0, 1]; it is 1.2" in problems
    assert "'judged_at' is String" in problems


def test_repeated_keys_are_named() -> None:
    wide = crossed(2, 3).wide()
    doubled = pl.concat([wide, wide.head(1)])
    (problem,) = validate(doubled, PREFERENCES)
    assert "(user_id, pair_id, occurrence) is repeated in rows 0, 6" in problem
    assert validate(doubled, PREFERENCES, unique_keys=False) == []


def test_null_where_it_is_not_allowed() -> None:
    wide = crossed(1, 2).wide().with_columns(dataset=pl.Series([None, "x"], dtype=pl.String))
    assert validate(wide, PREFERENCES) == ["column 'dataset' is null in row 0"]


def test_unknown_roles_and_empty_messages_are_named() -> None:
    wide = crossed(1, 2).wide()
    prompts = [[{"role": "model", "content": "x"}], [{"role": "user", "content": None}]]
    wide = wide.with_columns(prompt=pl.Series(prompts, dtype=PREFERENCES.column("prompt").dtype))
    problems = validate(wide, PREFERENCES)
    assert problems == [
        "column 'prompt' has the roles 'model'; known are system, user, assistant",
        "column 'prompt' has messages without content in row 1",
    ]


def test_conform_adds_absent_nullable_columns_and_keeps_extras() -> None:
    wide = crossed(1, 2).wide().drop("profile", "score_a").with_columns(extra=pl.lit(1))
    made = conform(wide, PREFERENCES)
    assert made["profile"].null_count() == 2
    assert made.columns[-1] == "extra"
    assert validate(made, PREFERENCES) == []


@pytest.mark.parametrize(
    ("column", "values", "fits"),
    [
        ("label", pl.Series([True, False]), True),
        ("user_id", pl.Series([7, 8]), True),
        ("pair_id", pl.Series([1, 2], dtype=pl.Int64), True),
        ("pair_id", pl.Series([-1, 2], dtype=pl.Int64), False),
        ("split", pl.Series(["train", "test"]), True),
        ("split", pl.Series(["train", "held-out"]), False),
        ("label", pl.Series(["a", "b"]), False),
    ],
)
def test_conform_casts_only_without_loss(column: str, values: pl.Series, fits: bool) -> None:
    wide = crossed(1, 2).wide().with_columns(values.alias(column))
    problems = validate(conform(wide, PREFERENCES), PREFERENCES)
    assert (problems == []) is fits
