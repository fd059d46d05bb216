"""What decoding is handed: how to sample, where a text starts, who guides it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from plt.errors import UsageError


class Guide(Protocol):
    """Changes what the model would say next; `RewardGuide` is one."""

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of everything on which its changes depend."""
        ...

    @property
    def reach(self) -> int:
        """Positions that it looks at behind what is written."""
        ...

    def guided(
        self, model: Any, logits: Tensor, cache: Any, mask: Tensor, users: Sequence[str | None]
    ) -> Tensor:
        """Logits (n, V) in place of the model's.

        Args:
            model: The language model.
            logits: (n, V), float32.
            cache: Of n texts so far; it stays as it is.
            mask: (n, L), 1 on their real tokens.
            users: For whom each is written.
        """
        ...


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: Divides the logits.
        top_p: The smallest set of tokens with this probability is drawn from.
        greedy: The likeliest token, instead of a draw.
        max_new_tokens: Tokens at most, the end token not counted.
        min_new_tokens: The end token is not chosen before; 0 allows an empty text, as the optimum
            for a person who prefers the shorter text needs.
        guide: What the logits are changed by, before the temperature; None is nothing.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    greedy: bool = False
    max_new_tokens: int = 128
    min_new_tokens: int = 0
    guide: Guide | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.temperature <= 0:
            problems.append(f"the temperature is {self.temperature}; it must be above 0")
        if not 0 < self.top_p <= 1:
            problems.append(f"top-p is {self.top_p}; it must lie above 0 and be at most 1")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens or not self.max_new_tokens:
            problems.append(
                f"tokens: at least {self.min_new_tokens} and at most {self.max_new_tokens}"
            )
        if problems:
            raise UsageError(
                "texts cannot be written like that", problems=problems,
                hint="--temperature 0.6 --top-p 0.9 --max-new-tokens 128, or --greedy",
            )  # fmt: skip


@dataclass(frozen=True)
class Start:
    """What a text begins from.

    Attributes:
        ids: Token ids of the prompt, begin token included.
        soft: (T_u, d) soft tokens, or None.
        seed: Of this row's random numbers.
        user: For whom, where a guide asks.
    """

    ids: Sequence[int]
    soft: Tensor | None
    seed: int
    user: str | None = None

    def __len__(self) -> int:
        return len(self.ids) + (0 if self.soft is None else len(self.soft))


@dataclass(frozen=True)
class Continuation:
    """What was written: token ids without the end token, and whether that came."""

    ids: list[int]
    ended: bool
