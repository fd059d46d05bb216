"""Axolotl's preference formats: a system message and a question, or messages, and two answers."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has

PROMPTS = ("question", "input", "instruction", "prompt")


def _known(table: RawTable) -> Known:
    pair = find.chosen_pair(table)
    assert pair is not None, "the schema fits"
    return Known("chosen", dict(zip(("chosen", "rejected"), pair, strict=True)), fill=True)


SCHEMA = Schema(
    "Axolotl / Orca pairs",
    "system or messages, a chosen and a rejected answer",
    lambda table: (
        find.chosen_pair(table) is not None
        and (
            has(table, "messages")
            or (has(table, "system") and any(name in table.columns for name in PROMPTS))
        )
    ),
    _known,
)
