"""UltraFeedback binarised: whole conversations, of which `messages` repeats the chosen one."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}
    beside = {"score_1": "score_chosen", "score_2": "score_rejected"}
    return Known("chosen", sources | present(table, beside), fill=True)


SCHEMA = Schema(
    "UltraFeedback binarised",
    "prompt, prompt_id, chosen, rejected and score_chosen",
    lambda table: has(
        table, "prompt", "prompt_id", "chosen", "rejected", "score_chosen", "score_rejected"
    ),
    _known,
)
