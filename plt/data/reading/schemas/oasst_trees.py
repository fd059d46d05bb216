"""OASST as trees: a conversation tree a row, replies inside replies, 0 the best rank."""

from collections.abc import Mapping
from typing import Any

from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.schemas.oasst import NAMES, replies_known
from plt.data.reading.schemas.schema import Schema, has, seen, with_rows


def _rebuilt(table: RawTable) -> RawTable:
    rows: list[dict[str, Any]] = []
    for row in table.rows():
        stack: list[tuple[list[dict[str, Any]], Mapping[str, Any]]] = [([], row["prompt"] or {})]
        while stack:
            before, node = stack.pop()
            here = [*before, {"role": node.get("role"), "content": node.get("text")}]
            replies = [r for r in node.get("replies") or [] if isinstance(r, Mapping)]
            stack += [(here, reply) for reply in replies]
            ranked = [
                r for r in replies
                if r.get("role") == "assistant" and not is_nothing(r.get("rank"))
            ]  # fmt: skip
            if len(ranked) > 1:
                rows.append(
                    {
                        "prompt": here,
                        "responses": [{"text": r.get("text"), "rank": r["rank"]} for r in ranked],
                        "message_tree_id": row["message_tree_id"],
                        "lang": node.get("lang"),
                    }
                )
    return with_rows(table, rows, NAMES)


def _fits(table: RawTable) -> bool:
    prompt = seen(table, "prompt") if has(table, "message_tree_id", "prompt") else None
    return isinstance(prompt, Mapping) and "replies" in prompt


SCHEMA = Schema(
    "OASST trees", "message_tree_id and a prompt with replies", _fits, replies_known, _rebuilt
)
