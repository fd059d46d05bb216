"""UltraFeedback as it was published: completions with the ratings of four aspects.

The mean of the aspects decides: `overall_score` has values that lost their decimal point.
"""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, has

SCORES = ("fine-grained_score", "fine_grained_score", "overall_score")


def _known(table: RawTable) -> Known:
    first = entry(table, "completions")
    score = next(name for name in SCORES if name in first)
    sources = {
        "prompt": "instruction", "response": "completions.*.response",
        "score": f"completions.*.{score}",
    }  # fmt: skip
    if "model" in first:
        sources["source"] = "completions.*.model"
    if has(table, "source"):
        sources["subset"] = "source"
    return Known("rating", sources)


SCHEMA = Schema(
    "UltraFeedback",
    "instruction and completions with a response and a score",
    lambda table: (
        has(table, "instruction", "completions")
        and "response" in entry(table, "completions")
        and bool(set(SCORES) & set(entry(table, "completions")))
    ),
    _known,
)
