"""What users say of themselves (u^t), where a language model reads it: before the conversation."""

from collections.abc import Mapping, Sequence

import polars as pl

from plt.data.preferences import Preferences

PREFACE = "The user says of themselves: "
Prompt = Sequence[Mapping[str, str]]


def told_profiles(prefs: Preferences, people: pl.DataFrame | None) -> dict[str, str]:
    """What each user says of themselves; users who say nothing are absent.

    Args:
        prefs: Judgements, whose own column comes first; of several texts of one user, the first
            in alphabetical order.
        people: A `users/1` table, or None.
    """
    tables = [prefs.votes] if people is None else [people, prefs.votes]
    found: dict[str, str] = {}
    for table in tables:
        if "profile" not in table.columns:
            continue
        named = table.select(pl.col("user_id", "profile").cast(pl.String)).drop_nulls()
        said = named.group_by("user_id").agg(pl.col("profile").min())
        found |= dict(said.iter_rows())
    return {user: text for user, text in sorted(found.items()) if text.strip()}


def with_profile(prompt: Prompt, profile: str | None) -> Prompt:
    """The prompt behind what its user says of themselves, in the system message."""
    if profile is None:
        return prompt
    content, rest = PREFACE + profile, list(prompt)
    # Many templates know one system message only.
    if rest and rest[0]["role"] == "system":
        content, rest = f"{content}\n\n{rest[0]['content']}", rest[1:]
    return [{"role": "system", "content": content}, *rest]
