"""Features of bare statements: a question without an answer, or what stands for a person."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plt.train.features.frozen import features
from plt.train.method import Compute, Texts
from plt.train.models.source import resolve_model


def statement_features(
    statements: Sequence[str], model: str, compute: Compute, max_length: int | None
) -> NDArray[np.float32]:
    """Frozen embeddings of statements, cached as all features are.

    Encoders read nothing of a prompt but its system messages, so a statement stands in the place of
    the response there; causal models read it as what a user says, with nothing answered yet.

    Returns:
        Shape (n, d), row i of statements[i].
    """
    if resolve_model(model).causal:
        asked = [[{"role": "user", "content": statement}] for statement in statements]
        texts = Texts(asked, [""] * len(statements))
    else:
        texts = Texts([[]] * len(statements), list(statements))
    return features(texts, model, compute, max_length=max_length)


def last_questions(texts: Texts) -> list[str]:
    """The last turn of the user in each prompt; empty where there is none."""
    asked = []
    for prompt in texts.prompts:
        turns = [turn["content"] for turn in prompt if turn["role"] == "user"]
        asked.append(turns[-1] if turns else "")
    return asked
