"""Ten rewards that a program reads off any text, in place of ten reward models.

Each grows with the logarithm of how often its words or marks occur. They were chosen so that a
ridge regression on MiniLM embeddings predicts each of them on prompts that it was not fitted on.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from plt.data.simulate.world.survey import FloatArray

WORDS: Mapping[str, str] = {
    "polite": "thank thanks please kind kindly kindness grateful pleasure welcome appreciate",
    "blunt": "stupid idiot fool dumb dumber lazy nonsense clueless shut annoy annoys",
    "playful": "joke jokes laugh haha funny comedian comedy punchline giggle silly silliest",
    "grave": "serious seriousness sober soberly solemn grave gravity earnest weighty",
    "inviting": "tell curious share think questions experience story",
    "assured": "guarantee guaranteed expert experts expertise proven success succeed trust",
    "hedged": "maybe perhaps guess guessing unsure unclear vague mistaken confused puzzled",
    "formal": "hereby herein pursuant accordance aforementioned procedure provisions shall",
    "casual": "hey yeah dude buddy gonna gotta wanna kinda stuff cool",
}
NAMES = (*WORDS, "excited")  # the last counts exclamation marks
COLUMNS = {word: i for i, words in enumerate(WORDS.values()) for word in words.split()}
WORD = re.compile(r"\w+")


def raw_rewards(responses: Sequence[str]) -> FloatArray:
    """log(1 + occurrences), shape (n, 10), in the order of `NAMES`."""
    counts = np.zeros((len(responses), len(NAMES)))
    for row, text in zip(counts, responses, strict=True):
        for word in WORD.findall(text.lower()):
            if word in COLUMNS:
                row[COLUMNS[word]] += 1
        row[-1] = text.count("!")
    return np.log1p(counts)


def standardise(rewards: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Rewards in units of their spread: without it the widest one rules every mixture.

    Args:
        rewards: Shape (n, J).
        mean: Shape (J,).
        sd: Shape (J,), positive.
    """
    return (rewards - mean) / sd
