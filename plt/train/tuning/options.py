"""How a reward model is fine-tuned: epochs, rates, adapters, and what is refused."""

import importlib.util
from dataclasses import dataclass
from typing import Literal

from plt.errors import UsageError
from plt.train.method import Quantize
from plt.train.tuning.trl import Schedule

LEARNING_RATES = {"lora": 3e-4, "full": 2e-5}


@dataclass(frozen=True)
class Tuning:
    """How a reward model is fine-tuned.

    Attributes:
        tune: ``lora`` trains low-rank adapters and the head, ``full`` every weight.
        epochs: Passes over the judgements.
        learning_rate: None is 3e-4 for ``lora`` (Dong et al. 2025), 2e-5 for ``full``.
        batch_size: Judgements a step of the optimiser.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        lora_rank: Rank of the adapters (16 in Dong et al. 2025).
        lora_alpha: Their scale is alpha / rank (32 there).
        lora_targets: Names of layers, separated by commas; None takes the architecture's own,
            ``all-linear`` all.
        quantize: ``4bit`` keeps the frozen weights under ``lora`` in 4 bits: NF4, double
            quantisation, products in bfloat16 (QLoRA, Dettmers et al. 2023). None keeps them as
            they are.

    Raises:
        UsageError: A value is out of range, or `quantize` is asked for with ``full`` or where
            bitsandbytes is not installed.
    """

    tune: Literal["lora", "full"] = "lora"
    epochs: float = 1.0
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_targets: str | None = None
    quantize: Quantize | None = None

    def __post_init__(self) -> None:
        if self.tune not in LEARNING_RATES:
            raise UsageError(f"tune is lora or full here, not {self.tune!r}", hint="--tune lora")
        values = {
            "epochs": self.epochs, "learning_rate": self.learning_rate,
            "pairs_per_step": self.batch_size, "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
        }  # fmt: skip
        problems = [
            f"'{name}' is {value}, expected a number above 0"
            for name, value in values.items()
            if value is not None and not 0 < value < float("inf")
        ]
        if problems:
            raise UsageError(
                f"--tune {self.tune} does not take these settings",
                problems=problems,
                hint=f"plt train --tune {self.tune} --epochs 1",
            )
        if self.quantize is not None:
            _refuse_quantized(self.quantize, self.tune)

    @property
    def schedule(self) -> Schedule:
        """Epochs, learning rate and batch size, defaults filled in."""
        rate = self.learning_rate or LEARNING_RATES[self.tune]
        return Schedule(self.epochs, rate, self.batch_size)

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The layers named in `lora_targets`."""
        if self.lora_targets is None:
            return None
        return tuple(name.strip() for name in self.lora_targets.split(",") if name.strip())


def _refuse_quantized(quantize: Quantize, tune: str) -> None:
    if tune != "lora":
        raise UsageError(
            f"quantize is {quantize}, whose weights stay as they are; --tune {tune} moves them",
            hint="--tune lora",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            f"quantize={quantize} needs the package bitsandbytes, which is not installed",
            hint="pip install bitsandbytes",
        )
