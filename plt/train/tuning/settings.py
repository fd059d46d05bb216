"""What every reward model on a backbone can be told: the flags that methods share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from plt.errors import UsageError
from plt.train.heads.ridge import refuse_penalty
from plt.train.method import Quantize, Tune

if TYPE_CHECKING:
    from plt.train.tuning.options import Tuning

HEAD_ONLY = ("l2",)
TUNED_ONLY = (
    "epochs", "learning_rate", "pairs_per_step", "lora_rank", "lora_alpha", "lora_targets",
    "quantize",
)  # fmt: skip


@dataclass(frozen=True)
class RewardSettings:
    """The backbone, how much of it is trained, and how. None leaves a choice to the method.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        tune: ``head`` fits a linear head on frozen features; ``lora`` and ``full`` fine-tune.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        l2: Penalty of a head on scaled features; None chooses it on validation rows, or by
            evidence where there are fewer than 50. Only ``head``, as the rest is only for
            ``lora`` and ``full``, with the defaults and sources of
            `plt.train.tuning.options.Tuning`.
        epochs: Passes over the judgements.
        learning_rate: Of the optimiser.
        pairs_per_step: Judgements a step of the optimiser.
        lora_rank: Rank of the adapters.
        lora_alpha: Their scale is alpha / rank.
        lora_targets: Names of layers, separated by commas.
        quantize: ``4bit`` keeps the frozen backbone under adapters in 4 bits (QLoRA).
        zero_l2: Whether a method can be fitted without a penalty.
        tuned_only: Settings of a method that mean nothing without fine-tuning.
    """

    zero_l2: ClassVar[bool] = False
    tuned_only: ClassVar[tuple[str, ...]] = ()
    model: str = "builtin:minilm"
    tune: Tune = "head"
    max_length: int | None = None
    l2: float | None = None
    epochs: float | None = None
    learning_rate: float | None = None
    pairs_per_step: int | None = None
    lora_rank: int | None = None
    lora_alpha: int | None = None
    lora_targets: str | None = None
    quantize: Quantize | None = None

    def __post_init__(self) -> None:
        if not (self.zero_l2 and self.l2 == 0):
            refuse_penalty(self.l2)
        useless = (*TUNED_ONLY, *self.tuned_only) if self.tune == "head" else HEAD_ONLY
        given = [name for name in useless if getattr(self, name) is not None]
        if given:
            raise UsageError(
                f"these settings mean nothing with --tune {self.tune}",
                problems=[f"'{name}' is {getattr(self, name)}" for name in given],
                hint="--tune lora" if self.tune == "head" else "--tune head",
            )
        if self.tune != "head":
            # Its own ranges are checked before any data is read.
            self.tuning()

    def tuning(self) -> "Tuning":
        """The settings of a fine-tuned model, its defaults filled in."""
        from plt.train.tuning.options import Tuning

        if self.tune == "head":
            raise ValueError("a head is not fine-tuned")
        given: dict[str, Any] = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "batch_size": self.pairs_per_step,
            "max_length": self.max_length,
            "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
            "lora_targets": self.lora_targets,
            "quantize": self.quantize,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        return Tuning(tune=self.tune, **kept)
