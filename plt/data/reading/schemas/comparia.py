"""ComparIA votes: two conversations, and the name of the model that was chosen."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "response_1": "conversation_a", "response_2": "conversation_b",
        "label": "chosen_model_name", "source_1": "model_a_name", "source_2": "model_b_name",
    }  # fmt: skip
    beside = {"tied": "both_equal", "user_id": "visitor_id", "judged_at": "timestamp"}
    return Known("pair", sources | present(table, beside))


SCHEMA = Schema(
    "ComparIA votes",
    "conversation_a, conversation_b, model_a_name, model_b_name and chosen_model_name",
    lambda table: has(
        table,
        "conversation_a",
        "conversation_b",
        "model_a_name",
        "model_b_name",
        "chosen_model_name",
    ),
    _known,
)
