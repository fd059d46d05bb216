"""Jester: 5,000 people rate up to 100 jokes; every pair of jokes is shared by many.

Source: the sample of Jester that R's recommenderlab holds (GPL-2 package), as two files:
`items.jsonl` (`item_id`, `text`) and `ratings.jsonl` (`user_id`, `ratings`: item to a number in
[-10, 10]). Paper: Goldberg et al. 2001, "Eigentaste". Some jokes are offensive.

There is one prompt and 100 distinct texts, so generalisation to new texts must be tested by
holding out jokes (`dataset-split --by response`), and every interval is about other people on this
prompt and these jokes, never about other prompts. Each person gives 40 random pairs of the jokes
they rated (all pairs would be 15 million rows); equal ratings are dropped and counted, and with
them two people of the sample who rated every joke alike.
"""

from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import each, require, texts
from plt.data.reading.ratings import PairRule, pairs_of_ratings
from plt.data.reading.raw_files import find_files, joined_hash, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError

HUB_REPO: str | None = None
REVISION: str | None = None
FILES = ("items.jsonl", "ratings.jsonl")
LICENSE = "research use (Eigentaste, UC Berkeley)"
SIZE = "1.2 MB"
HOMEPAGE = "https://github.com/mhahsler/recommenderlab"
CONVERTER_VERSION = 2

PROMPT = "Tell me a joke."
RULE = PairRule("random", 40)


def load(
    raw: Path, variant: str | None = None, say: Say = warn, rule: PairRule = RULE
) -> Preferences:
    """Converts the two files.

    Args:
        raw: The folder that holds them.
        variant: There are none.
        say: Takes remarks; there are none.
        rule: Which pairs of jokes each person gives.

    Returns:
        Pairs of jokes, with both ratings as scores.

    Raises:
        DataError: Files are missing, or a rating is no number or names an unknown joke.
    """
    del variant, say
    items, people = (read(path) for path in find_files(raw, FILES))
    require(items, ("item_id", "text"))
    require(people, ("user_id", "ratings"))
    jokes = dict(zip(texts(items, "item_id", "item_id"), texts(items, "text", "text"), strict=True))
    cells = [
        (row, user, item, score)
        for row, (user, ratings) in enumerate(
            zip(texts(people, "user_id", "user_id"), people.columns["ratings"], strict=True)
        )
        for item, score in (ratings or {}).items()
        if score is not None
    ]
    unknown = sorted({item for _, _, item, _ in cells if item not in jokes})
    if unknown:
        raise DataError(
            f"{people.name} rates items that {items.name} does not have",
            problems=[f"item {item!r}" for item in unknown],
        )
    rows = [row for row, _, _, _ in cells]
    scores = list(each(people, "ratings", [score for *_, score in cells], float, rows))
    ratings = pl.DataFrame(
        {
            "list": rows,
            "seed_text": [user for _, user, _, _ in cells],
            "response": [jokes[item] for _, _, item, _ in cells],
            "score": scores,
            "source": [item for _, _, item, _ in cells],
        },
        schema_overrides={"score": pl.Float64},
    )
    pairs, dropped = pairs_of_ratings(ratings, rule, people.name)
    users = ratings.select("list", user_id="seed_text").unique("list")
    frame = pairs.join(users, on="list", how="left", maintain_order="left").with_columns(
        prompt_series([to_messages(PROMPT)]).new_from_index(0, pairs.height)
    )
    meta = Meta(dataset="jester", license=LICENSE, source_hash=joined_hash([items, people]))
    return build(frame, meta.with_dropped(dropped))
