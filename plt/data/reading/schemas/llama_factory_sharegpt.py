"""LLaMA-Factory's ShareGPT preference format: a conversation and two messages that may follow."""

from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has

SCHEMA = Schema(
    "LLaMA-Factory ShareGPT",
    "conversations, chosen and rejected",
    lambda table: has(table, "conversations", "chosen", "rejected"),
    lambda table: Known(
        "chosen",
        {"prompt": "conversations", "chosen": "chosen", "rejected": "rejected"},
        fill=True,
    ),
)
