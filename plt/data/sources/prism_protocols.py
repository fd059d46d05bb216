"""How papers select and divide PRISM's conversations."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from plt.data.sources.prism_dialogues import Dialogue, Prism, Turn, chosen_of
from plt.data.splitting.protocols import SEED, marked, straddling, with_parts
from plt.data.tables.preferences import Preferences

PRISM_MAX_CHARS = 2300
PRLHF_TRAIN = 0.9
LORE_SEEN, LORE_TRAIN, LORE_MORE_THAN = 0.8, 0.5, 5
PLUS_CONVERSATIONS, PLUS_PAIRS = 6, 6
TOO_LONG = f"longer than {PRISM_MAX_CHARS} characters"
FEW_CONVERSATIONS = "user with too few conversations"
NO_CONVERSATION = "conversation without a usable turn"


def divide_prism(prefs: Preferences, prism: Prism, name: str) -> Preferences:
    """A paper's selection and division of PRISM.

    Args:
        prefs: All pairs of PRISM.
        prism: The raw dataset, for the order of the survey, which the draws follow.
        name: `prlhf` (1,234 seen and 162 unseen users on the published files), `lore` or `plus`.

    Returns:
        The selected pairs with both splits; what the selection leaves out is counted.
    """
    return PRISM_PROTOCOLS[name](prefs, prism)


def prlhf_users(prism: Prism) -> tuple[dict[str, str], dict[str, str]]:
    """Paper 002's draw: users to seen or unseen, conversations to train or test.

    Users in survey order are shuffled by numpy's legacy seed 123; nine tenths are seen. Then nine
    tenths of each one's conversations, shuffled in turn, are train. Seen users with one
    conversation have none in train and become unseen.
    """
    talks = _conversations(prism, PRISM_MAX_CHARS)
    draw = np.random.RandomState(SEED)
    people = np.array(list(talks))
    draw.shuffle(people)
    first = int(len(people) * PRLHF_TRAIN)
    users = dict.fromkeys(people[first:], "unseen")
    parts = {name: "test" for user in people[first:] for name in talks[user]}
    for user in people[:first]:
        names = np.array(talks[user])
        draw.shuffle(names)
        cut = int(len(names) * PRLHF_TRAIN)
        parts |= {**dict.fromkeys(names[:cut], "train"), **dict.fromkeys(names[cut:], "test")}
        users[user] = "seen" if len(names) > 1 else "unseen"
    return users, parts


def _prlhf(prefs: Preferences, prism: Prism) -> Preferences:
    users, parts = prlhf_users(prism)
    last = pl.col("prompt").list.last().struct.field("content").str.len_chars()
    longest = pl.max_horizontal(pl.col("response_a", "response_b").str.len_chars())
    short = prefs.pairs.filter(last + longest <= PRISM_MAX_CHARS)["pair_id"]
    kept = prefs.filter(pl.col("pair_id").is_in(short.implode()))
    meta = prefs.meta.with_dropped({TOO_LONG: prefs.votes.height - kept.votes.height})
    return _assigned(replace(kept, meta=meta), users, parts, "prlhf")


def lore_users(prism: Prism) -> tuple[dict[str, str], dict[str, str]]:
    """LoRe's draw: 80 % of users are seen; half of each one's conversations are train.

    Users with five conversations or fewer are left out; unseen users have both parts too.
    """
    talks = _conversations(prism, None)
    draw = np.random.RandomState(SEED)
    people = np.array(list(talks))
    draw.shuffle(people)
    users: dict[str, str] = {}
    parts: dict[str, str] = {}
    for i, user in enumerate(people):
        if len(talks[user]) <= LORE_MORE_THAN:
            continue
        names = np.array(talks[user])
        draw.shuffle(names)
        cut = int(len(names) * LORE_TRAIN)
        parts |= {**dict.fromkeys(names[:cut], "train"), **dict.fromkeys(names[cut:], "test")}
        users[user] = "seen" if i < int(len(people) * LORE_SEEN) else "unseen"
    return users, parts


def _lore(prefs: Preferences, prism: Prism) -> Preferences:
    return _assigned(prefs, *lore_users(prism), "lore")


def _plus(prefs: Preferences, prism: Prism) -> Preferences:
    """Paper 004's selection: users with six conversations and six pairs, one conversation held out.

    The paper's seed is not published, nor which users are its 308 new ones: the draw is our own,
    and all other users are unseen.
    """
    counts = prefs.votes.group_by(pl.col("user_id").cast(pl.String)).agg(
        pl.len(), pl.col("group").cast(pl.String).unique().sort()
    )
    surveyed = {str(person["user_id"]) for person in prism.people}
    draw = np.random.RandomState(SEED)
    users: dict[str, str] = {}
    parts: dict[str, str] = {}
    for user, n_pairs, names in counts.sort("user_id").iter_rows():
        many = len(names) >= PLUS_CONVERSATIONS and n_pairs >= PLUS_PAIRS and user in surveyed
        users[user] = "seen" if many else "unseen"
        parts |= dict.fromkeys(names, "train" if many else "test")
        if many:
            parts[names[draw.randint(len(names))]] = "test"
    return _assigned(prefs, users, parts, "plus")


PRISM_PROTOCOLS: Mapping[str, Callable[[Preferences, Prism], Preferences]] = {
    "prlhf": _prlhf,
    "lore": _lore,
    "plus": _plus,
}


def _conversations(prism: Prism, max_chars: int | None) -> dict[str, list[str]]:
    """Conversations with a usable turn, by user, in the order of the survey; others left out."""
    talks: dict[str, list[str]] = {str(person["user_id"]): [] for person in prism.people}
    for dialogue in prism.dialogues:
        if _usable(dialogue, max_chars):
            talks.setdefault(dialogue.user, []).append(dialogue.name)
    return {user: names for user, names in talks.items() if names}


def _usable(dialogue: Dialogue, max_chars: int | None) -> bool:
    return any(_usable_turn(turn, max_chars) for turn in dialogue.turns.values())


def _usable_turn(turn: Turn, max_chars: int | None) -> bool:
    chosen = chosen_of(turn)
    others = [answer for answer in turn.answers if not answer.chosen]
    if not turn.prompt or chosen is None or not others:
        return False
    longest = max(len(answer.text) for answer in (chosen, *others))
    return max_chars is None or len(turn.prompt) + longest <= max_chars


def _assigned(
    prefs: Preferences, users: Mapping[str, str], parts: Mapping[str, str], protocol: str
) -> Preferences:
    """Keeps the pairs of the given users and conversations, with their parts."""
    user, group = (prefs.votes[name].cast(pl.String) for name in ("user_id", "group"))
    votes = with_parts(
        prefs.votes,
        split=group.replace_strict(dict(parts), default=None, return_dtype=pl.String),
        user_split=user.replace_strict(dict(users), default=None, return_dtype=pl.String),
    )
    known = votes.filter(pl.col("user_split").is_not_null())
    kept = known.filter(pl.col("split").is_not_null())
    meta = prefs.meta.with_dropped(
        {
            FEW_CONVERSATIONS: votes.height - known.height,
            NO_CONVERSATION: known.height - kept.height,
        }
    )
    pairs = prefs.pairs.join(kept.select("pair_id").unique(), on="pair_id", how="semi")
    meta = replace(meta, dataset=f"prism:{protocol}")
    shared = straddling(kept, "pair_id")
    why = f"conversations are divided; {shared} pairs stand in both parts"
    left = Preferences(kept, pairs.sort("pair_id"), meta)
    return marked(left, kept, protocol, "group", why, leaks=shared > 0)
