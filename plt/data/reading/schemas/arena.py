"""Chatbot Arena, LMSYS and MT-bench judgements: two whole conversations and a winner."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "response_1": "conversation_a", "response_2": "conversation_b", "label": "winner",
    }  # fmt: skip
    beside = {
        "source_1": "model_a", "source_2": "model_b", "turn": "turn", "subset": "language",
    }  # fmt: skip
    sources |= present(table, beside)
    when = next((name for name in ("tstamp", "timestamp") if name in table.columns), None)
    person = find.person(table, list(sources.values()))
    sources |= {"judged_at": when} if when else {}
    return Known("pair", sources | ({"user_id": person} if person else {}))


SCHEMA = Schema(
    "Chatbot Arena / MT-bench",
    "conversation_a, conversation_b and winner",
    lambda table: has(table, "conversation_a", "conversation_b", "winner"),
    _known,
)
