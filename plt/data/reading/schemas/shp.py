"""SHP: two comments on a post; the label is 1 where the first has more votes for its time."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "history", "response_1": "human_ref_A", "response_2": "human_ref_B",
        "label": "labels",
    }  # fmt: skip
    beside = {"score_1": "score_A", "score_2": "score_B", "subset": "domain"}
    return Known("pair", sources | present(table, beside), {"1": "a", "0": "b"})


SCHEMA = Schema(
    "SHP",
    "history, human_ref_A, human_ref_B and labels",
    lambda table: has(table, "history", "human_ref_A", "human_ref_B", "labels"),
    _known,
)
