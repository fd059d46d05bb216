"""What the contract suite tells a method, where its defaults are not made for twelve users.

The defaults of almost every reward model fit 12 users x 20 pairs within the suite's three seconds.
Policies and `rag` pay for tokens, and `builtin:tiny` spells every byte: here they begin from a
model of the same width whose tokenizer knows the words of `population`, and policies take fewer,
larger steps. Assertions are the same for all.
"""

from pathlib import Path
from typing import Any

from plt.train.models.embedded.untrained import SmallModel, make_small_model
from plt.train.registry import METHODS
from tests.contracts.population import population

STEPS = {"tune": "full", "max_steps": 24, "pairs_per_step": 12, "learning_rate": 5e-3}
OWN: dict[str, dict[str, Any]] = {
    "sft": {},
    "dpo": {},
    "p-dpo": {"users_learning_rate": 5e-2},
    "p-ipo": {"users_learning_rate": 5e-2},
}


def write_model(folder: Path) -> Path:
    """The model that policies begin from and `rag` asks."""
    return make_small_model(population(), folder, SmallModel(vocabulary=600, layers=1))


def smaller(name: str, model: Path) -> dict[str, Any]:
    """Settings of `make_method`; none for methods that read vectors alone."""
    if name == "rag":
        return {"model": str(model), "k": 1}
    if METHODS[name].kind == "reward":
        return {}
    return {"model": str(model), **STEPS, **OWN[name]}
