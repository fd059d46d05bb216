"""PKU-SafeRLHF: the number of the better and of the safer response, which are two questions."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "prompt", "response_1": "response_0", "response_2": "response_1",
        "label": "better_response_id",
    }  # fmt: skip
    beside = {
        "source_1": "response_0_source", "source_2": "response_1_source",
        "subset": "prompt_source",
    }  # fmt: skip
    sources |= present(table, beside)
    person = find.person(table, list(sources.values()))
    return Known(
        "pair",
        sources | ({"user_id": person} if person else {}),
        {"0": "a", "1": "b"},
        notes=("which response is safer is another question: --map label=safer_response_id",),
    )


SCHEMA = Schema(
    "PKU-SafeRLHF",
    "response_0, response_1 and better_response_id",
    lambda table: has(table, "prompt", "response_0", "response_1", "better_response_id"),
    _known,
)
