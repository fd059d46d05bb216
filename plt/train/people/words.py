"""What users say of themselves, and texts that begin with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from plt.train.method import IntArray, Judgements, Texts

PREFACE = "The user says of themselves: "
Prompt: TypeAlias = Sequence[Mapping[str, str]]


def with_profile(prompt: Prompt, profile: str | None) -> Prompt:
    """The prompt behind what its user says of themselves, as a system message.

    An encoder that reads nothing of a prompt but its system messages reads the profile too. A
    system message that was there follows in the same one, since many chat templates take only one.
    """
    if profile is None:
        return prompt
    content, rest = PREFACE + profile, list(prompt)
    if rest and rest[0]["role"] == "system":
        content, rest = f"{content}\n\n{rest[0]['content']}", rest[1:]
    return [{"role": "system", "content": content}, *rest]


def with_profiles(
    texts: Texts, rows: IntArray, users: Sequence[str | None], profiles: Mapping[str, str]
) -> tuple[Texts, IntArray]:
    """Texts as they stand behind what their user says of themselves (`with_profile`).

    Args:
        texts: T texts.
        rows: (R,) text of each row.
        users: (R,) whose.
        profiles: Of some of the users; the others' texts stay as they are.

    Returns:
        Distinct texts, and the one of each row, shape (R,).
    """
    said = [None if user is None else profiles.get(user) or None for user in users]
    distinct = [None, *sorted({text for text in said if text is not None})]
    codes = {profile: code for code, profile in enumerate(distinct)}
    code = np.array([codes[profile] for profile in said], dtype=np.int64)
    keys, inverse = np.unique(rows * len(codes) + code, return_inverse=True)
    read, who = np.divmod(keys, len(codes))
    prompts = [
        with_profile(texts.prompts[text], distinct[one])
        for text, one in zip(read.tolist(), who.tolist(), strict=True)
    ]
    return Texts(prompts, [texts.responses[text] for text in read]), inverse.reshape(-1)


def profiled(judgements: Judgements, profiles: Mapping[str, str]) -> Judgements:
    """The same judgements of texts that begin with what the judge says of themselves."""
    names: list[str | None] = [*judgements.users, None]
    users = [names[code] for code in judgements.user]
    rows = np.concatenate([judgements.a, judgements.b])
    texts, read = with_profiles(judgements.texts, rows, users * 2, profiles)
    n = len(judgements)
    return replace(judgements, texts=texts, a=read[:n], b=read[n:])


def with_preambles(
    texts: Texts, rows: IntArray, preambles: Sequence[str | None]
) -> tuple[Texts, IntArray]:
    """Every text that is asked for, behind its preamble.

    A preamble is a system message, which all models read, encoders too, and which templates that
    know no such role write before the first question.

    Args:
        texts: n texts.
        rows: Which of them, shape (N,).
        preambles: What stands in front of each, N of them; None leaves the text as it is.

    Returns:
        Each distinct (preamble, text) once, in order of first appearance, and the rows (N,) that
        point at them.
    """
    place: dict[tuple[str | None, int], int] = {}
    pointers = [
        place.setdefault(key, len(place)) for key in zip(preambles, rows.tolist(), strict=True)
    ]
    prompts = [
        texts.prompts[row]
        if preamble is None
        else [{"role": "system", "content": preamble}, *texts.prompts[row]]
        for preamble, row in place
    ]
    responses = [texts.responses[row] for _, row in place]
    return Texts(prompts, responses), np.array(pointers, dtype=np.int64)
