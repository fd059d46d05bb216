"""What a run's inputs are, beyond the judgements: groups, texts and people, by their content."""

import hashlib
from collections.abc import Iterable

import polars as pl

from plt.data.tables.preferences import Preferences, prompt_json
from plt.data.tables.table import content_hash


def input_hashes(prefs: Preferences, people: pl.DataFrame | None = None) -> dict[str, str]:
    """Content hashes of everything in the tables that can change a fit or an interval.

    `content_hash` covers who preferred what in which split. Groups move every interval, and in
    tables that plt did not write a pair id does not fix the texts, so both are hashed too.

    Args:
        prefs: The judgements.
        people: A `users/1` table, or None.

    Returns:
        Role to 64 hexadecimal digits: `preferences`, `groups` and `texts`; `users` with `people`.
    """
    links = prefs.votes.select("pair_id", pl.col("group").cast(pl.String)).unique()
    pairs = prefs.pairs.sort("pair_id")
    texts = zip(pairs["pair_id"], pairs["prompt"].to_list(), pairs["response_a"],
                pairs["response_b"], strict=True)  # fmt: skip
    found = {
        "preferences": content_hash(prefs.votes),
        "groups": _hash(map(str, links.sort("pair_id", "group").iter_rows())),
        "texts": _hash(f"{pair} {prompt_json(prompt)} {a!r} {b!r}" for pair, prompt, a, b in texts),
    }
    return found if people is None else found | {"users": users_hash(people)}


def users_hash(people: pl.DataFrame) -> str:
    """SHA-256 of a users table, whatever the order of its rows and columns."""
    ordered = people.select(sorted(people.columns)).sort("user_id")
    return hashlib.sha256(ordered.write_ndjson().encode()).hexdigest()


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
