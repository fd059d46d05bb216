"""Ten rewards that a program reads off any text, in place of ten reward models.

Each grows with the logarithm of how often its words or marks occur. They were chosen so that a
ridge regression on MiniLM embeddings predicts each of them on prompts that it was not fitted on.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from plt.data.simulate.survey import FloatArray

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
NAMES = (*WORDS, "excited")
EXCITED = re.compile("!")


def _counter(pattern: re.Pattern[str]) -> Callable[[str], int]:
    return lambda text: len(pattern.findall(text))


COUNTERS: Mapping[str, Callable[[str], int]] = {
    **{
        name: _counter(re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE))
        for name, words in WORDS.items()
    },
    "excited": _counter(EXCITED),
}


def raw_rewards(responses: Sequence[str]) -> FloatArray:
    """log(1 + occurrences), shape (n, 10), in the order of `NAMES`."""
    counts = [[COUNTERS[name](text) for name in NAMES] for text in responses]
    return np.log1p(np.array(counts, dtype=np.float64).reshape(-1, len(NAMES))).astype(np.float64)


def standardise(rewards: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Rewards in units of their spread: without it the widest one rules every mixture.

    Args:
        rewards: Shape (n, J).
        mean: Shape (J,).
        sd: Shape (J,), positive.
    """
    return (rewards - mean) / sd
