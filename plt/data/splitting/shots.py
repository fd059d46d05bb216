"""Which answers of a new person a model is shown, and which it is asked: few-shot draws.

A newcomer's questions are their judgements of test pairs; shots are drawn from their judgements of
all other pairs. Which comes first in a draw is decided by a hash of (seed, user, pair, draw), so
that the same answers are shown to every method, 5 of them are among the 30, and neither the order
of the file nor any other person changes them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.tables.codes import dense_codes
from plt.data.tables.normal_form import normal, pair_keys
from plt.data.tables.preferences import Preferences
from plt.errors import DataError, UsageError

Apart: TypeAlias = Literal["auto", "group", "response", "pair"]
APART: tuple[Apart, ...] = get_args(Apart)
MAX_DRAWS = 1000
MAX_SHOTS = 2**32 - 1
"""What the column `n_shots` of a scores table can hold."""
UNASKED = "of a person who is asked nothing"
ALL = None
"""Stands for all answers that a person gave, in the place of a number of shots."""


@dataclass(frozen=True)
class Newcomers:
    """Unseen people: what they are asked, and what may be shown of them.

    Attributes:
        questions: Their judgements of test pairs.
        answers: Their labelled judgements of other pairs, apart from their questions.
        users: Everybody with a question, sorted.
        apart: In which units no answer of a person meets a question of the same person.
        left_out: Reason to number of judgements of unseen people that are neither.
        notes: What a reader must know, in sentences.
        chosen: The place of each answer where somebody chose what to ask, shape (answers,), -1 for
            never; None leaves it to the draws.
    """

    questions: Preferences
    answers: Preferences
    users: tuple[str, ...]
    apart: tuple[str, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    chosen: NDArray[np.int64] | None = None

    def count(self) -> dict[str, int]:
        """How many answers each of `users` has that may be shown."""
        names = self.answers.votes["user_id"].cast(pl.String)
        counts = dict(names.value_counts().iter_rows())
        return {user: int(counts.get(user, 0)) for user in self.users}

    def enough(self, n_shots: int | None) -> tuple[str, ...]:
        """Who has at least so many answers; with `ALL`, who has any. Nobody's are padded."""
        least = 1 if n_shots is ALL else n_shots
        return tuple(user for user, count in self.count().items() if count >= least)

    def shots(self, n_shots: int | None, draw: int, seed: int) -> Preferences:
        """The answers that are shown of everybody who has enough of them.

        Args:
            n_shots: How many; `ALL` is all.
            draw: 0, 1, ...; shots of one draw are nested in `n_shots`.
            seed: Of all draws.

        Returns:
            The shots, as training rows. Where none are shown each person stands in one row without
            a label, whose pair is not in the table: it says who they are, and what they say of
            themselves.
        """
        if n_shots == 0:
            row = pl.lit(None, dtype=pl.Float32)
            people = self.questions.votes.filter(pl.col("user_id").is_not_null())
            votes = people.unique("user_id", keep="first", maintain_order=True)
            return replace(
                self.answers,
                votes=votes.with_columns(label=row).select(self.answers.votes.columns),
                pairs=self.answers.pairs.head(0),
            )
        wanted = pl.Series(self.enough(n_shots), dtype=pl.String)
        shown = self.answers.votes["user_id"].cast(pl.String).is_in(wanted.implode())
        if n_shots is not ALL:
            place = places(self.answers.votes, draw, seed) if self.chosen is None else self.chosen
            shown &= pl.Series((place >= 0) & (place < n_shots))
        found = self.answers.filter(pl.lit(shown))
        train = pl.lit("train").cast(found.votes.schema["split"])
        return replace(found, votes=found.votes.with_columns(split=train))


