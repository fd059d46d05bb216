"""OASST as messages: replies to the same message are ranked, 0 the best.

`user_id` there is who wrote a message; the ranks are of several people together, so of nobody.
"""

from collections import defaultdict
from typing import Any

from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, with_rows

NAMES = ("prompt", "responses", "message_tree_id", "lang")


def replies_known(table: RawTable) -> Known:
    """What the rebuilt rows mean: a row a message whose replies are ranked."""
    del table
    sources = {
        "prompt": "prompt", "response": "responses.*.text", "rank": "responses.*.rank",
        "group": "message_tree_id", "subset": "lang",
    }  # fmt: skip
    return Known(
        "rating",
        sources,
        notes=("replies to one message are compared; ranks are of several people, so of nobody",),
    )


def _rebuilt(table: RawTable) -> RawTable:
    messages = {row["message_id"]: row for row in table.rows()}
    replies: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in messages.values():
        if row["role"] == "assistant" and not is_nothing(row["parent_id"]):
            replies[row["parent_id"]].append(row)
    rows = []
    for parent, answers in replies.items():
        ranked = [row for row in answers if not is_nothing(row["rank"])]
        if parent in messages and len(ranked) > 1:
            rows.append(
                {
                    "prompt": _before(messages, parent),
                    "responses": [{"text": row["text"], "rank": row["rank"]} for row in ranked],
                    "message_tree_id": ranked[0].get("message_tree_id"),
                    "lang": ranked[0].get("lang"),
                }
            )
    return with_rows(table, rows, NAMES)


def _before(messages: dict[Any, dict[str, Any]], last: Any) -> list[dict[str, Any]]:
    turns = []
    while last in messages:
        row = messages[last]
        turns.append({"role": row["role"], "content": row["text"]})
        last = row["parent_id"]
    return turns[::-1]


SCHEMA = Schema(
    "OASST messages",
    "message_id, parent_id, text, role and rank",
    lambda table: has(table, "message_id", "parent_id", "text", "role", "rank"),
    replies_known,
    _rebuilt,
)
