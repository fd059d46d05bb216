"""What users say of themselves, and texts that begin with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from plt.data.preferences import Preferences
from plt.train.judgements import Judgements
from plt.train.method import IntArray, Texts, TrainContext


def user_profiles(prefs: Preferences, ctx: TrainContext) -> dict[str, str]:
    """The profile of every user who has one; a table of users wins over the judgements."""
    found: dict[str, str] = {}
    for table in [prefs.votes] if ctx.users is None else [prefs.votes, ctx.users]:
        if {"user_id", "profile"} <= set(table.columns):
            said = table.select(pl.col("user_id", "profile").cast(pl.String)).drop_nulls()
            # One user, several profiles: the same one whatever the order of the rows.
            found |= dict(said.group_by("user_id").agg(pl.col("profile").min()).iter_rows())
    return found


def with_profiles(
    texts: Texts, rows: IntArray, users: Sequence[str | None], profiles: Mapping[str, str]
) -> tuple[Texts, IntArray]:
    """Texts as they stand behind what their user says of themselves: as a system message.

    An encoder that reads nothing of a prompt but its system messages reads the profile too. A
    system message that was there follows in the same one, since many chat templates take only one.

    Args:
        texts: T texts.
        rows: (R,) text of each row.
        users: (R,) whose.
        profiles: Of some of the users; the others' texts stay as they are.

    Returns:
        Distinct texts, and the one of each row, shape (R,).
    """
    said = ["" if user is None else profiles.get(user, "") for user in users]
    distinct = sorted({*said} - {""})
    codes = {"": 0} | {profile: code + 1 for code, profile in enumerate(distinct)}
    code = np.array([codes[profile] for profile in said], dtype=np.int64)
    keys, inverse = np.unique(rows * len(codes) + code, return_inverse=True)
    prompts, responses = [], []
    for key in keys:
        text, who = divmod(int(key), len(codes))
        prompt = list(texts.prompts[text])
        if who:
            content = distinct[who - 1]
            if prompt and prompt[0]["role"] == "system":
                content = f"{content}\n\n{prompt.pop(0)['content']}"
            prompt.insert(0, {"role": "system", "content": content})
        prompts.append(prompt)
        responses.append(texts.responses[text])
    return Texts(prompts, responses), inverse.reshape(-1)


def profiled(judgements: Judgements, profiles: Mapping[str, str]) -> Judgements:
    """The same judgements of texts that begin with what the judge says of themselves."""
    names: list[str | None] = [*judgements.users, None]
    users = [names[code] for code in judgements.user]
    rows = np.concatenate([judgements.a, judgements.b])
    texts, read = with_profiles(judgements.texts, rows, users * 2, profiles)
    n = len(judgements)
    return replace(judgements, texts=texts, a=read[:n], b=read[n:])
