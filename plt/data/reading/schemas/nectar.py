"""Nectar: seven answers to a prompt, ranked from 1, the best."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, has


def _known(table: RawTable) -> Known:
    first = entry(table, "answers")
    sources = {"prompt": "prompt", "response": "answers.*.answer", "rank": "answers.*.rank"}
    return Known("rating", sources | ({"source": "answers.*.model"} if "model" in first else {}))


SCHEMA = Schema(
    "Nectar",
    "answers with an answer and a rank",
    lambda table: (
        has(table, "prompt", "answers") and {"answer", "rank"} <= set(entry(table, "answers"))
    ),
    _known,
)
