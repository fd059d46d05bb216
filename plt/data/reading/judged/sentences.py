"""What a converted table says, in words that a person can check, and the digest of its set."""

import hashlib

import polars as pl

from plt.data.tables.preferences import Preferences

SHOWN = 48
DIGEST = 16
"""Characters of the digest that are shown."""


def example_sentences(prefs: Preferences, count: int = 3) -> list[str]:
    """Judgements in words, of different users where there are several.

    Args:
        prefs: The table.
        count: How many at most: one in which the response that stood first won, one in which the
            second did, and a tie, as far as there are such.

    Returns:
        ``annotator u7, prompt '...': prefers 'x' to 'y'``.
    """
    votes = prefs.votes.filter(pl.col("label").is_not_null())
    label = pl.col("label")
    found: list[str] = []
    users: list[str | None] = []
    for kind in (label > 0.5, label < 0.5, label == 0.5):
        if len(found) == count:
            break
        some = votes.filter(kind)
        user = pl.col("user_id").cast(pl.String)
        others = some.filter(~user.is_in([u for u in users if u]) | user.is_null())
        picked = (others if others.height else some).head(1)
        if picked.height:
            users.append(picked["user_id"].cast(pl.String)[0])
            found.append(_sentence(prefs, picked))
    return found


def _sentence(prefs: Preferences, vote: pl.DataFrame) -> str:
    pair = prefs.pairs.filter(pl.col("pair_id") == vote["pair_id"][0]).row(0, named=True)
    user = vote["user_id"].cast(pl.String)[0]
    who = "somebody without a name" if user is None else f"annotator {user}"
    label = vote["label"][0]
    said = [turn for turn in pair["prompt"] if turn["role"] == "user"] or pair["prompt"]
    prompt = _short(said[-1]["content"])
    one, two = _short(pair["response_a"]), _short(pair["response_b"])
    if label == 0.5:
        return f"{who}, prompt {prompt}: finds {one} and {two} equally good"
    better, worse = (one, two) if label > 0.5 else (two, one)
    return f"{who}, prompt {prompt}: prefers {better} to {worse}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return repr(plain if len(plain) <= SHOWN else plain[: SHOWN - 3] + "...")


def digest_of(prefs: Preferences) -> str:
    """A digest of the set (user, prompt, winner, loser), the same for every order and file format.

    A tie is a pair without winner. It is SHA-256 over the sorted distinct lines of user, pair and
    winner (`a`, `b` or `tie`); the pair id names the prompt and both responses, and with them which
    is `a`.
    """
    side = (
        pl.when(pl.col("label") > 0.5)
        .then(pl.lit("a"))
        .when(pl.col("label") < 0.5)
        .then(pl.lit("b"))
        .otherwise(pl.lit("tie"))
    )
    lines = (
        prefs.votes.filter(pl.col("label").is_not_null())
        .select(pl.col("user_id").cast(pl.String), "pair_id", side.alias("side"))
        .unique()
        .sort("pair_id", "user_id", "side", nulls_last=True)
    )
    return hashlib.sha256(lines.write_csv(include_header=False).encode()).hexdigest()[:DIGEST]