def parse_shots(text: str) -> tuple[int, ...]:
    """``0,5,30`` as numbers of answers, ascending, each once.

    Raises:
        UsageError: A part is no whole number; all such parts are listed.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    problems = [f"{part!r} is no number of answers" for part in parts if not part.isdecimal()]
    if problems or not parts:
        raise UsageError(
            f"--n-shots is like 0,5,10,30, not {text!r}",
            problems=problems,
            hint="--n-shots 0,5,10,30,100,300",
        )
    check_shots(parts)
    return tuple(sorted({int(part) for part in parts}))


def check_shots(n_shots: Iterable[int | str]) -> None:
    """Refuses numbers of answers, or their digits, that no table can hold.

    Raises:
        UsageError: Some are too large; all of them are listed.
    """
    digits = [str(n).lstrip("0") for n in n_shots]
    large = [n for n in digits if len(n) > len(str(MAX_SHOTS)) or int(n or 0) > MAX_SHOTS]
    if large:
        raise UsageError(
            f"nobody gives more than {MAX_SHOTS:,} answers",
            problems=[f"--n-shots {n[:30]}{'...' if len(n) > 30 else ''}" for n in large],
            hint="--n-shots 0,5,10,30,100,300",
        )


def check_apart(text: str) -> Apart:
    """What ``--apart`` says.

    Raises:
        UsageError: It is nothing known.
    """
    for known in APART:
        if text == known:
            return known
    raise UsageError(f"--apart is '{text}'; known are {', '.join(APART)}", hint="--apart auto")


def newcomers(prefs: Preferences, apart: Apart = "auto") -> Newcomers:
    """The unseen people of a split table, their questions, and what may be shown of them.

    A pair that a person is asked about is never shown. Neither is an answer that shares its group,
    or one of its responses, with a question of the same person; with ``auto`` these two hold where
    they leave at least half of the answers, and the notes say where they do not.

    Args:
        prefs: A split table; in a four-way division (``--protocol pref``) the pairs of unseen
            people's train part are the calibration pairs.
        apart: ``group`` insists on all three, ``response`` on pairs and responses, ``pair`` on
            pairs alone.

    Raises:
        DataError: There is no unseen person, or none is asked anything.
    """
    unseen = prefs.filter(
        (pl.col("user_split") == "unseen").fill_null(False) & pl.col("user_id").is_not_null()
    )
    if not unseen.votes.height:
        raise DataError(
            f"{prefs.meta.dataset or 'the table'} has no unseen users: everybody in it may have"
            " been learnt from",
            hint="plt dataset-split DATA --unseen-users 0.2 -o split.parquet",
        )
    questions = unseen.filter(pl.col("split") == "test")
    if not questions.votes.height:
        raise DataError(
            "no unseen user has judged a test pair, so there is nothing to ask them",
            hint="plt dataset-split DATA --fractions 70,10,20 -o split.parquet",
        )
    answers = unseen.filter(pl.col("split").is_in(["train", "val"]) & pl.col("label").is_not_null())
    left_out = {"no label": unseen.votes.height - questions.votes.height - answers.votes.height}
    kept, units, notes = _apart(answers, questions, apart)
    left_out["shares a pair, group or response with a question"] = (
        answers.votes.height - kept.votes.height
    )
    users = tuple(sorted(set(questions.votes["user_id"].cast(pl.String))))
    unasked = kept.filter(~pl.col("user_id").cast(pl.String).is_in(users))
    if unasked.votes.height:
        left_out[UNASKED] = unasked.votes.height
        kept = kept.filter(pl.col("user_id").cast(pl.String).is_in(users))
    met = answers.votes.height - kept.votes.height - left_out.get(UNASKED, 0)
    if 10 * met > answers.votes.height:
        notes = (
            *notes,
            f"{met:,} of {answers.votes.height:,} answers share a {' or '.join(units)} with a"
            " question of the same person and are never shown (--apart pair shows those that share"
            " no pair)",
        )
    found = {reason: count for reason, count in left_out.items() if count}
    return Newcomers(questions, kept, users, units, found, notes)


def _apart(
    answers: Preferences, questions: Preferences, apart: Apart
) -> tuple[Preferences, tuple[str, ...], tuple[str, ...]]:
    """The answers that meet no question of their person, in which units, and what must be said."""
    kept = answers.filter(pl.lit(~_meets(answers, questions, "pair")))
    units, notes = ["pair"], []
    wanted = {"pair": (), "response": ("response",)}.get(apart, ("group", "response"))
    before = kept.votes.height
    for unit in wanted:
        fewer = kept.filter(pl.lit(~_meets(kept, questions, unit)))
        if apart == "auto" and 2 * fewer.votes.height < before:
            notes.append(
                f"shots and questions of a person share {unit}s: apart, only"
                f" {fewer.votes.height:,} of {before:,} answers would be left (--apart {unit}"
                " insists)"
            )
            continue
        kept = fewer
        units.append(unit)
    return kept, tuple(units), tuple(notes)


def _meets(answers: Preferences, questions: Preferences, unit: str) -> pl.Series:
    """Whether each answer shares a unit with a question of the same person."""
    asked, shown = _units(questions, unit), _units(answers, unit)
    met = shown.join(asked.select("user", "unit").unique(), on=["user", "unit"], how="semi")
    rows = np.zeros(answers.votes.height, dtype=bool)
    rows[met["row"].to_numpy()] = True
    return pl.Series(rows)


def _units(prefs: Preferences, unit: str) -> pl.DataFrame:
    """(row, user, unit) of each judgement; two rows a judgement for responses.

    Pairs and responses are compared as splits compare them: another case, blank or Unicode form
    makes no other text.
    """
    user = pl.col("user_id").cast(pl.String).alias("user")
    votes = prefs.votes.with_row_index("row").select("row", user, "pair_id", "group")
    if unit == "group":
        return votes.select("row", "user", unit=pl.col("group").cast(pl.String))
    pairs = prefs.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    if unit == "pair":
        named = pairs.select("pair_id").with_columns(pair=pair_keys(pairs))
    else:
        named = pairs.select(
            "pair_id", *(normal(pl.col(side)) for side in ("response_a", "response_b"))
        )
    sides = [name for name in named.columns if name != "pair_id"]
    both = votes.join(named, on="pair_id", how="left", maintain_order="left")
    return pl.concat(both.select("row", "user", unit=side) for side in sides)


def places(votes: pl.DataFrame, draw: int, seed: int) -> NDArray[np.int64]:
    """The place of each answer in its person's draw, from 0, [rows].

    Args:
        votes: `user_id`, `pair_id` and `occurrence` of answers that somebody gave.
        draw: Which draw.
        seed: Of all draws.
    """
    user, names = dense_codes(votes["user_id"])
    key = np.array([_user_key(seed, draw, name) for name in names.cast(pl.String)], dtype=np.uint64)
    pair = votes["pair_id"].to_numpy().astype(np.uint64)
    occurrence = votes["occurrence"].to_numpy().astype(np.uint64)
    drawn = _mixed(_mixed(_mixed(pair) ^ key[user]) + occurrence)
    order = np.lexsort((occurrence, pair, drawn, user))
    sizes = np.bincount(user, minlength=len(names))
    starts = np.cumsum(sizes) - sizes
    found = np.empty(len(user), dtype=np.int64)
    found[order] = np.arange(len(user)) - np.repeat(starts, sizes)
    return found


def _user_key(seed: int, draw: int, user: str) -> int:
    text = f"{seed}:shots:{draw}:{user}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014): one to one, every bit mixed."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)
