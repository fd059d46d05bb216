"""RewardBench 1 and 2: in the second, and in its Ties, several right or several wrong answers."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected", "subset": "subset"}
    beside = {"source_1": "chosen_model", "source_2": "rejected_model"}
    return Known("chosen", sources | present(table, beside))


SCHEMA = Schema(
    "RewardBench",
    "chosen, rejected, subset and num_correct or chosen_model",
    lambda table: (
        has(table, "prompt", "chosen", "rejected", "subset")
        and any(n in table.columns for n in ("num_correct", "total_completions", "chosen_model"))
        and "user_id" not in table.columns
    ),
    _known,
)
