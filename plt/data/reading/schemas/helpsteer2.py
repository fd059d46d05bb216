"""HelpSteer and HelpSteer2: a row a response, rated on five attributes; helpfulness decides."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has


def _known(table: RawTable) -> Known:
    sources = {"prompt": "prompt", "response": "response", "score": "helpfulness"}
    person = find.person(table, list(sources.values()))
    return Known(
        "rating",
        sources | ({"user_id": person} if person else {}),
        notes=("helpfulness decides; another attribute: --map score=correctness",),
    )


SCHEMA = Schema(
    "HelpSteer2",
    "response, helpfulness, correctness and coherence",
    lambda table: has(table, "prompt", "response", "helpfulness", "correctness", "coherence"),
    _known,
)
