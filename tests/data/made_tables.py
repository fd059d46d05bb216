"""Small preference tables for tests, and hypothesis strategies that make any."""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta


def user_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def raw_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema_overrides={"label": pl.Float64}, infer_schema_length=None)


def crossed(
    n_users: int, n_prompts: int, *, label: float | None = None, dataset: str = "toy"
) -> Preferences:
    """Every user judges one pair on every prompt; user i prefers `left` where (i + p) % 3 > 0."""
    rows = [
        {
            "user_id": f"u{user:02d}",
            "prompt": user_turn(f"prompt {prompt}"),
            "response_1": f"left {prompt}",
            "response_2": f"right {prompt}",
            "label": float((user + prompt) % 3 > 0) if label is None else label,
        }
        for user in range(n_users)
        for prompt in range(n_prompts)
    ]
    return build(raw_frame(rows), Meta(dataset=dataset, license="CC0-1.0"))


# What Parquet can hold: any text but lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
responses = texts.filter(lambda text: text.strip() != "")
labels = st.sampled_from([0.0, 1.0, 0.5, 0.25, None])


@st.composite
def judgement_rows(draw: st.DrawFn, min_size: int = 1, max_size: int = 25) -> list[dict[str, Any]]:
    """Rows for `build`: few users, prompts and responses, so that pairs recur."""
    pool = draw(st.lists(responses, min_size=2, max_size=5, unique=True))
    prompts = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    users = draw(st.lists(st.none() | texts, min_size=1, max_size=4, unique=True))
    row = st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(users),
            "prompt": st.sampled_from([user_turn(prompt) for prompt in prompts]),
            "response_1": st.sampled_from(pool),
            "response_2": st.sampled_from(pool),
            "label": labels,
        }
    )
    rows = draw(st.lists(row, min_size=min_size, max_size=max_size))
    # At least one row is a pair, so that there is a table.
    first = dict(rows[0], response_1=pool[0], response_2=pool[1])
    return [first, *rows[1:]]
