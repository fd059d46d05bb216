"""What a method learns from: labelled judgements as arrays, in an order of their own.

`training_view` removes what no method may see, and `read_judgements` is the only way from a
preference table to arrays, so that neither leaks nor the order of a file can reach a fit.
"""

import hashlib
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.splitting.samples import learnable
from plt.data.tables.codes import dense_codes
from plt.data.tables.preferences import VOTE_COLUMNS, Preferences, prompt_json
from plt.data.tables.table import Meta
from plt.errors import DataError
from plt.train.method import FloatArray, IntArray, Judgements, Support, Texts

Labels = Literal["votes", "majority"]
HIDDEN_COLUMNS = ("score_a", "score_b", "source_a", "source_b")


def training_view(prefs: Preferences) -> Preferences:
    """What `fit` may see: labelled train and val rows of seen users, and nothing that tells more.

    Test rows, unseen users, rows without a label, the source's own ratings, the names of those who
    wrote the responses, every column that the contract does not have, and the simulator's truth in
    the metadata are gone: removed here, not by the discipline of each method.

    Args:
        prefs: A split table. Users without a `user_split` count as seen.

    Raises:
        DataError: The table has no split, or no row is left.
    """
    if prefs.votes["split"].null_count() == prefs.votes.height:
        raise DataError(
            "the table has no split, so nothing says which rows may be learnt from",
            hint="plt dataset-split DATA -o split.parquet",
        )
    kept = prefs.filter(learnable())
    if not (kept.votes["split"] == "train").any():
        raise DataError(
            "no labelled train row of a seen user is left to learn from",
            hint="plt dataset-stats DATA",
        )
    hidden = [pl.lit(None, dtype=kept.votes.schema[name]).alias(name) for name in HIDDEN_COLUMNS]
    votes = kept.votes.select(VOTE_COLUMNS).with_columns(hidden)
    pairs = kept.pairs.select("pair_id", "prompt", "response_a", "response_b")
    meta = Meta(dataset=prefs.meta.dataset, license=prefs.meta.license, oriented=True)
    return Preferences(votes, pairs, meta)


def distinct_texts(pairs: pl.DataFrame) -> tuple[Texts, IntArray, IntArray]:
    """Each distinct (prompt, response) once, in order of first appearance.

    Args:
        pairs: P rows with `prompt`, `response_a` and `response_b`.

    Returns:
        The T distinct texts, and for each pair the text of response a and of response b, both of
        shape (P,).
    """
    prompts = pairs.select("prompt").unique(maintain_order=True).with_row_index("prompt_code")
    coded = pairs.join(prompts, on="prompt", how="left", maintain_order="left")
    sides = pl.concat(
        coded.select("prompt_code", response=side) for side in ("response_a", "response_b")
    )
    distinct = sides.unique(maintain_order=True).with_row_index("text")
    rows = sides.join(distinct, on=["prompt_code", "response"], how="left", maintain_order="left")
    text = rows["text"].to_numpy().astype(np.int64)
    conversations = prompts["prompt"].to_list()
    texts = Texts(
        [conversations[code] for code in distinct["prompt_code"]], distinct["response"].to_list()
    )
    return texts, text[: pairs.height], text[pairs.height :]


def text_digests(texts: Texts) -> NDArray[np.uint8]:
    """16 bytes of BLAKE2b that name each (prompt, response) by content, shape (n, 16)."""
    digests = bytearray()
    for prompt, response in zip(texts.prompts, texts.responses, strict=True):
        # The JSON of the prompt ends with its closing bracket, so the border is unambiguous.
        content = (prompt_json(prompt) + response).encode("utf-8", "surrogatepass")
        digests += hashlib.blake2b(content, digest_size=16).digest()
    return np.frombuffer(bytes(digests), dtype=np.uint8).reshape(len(texts), 16)


def in_order(votes: pl.DataFrame) -> pl.DataFrame:
    """The labelled rows of a table in the order that `read_judgements` gives them."""
    order = [pl.col("user_id").cast(pl.String), pl.col("pair_id"), pl.col("occurrence")]
    return votes.filter(pl.col("label").is_not_null()).sort(order)


