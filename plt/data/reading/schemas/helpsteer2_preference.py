"""HelpSteer2 preferences: from -3 (the first response is much better) to 3 (the second)."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.helpsteer3 import SIGNED
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "prompt", "response_1": "response_1", "response_2": "response_2",
        "label": "preference_strength",
    }  # fmt: skip
    return Known("pair", sources | present(table, {"split": "split"}), SIGNED)


SCHEMA = Schema(
    "HelpSteer2 preferences",
    "response_1, response_2 and preference_strength",
    lambda table: has(table, "prompt", "response_1", "response_2", "preference_strength"),
    _known,
)
