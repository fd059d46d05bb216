"""openai/collective-alignment-1: four responses, ranked by people for themselves and for the world.

The two rankings are two questions, so a table holds one of them: the personal one.
"""

from collections.abc import Mapping

from plt.data.reading.field_map import values, walk
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, has

LISTS = ("metadata.assessments", "assessments")
PERSONAL, WORLD = "personal", "world"


def _assessments(table: RawTable) -> tuple[str, Mapping[str, object]] | None:
    for source in LISTS:
        if source.split(".")[0] not in table.columns:
            continue
        for cell in values(table, source):
            if isinstance(cell, list) and cell and walk(cell[0], "ranking_blocks") is not None:
                return source, cell[0]
    return None


def _known(table: RawTable) -> Known:
    found = _assessments(table)
    assert found is not None, "the schema fits"
    source, first = found
    named = "annotator_id" in first or "annotator_id" not in table.columns
    ranking = f"{source}.*.ranking_blocks.{PERSONAL}.0.ranking"
    return Known(
        "rating",
        {
            "prompt": "prompt.messages",
            "response": "responses.*.messages",
            "response_name": "responses.*.response_index",
            "ranking": ranking,
            "user_id": f"{source}.*.annotator_id" if named else "annotator_id",
        },
        notes=(
            "these are the personal rankings; what people think is best for the world is another"
            f" question: --map 'ranking={ranking.replace(PERSONAL, WORLD)}'",
        ),
    )


SCHEMA = Schema(
    "openai/collective-alignment-1",
    "responses with a response_index and assessments with ranking_blocks",
    lambda table: (
        has(table, "prompt", "responses")
        and "response_index" in entry(table, "responses")
        and _assessments(table) is not None
    ),
    _known,
)
