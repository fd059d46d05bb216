"""Judgements as policies read them: with a chosen side, who judged, and what that person says."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.errors import DataError
from plt.train.judgements import named_users, used_texts, user_profiles
from plt.train.method import FloatArray, IntArray, Judgements, Texts, TrainContext
from plt.train.people.soft_users import GENERIC
from plt.train.people.words import with_profile
from plt.train.tuning.trl import directed_pairs


@dataclass(frozen=True)
class Known:
    """The people of a fit.

    Attributes:
        users: Whom the policy will know, sorted.
        profiles: What those of them say of themselves who do, where that is read.
        notes: Who is left out.
    """

    users: tuple[str, ...]
    profiles: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToldPairs:
    """N judgements; a text is told apart by the profile that stands before it.

    Attributes:
        texts: Distinct texts without profiles, as the reference reads them.
        told: Distinct texts with them, as the policy reads them.
        chosen: (N,) text of `texts` that the label prefers; of a for a tie.
        rejected: (N,) the other.
        told_chosen: (N,) the same, of `told`.
        told_rejected: (N,) the same, of `told`.
        confidence: (N,) probability in [0.5, 1] that the chosen text is preferred.
        user: (N,) index in the user model; 0 for rows that name nobody whom the policy knows.
    """

    texts: Texts
    told: Texts
    chosen: IntArray
    rejected: IntArray
    told_chosen: IntArray
    told_rejected: IntArray
    confidence: FloatArray
    user: IntArray

    def __len__(self) -> int:
        return len(self.user)


def known_people(
    prefs: Preferences,
    judgements: Judgements,
    ctx: TrainContext,
    *,
    personal: bool,
    use_profile: bool,
) -> Known:
    """Whom a policy knows, of the people with a training row.

    All of them where each has tokens of their own; else those who say something of themselves,
    where that is read; else nobody.

    Raises:
        DataError: Profiles are to be read and nobody has one, or no row names a user.
    """
    profiles = user_profiles(prefs, ctx.users) if use_profile else {}
    if use_profile and not profiles:
        raise DataError(
            "use_profile is true, but nobody says anything of themselves",
            hint="plt train DATA --users NAME.users.parquet",
        )
    if not personal and not profiles:
        return Known((), {})
    users, notes = named_users(judgements.select(~judgements.validation), judgements)
    told = {user: profiles[user] for user in users if user in profiles}
    return Known(users if personal else tuple(told), told, notes)


def told_pairs(judgements: Judgements, known: Known, at_most: int, seed: int) -> ToldPairs:
    """The judgements, or as many as are wanted of them, drawn without regard to anything."""
    rows = np.arange(len(judgements), dtype=np.int64)
    if at_most < len(rows):
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:at_most])
    pairs = directed_pairs(judgements.a[rows], judgements.b[rows], judgements.label[rows])
    texts, used = used_texts(judgements.texts, np.concatenate([pairs.chosen, pairs.rejected]))
    index = {user: i + 1 for i, user in enumerate(known.users)}
    names = [judgements.users[code] if code >= 0 else "" for code in judgements.user[rows]]
    profiles = [known.profiles.get(name) for name in names]
    places: dict[tuple[int, str | None], int] = {}
    read = zip(used.tolist(), [*profiles, *profiles], strict=True)
    which = np.array([places.setdefault(key, len(places)) for key in read], dtype=np.int64)
    told = Texts(
        [with_profile(texts.prompts[text], profile) for text, profile in places],
        [texts.responses[text] for text, _ in places],
    )
    n = len(rows)
    return ToldPairs(
        texts=texts,
        told=told,
        chosen=used[:n],
        rejected=used[n:],
        told_chosen=which[:n],
        told_rejected=which[n:],
        confidence=pairs.confidence,
        user=np.array([index.get(name, GENERIC) for name in names], dtype=np.int64),
    )
