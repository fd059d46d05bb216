"""WebGPT comparisons: each answer has a score, opposite in sign, and 0 and 0 is a tie."""

from collections.abc import Mapping

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, seen


def _known(table: RawTable) -> Known:
    nested = isinstance(seen(table, "question"), Mapping)
    sources = {
        "prompt": "question.full_text" if nested else "question",
        "response_1": "answer_0", "response_2": "answer_1",
        "score_1": "score_0", "score_2": "score_1",
    }  # fmt: skip
    return Known("pair", sources, by_score=True, equal_ties=True)


SCHEMA = Schema(
    "WebGPT comparisons",
    "question, answer_0, answer_1, score_0 and score_1",
    lambda table: has(table, "question", "answer_0", "answer_1", "score_0", "score_1"),
    _known,
)
