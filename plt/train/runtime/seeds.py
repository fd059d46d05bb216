"""The seed of a fit, from the seed of its run."""

import numpy as np


def training_seed(seed: int) -> int:
    """The seed of initial weights and of the order of rows, from that of a run."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])
