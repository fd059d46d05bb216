"""Community Alignment: conversations in columns, each turn with the best of four responses."""

from typing import Any

from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present, with_rows

TURNS = ("first", "second", "third", "fourth", "fifth", "sixth")
LETTERS = "abcd"
KEPT = ("conversation_id", "annotator_id", "assigned_lang")
NAMES = (*KEPT, "prompt", *(f"response_{letter}" for letter in LETTERS), "preferred_response")


def _rebuilt(table: RawTable) -> RawTable:
    """A row a turn; what stands before it is the conversation along the preferred responses."""
    rows = []
    for row in table.rows():
        before: list[dict[str, Any]] = []
        for turn in TURNS:
            prompt = row.get(f"{turn}_turn_prompt")
            if is_nothing(prompt):
                break
            before = [*before, {"role": "user", "content": prompt}]
            best = row.get(f"{turn}_turn_preferred_response")
            responses = {f"response_{x}": row.get(f"{turn}_turn_response_{x}") for x in LETTERS}
            kept = {name: row.get(name) for name in KEPT}
            rows.append({**kept, "prompt": before, **responses, "preferred_response": best})
            letter = "" if is_nothing(best) else str(best).strip().lower()[-1]
            answer = responses.get(f"response_{letter}")
            if is_nothing(answer):
                break
            before = [*before, {"role": "assistant", "content": answer}]
    return with_rows(table, rows, NAMES)


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "prompt", "response": "response_*", "ranking": "preferred_response",
        "user_id": "annotator_id",
    }  # fmt: skip
    beside = {"group": "conversation_id", "subset": "assigned_lang"}
    return Known(
        "rating",
        sources | present(table, beside),
        notes=("each turn of a conversation is a row, behind the responses preferred before it",),
    )


SCHEMA = Schema(
    "Community Alignment",
    "first_turn_prompt, first_turn_response_a and first_turn_preferred_response",
    lambda table: has(
        table,
        "first_turn_prompt",
        "first_turn_response_a",
        "first_turn_preferred_response",
        "annotator_id",
    ),
    _known,
    _rebuilt,
)
