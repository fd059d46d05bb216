"""Texts with something about the reader in front: how a fine-tuned model learns whom it serves."""

from collections.abc import Sequence

import numpy as np

from plt.train.method import IntArray, Texts


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
