"""NeMo-RL: completions of a context, ranked from 0, the best."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, has


def _known(table: RawTable) -> Known:
    del table
    sources = {
        "prompt": "context", "response": "completions.*.completion", "rank": "completions.*.rank",
    }  # fmt: skip
    return Known("rating", sources, fill=True)


SCHEMA = Schema(
    "NeMo-RL preferences",
    "context and completions with a rank and a completion",
    lambda table: (
        has(table, "context", "completions")
        and {"rank", "completion"} <= set(entry(table, "completions"))
    ),
    _known,
)
