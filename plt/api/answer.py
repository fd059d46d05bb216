"""What a question to Python is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from plt.cli.shell.streams import Block

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Answer(Generic[T]):
    """What a command would say: short when shown, whole when printed, a table in a notebook.

    Attributes:
        found: The object behind it.
        document: What ``--json`` prints.
        blocks: What a person reads.
    """

    found: T
    document: dict[str, Any]
    blocks: tuple[Block, ...]

    def to_json(self) -> dict[str, Any]:
        """The documented object that the command prints with ``--json``."""
        return self.document

    def __repr__(self) -> str:
        """The verdict, which is the last sentence."""
        from plt.cli.shell.streams import Line, printable

        said = [block.text for block in self.blocks if isinstance(block, Line)]
        return printable(f"{type(self.found).__name__}: {said[-1]}")

    def __str__(self) -> str:
        """The command's page as Markdown."""
        from plt.cli.shell.render import to_markdown

        return to_markdown(self.blocks)

    def _repr_html_(self) -> str:
        from plt.cli.shell.render import to_html

        return to_html(self.blocks)
