"""ms-swift: `messages` ends with the chosen answer, and the rejected one stands beside it."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has

REJECTED = ("rejected_messages", "rejected_response")


def _rejected(table: RawTable) -> str | None:
    return next((name for name in REJECTED if name in table.columns), None)


def _known(table: RawTable) -> Known:
    rejected = _rejected(table)
    assert rejected is not None, "the schema fits"
    if has(table, "messages"):
        return Known("chosen", {"chosen": "messages", "rejected": rejected}, fill=True)
    sources = {"prompt": "query", "chosen": "response", "rejected": rejected}
    return Known("chosen", sources, fill=True)


SCHEMA = Schema(
    "ms-swift",
    "messages (or query and response) and rejected_response or rejected_messages",
    lambda table: (
        _rejected(table) is not None
        and "chosen" not in table.columns
        and (has(table, "messages") or has(table, "query", "response"))
    ),
    _known,
)
