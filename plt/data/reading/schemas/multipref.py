"""MultiPref: two lists of judges a pair, crowd workers and experts, with graded words."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present

LISTS = ("normal_worker_annotations", "expert_worker_annotations")


def _known(table: RawTable) -> Known:
    lists = [name for name in LISTS if name in table.columns]
    fields = {"label": "overall_pref", "user_id": "evaluator", "judged_at": "timestamp"}
    sources = {
        "prompt": "text", "response_1": "completion_a", "response_2": "completion_b",
        **{field: ",".join(f"{name}.*.{key}" for name in lists) for field, key in fields.items()},
    }  # fmt: skip
    beside = {"source_1": "model_a", "source_2": "model_b", "subset": "category"}
    return Known("pair", sources | present(table, beside))


SCHEMA = Schema(
    "MultiPref",
    "completion_a, completion_b and lists of worker annotations",
    lambda table: (
        has(table, "text", "completion_a", "completion_b")
        and any(name in table.columns for name in LISTS)
    ),
    _known,
)
