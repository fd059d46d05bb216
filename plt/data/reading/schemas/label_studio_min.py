"""Label Studio's JSON_MIN and CSV exports: a row an annotation, beside the fields of the task."""

from collections.abc import Mapping

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find, kinds
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.label_studio import WORDS
from plt.data.reading.schemas.schema import Schema, has


def _label(table: RawTable) -> str | None:
    """The column of what was selected: left or right, or an object that says so."""
    for name, cells in table.columns.items():
        found = kinds.sample(cells)
        words = {
            str(cell.get("selected") if isinstance(cell, Mapping) else cell).lower()
            for cell in found
            if not isinstance(cell, list)
        }
        if words and words & set(WORDS) and words <= {*WORDS, "tie", "equal", "skip"}:
            return name
    return next(iter(find.labels(table, ())), None)


def _known(table: RawTable) -> Known:
    label = _label(table)
    sources = dict(zip(("response_1", "response_2"), find.response_pair(table) or (), strict=False))
    if label is not None:
        sources["label"] = label
    sources["user_id"] = "annotator"
    return Known("pair", sources, WORDS, fill=True)


SCHEMA = Schema(
    "Label Studio JSON_MIN",
    "annotator and annotation_id beside the fields of a task",
    lambda table: (
        has(table, "annotator")
        and any(name in table.columns for name in ("annotation_id", "lead_time"))
        and find.response_pair(table) is not None
        and _label(table) is not None
    ),
    _known,
)
