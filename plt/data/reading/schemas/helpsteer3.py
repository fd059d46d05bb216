"""HelpSteer3: two responses and a preference from -3 (the first much better) to 3 (the second)."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present

SIGNED = {"-3..-1": "a", "0": "tie", "1..3": "b"}


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "context", "response_1": "response1", "response_2": "response2",
        "label": "overall_preference",
    }  # fmt: skip
    return Known(
        "pair",
        sources | present(table, {"subset": "domain"}),
        SIGNED,
        notes=(
            "the judges behind individual_preference have no names, so the overall preference is"
            " read: one judgement a pair, of nobody",
        ),
    )


SCHEMA = Schema(
    "HelpSteer3",
    "context, response1, response2 and overall_preference",
    lambda table: has(table, "context", "response1", "response2", "overall_preference"),
    _known,
)
