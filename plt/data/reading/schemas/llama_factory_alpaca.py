"""LLaMA-Factory's Alpaca preference format: `instruction` and `input` are one prompt."""

from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has

SCHEMA = Schema(
    "LLaMA-Factory Alpaca",
    "instruction, chosen and rejected",
    lambda table: has(table, "instruction", "chosen", "rejected"),
    lambda table: Known("chosen", {"chosen": "chosen", "rejected": "rejected"}, fill=True),
)
