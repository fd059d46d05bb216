"""What a person is told when something is wrong.

Every error says what, where, every problem at once, and one hint that can be typed. The class
decides the exit code: 2 for what the person can fix, 3 for what plt got wrong.
"""

from collections.abc import Sequence
from typing import Any

MAX_SHOWN_PROBLEMS = 20


class PltError(Exception):
    """An error that is explained in one message instead of a traceback.

    Args:
        message: One line: what is wrong and where.
        problems: Every single problem found, in the order of the input.
        hint: One command or change that can be typed and fixes it.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, problems: Sequence[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems = list(problems)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle needs: an error of one process is told to the others."""
        return _remade, (type(self), self.message, self.problems, self.hint)

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  {problem}" for problem in self.problems[:MAX_SHOWN_PROBLEMS]]
        hidden = len(self.problems) - MAX_SHOWN_PROBLEMS
        if hidden > 0:
            lines.append(f"  ... and {hidden} more problems of the same kind")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(PltError):
    """The command line or a configuration file asks for something that does not exist."""


class DataError(PltError):
    """A table or raw file does not hold what it must hold."""


class ArtifactError(PltError):
    """A run directory, model folder or cache entry is not usable."""


class FailedError(PltError):
    """plt itself failed: a diverged fit, a hash collision, a broken invariant."""

    exit_code = 3


def _remade(
    kind: type[PltError], message: str, problems: Sequence[str], hint: str | None
) -> PltError:
    return kind(message, problems=problems, hint=hint)
