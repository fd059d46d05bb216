"""Personalized RewardBench: each question is a person's, who is known by what they wrote before."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {
        "prompt": "question", "chosen": "chosen", "rejected": "rejected", "profile": "profile",
    }  # fmt: skip
    who = "user_id" if "user_id" in table.columns else "id"
    beside = {"user_id": who, "subset": "category"}
    return Known(
        "chosen",
        sources | present(table, beside),
        notes=("each question has a person of its own, named by the question's id",),
    )


SCHEMA = Schema(
    "Personalized RewardBench",
    "question, profile, rubric_aspects, chosen and rejected",
    lambda table: has(table, "question", "profile", "rubric_aspects", "chosen", "rejected"),
    _known,
)