def read_judgements(prefs: Preferences) -> Judgements:
    """The labelled judgements of a table as arrays; the order of its rows changes nothing."""
    votes = in_order(prefs.votes)
    pairs = prefs.pairs.sort("pair_id")
    texts, first, second = distinct_texts(pairs)
    index = pairs.select("pair_id").with_row_index("pair")
    joined = votes.select("pair_id").join(index, on="pair_id", how="left", maintain_order="left")
    pair = joined["pair"].to_numpy().astype(np.int64)
    user, names = dense_codes(votes["user_id"])
    return Judgements(
        texts=texts,
        a=first[pair],
        b=second[pair],
        pair=pair,
        user=user,
        users=tuple(names.cast(pl.String).to_list()),
        label=votes["label"].to_numpy().astype(np.float64),
        validation=(votes["split"] == "val").fill_null(False).to_numpy(),
    )


def label_pairs(judgements: Judgements, labels: Labels) -> tuple[IntArray, FloatArray, FloatArray]:
    """Everybody's judgements, one row a pair.

    Args:
        judgements: N judgements of P pairs.
        labels: ``votes`` concatenates them; a fit then aims at vote shares (Li et al. 2024, P-RLHF,
            lemma 3.2). ``majority`` keeps the side of each pair's majority, once, and leaves tied
            pairs out.

    Returns:
        The first judgement of each kept pair, the label of the pair, and its weight: how many
        judgements it stands for, or 1 for a majority. All of shape (P,) or shorter.
    """
    codes, first = np.unique(judgements.pair, return_index=True)
    position = np.searchsorted(codes, judgements.pair)
    counts = np.bincount(position, minlength=len(codes)).astype(np.float64)
    share = np.bincount(position, weights=judgements.label, minlength=len(codes)) / counts
    if labels == "votes":
        return first, share, counts
    sided = share != 0.5
    return first[sided], np.where(share[sided] > 0.5, 1.0, 0.0), np.ones(int(sided.sum()))


def used_texts(texts: Texts, rows: IntArray) -> tuple[Texts, IntArray]:
    """The texts that `rows` point at, each once, and the rows that point at those instead."""
    used, inverse = np.unique(rows, return_inverse=True)
    kept = Texts([texts.prompts[i] for i in used], [texts.responses[i] for i in used])
    return kept, inverse.reshape(-1)


def named_users(
    train: Judgements, everything: Judgements
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The users that can get a model of their own, and what to say of the others.

    Args:
        train: The training rows.
        everything: Training and validation rows.

    Returns:
        The users with at least one training row, sorted; and notes on who and what is left out.

    Raises:
        DataError: No training row names a user.
    """
    users = tuple(train.users[code] for code in np.unique(train.user) if code >= 0)
    if not users:
        raise DataError(
            "no training row says who judged, so there is nobody to learn a model for",
            hint="plt train DATA --method bradley-terry",
        )
    notes = []
    named = np.unique(everything.user[everything.user >= 0])
    if len(named) > len(users):
        notes.append(
            f"{len(named) - len(users)} of {len(named)} users have no training row and are scored"
            " as the population"
        )
    nameless = int((train.user < 0).sum())
    if nameless:
        notes.append(f"{nameless} training rows name no user and enter no user's model")
    return users, tuple(notes)


def user_profiles(prefs: Preferences, people: pl.DataFrame | None) -> dict[str, str]:
    """What each user says of themselves (u^t); users who say nothing are absent.

    Args:
        prefs: Judgements; of several texts of one user, the first in alphabetical order counts,
            whatever the order of the rows.
        people: A `users/1` table, which wins over the judgements, or None.
    """
    found: dict[str, str] = {}
    for table in [prefs.votes] if people is None else [prefs.votes, people]:
        if {"user_id", "profile"} <= set(table.columns):
            said = table.select(pl.col("user_id", "profile").cast(pl.String)).drop_nulls()
            found |= dict(said.group_by("user_id").agg(pl.col("profile").min()).iter_rows())
    return {user: text for user, text in sorted(found.items()) if text.strip()}


def support_view(shots: Preferences, people: pl.DataFrame | None = None) -> Support:
    """What `adapt` may see of the people in a table: labelled answers and their own words.

    Args:
        shots: Their answers, which may be rows without a label, or none; never rows that are asked
            of them later.
        people: A `users/1` table; what it says of anybody who is not in `shots` is left out.
    """
    users = tuple(sorted(set(shots.votes["user_id"].drop_nulls().cast(pl.String))))
    said = {user: text for user, text in user_profiles(shots, people).items() if user in users}
    return Support(users, read_judgements(shots), said)
