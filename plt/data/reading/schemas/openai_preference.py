"""OpenAI's preference fine-tuning: messages inside `input`, and two outputs."""

from collections.abc import Mapping

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, seen


def _known(table: RawTable) -> Known:
    nested = isinstance(seen(table, "input"), Mapping)
    sources = {
        "prompt": "input.messages" if nested else "input",
        "chosen": "preferred_output", "rejected": "non_preferred_output",
    }  # fmt: skip
    return Known("chosen", sources, fill=True)


SCHEMA = Schema(
    "OpenAI preference fine-tuning",
    "input, preferred_output and non_preferred_output",
    lambda table: has(table, "input", "preferred_output", "non_preferred_output"),
    _known,
)
