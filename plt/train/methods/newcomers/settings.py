"""What the baselines for new people can be told."""

from dataclasses import dataclass

from plt.errors import UsageError
from plt.train.heads.ridge import refuse_penalty
from plt.train.method import Tune


@dataclass(frozen=True)
class HeadSettings:
    """A linear head on frozen features.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head``.
        l2: Penalty of a head on scaled features; None leaves it to the method.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    l2: float | None = None

    def __post_init__(self) -> None:
        refuse_penalty(self.l2)
        if self.tune != "head":
            raise UsageError(
                f"this baseline has no '--tune {self.tune}': it moves or takes linear heads",
                hint="--tune head",
            )
