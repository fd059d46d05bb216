"""What every reward model that reads judgements when it scores can be told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from plt.errors import UsageError
from plt.train.method import Tune

MANY_PEOPLE = 50


@dataclass(frozen=True)
class ContextSettings:
    """The backbone, and how reading is learnt: by predicting some judgements from others.

    Attributes:
        name: Of the method, for messages.
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head``: networks on frozen features.
        components: Principal directions of the features that are kept, those in which the two
            responses of training pairs differ most; None keeps all, as in the papers.
        points: ``raw``: what is read of a response is its features, as in the papers. ``centred``:
            half of what distinguishes it from the other one of its pair, so that topics cancel out.
        n_context: Judgements of a person that are read in a step, at most.
        n_read: Judgements of a person that are read in scoring, at most: the first in the order of
            their pairs' hashes; who has more is counted in the notes.
        n_targets: Judgements of a person that are predicted in a step, at most.
        people_per_step: People a step.
        default_epochs: `epochs` of the method, with fewer than `MANY_PEOPLE` and from there on.
        few_as_many: Of the method: whether a step reads few judgements as often as many
            (log-uniform), or any number as often as any other.
        epochs: Passes over the people; which weights are kept of them is chosen. None is the
            method's own.
        learning_rate: Of AdamW; up over 3 % of the steps, then down to 0 as a cosine.
        weight_decay: Of AdamW.
    """

    name: ClassVar[str]
    default_epochs: ClassVar[tuple[int, int]]
    few_as_many: ClassVar[bool] = True
    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    components: int | None = None
    points: Literal["centred", "raw"] = "centred"
    n_context: int = 32
    n_read: int = 128
    n_targets: int = 16
    people_per_step: int = 16
    epochs: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        if self.tune != "head":
            raise UsageError(
                f"'{self.name}' has no '--tune {self.tune}' yet: it reads frozen features",
                hint=f"plt train --method {self.name} --tune head",
            )
        problems = self.problems()
        if problems:
            raise UsageError(
                f"method '{self.name}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {self.name}",
            )

    def passes(self, n_people: int) -> int:
        """`epochs`, the default filled in."""
        return self.default_epochs[n_people >= MANY_PEOPLE] if self.epochs is None else self.epochs

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        chosen = [name for name in ("epochs", "components") if getattr(self, name) is not None]
        found = self.below(1, "n_context", "n_read", "n_targets", "people_per_step", *chosen)
        if not 0 < self.learning_rate < float("inf"):
            found.append(f"'learning_rate' is {self.learning_rate}, expected a number above 0")
        return found + self.below(0, "weight_decay")

    def below(self, least: int, *names: str) -> list[str]:
        """A sentence for each of these settings that is less than it may be, or no number."""
        values = {name: getattr(self, name) for name in names}
        return [
            f"'{name}' is {value}, expected {least} or more"
            for name, value in values.items()
            if not least <= value < float("inf")
        ]
