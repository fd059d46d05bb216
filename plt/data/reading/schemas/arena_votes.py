"""LMSYS on Kaggle and WSDM: two responses and the winner as a word or in columns of 0 and 1."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present


def _known(table: RawTable) -> Known:
    sources = {"prompt": "prompt", "response_1": "response_a", "response_2": "response_b"}
    if has(table, "winner_model_a", "winner_model_b"):
        sources |= {"won_1": "winner_model_a", "won_2": "winner_model_b"}
        sources |= present(table, {"tied": "winner_tie"})
    else:
        sources["label"] = "winner"
    sources |= present(table, {"source_1": "model_a", "source_2": "model_b", "subset": "language"})
    person = find.person(table, list(sources.values()))
    return Known("pair", sources | ({"user_id": person} if person else {}))


SCHEMA = Schema(
    "LMSYS human preferences (Kaggle)",
    "response_a, response_b, model_a, model_b and the winning model",
    lambda table: (
        has(table, "prompt", "response_a", "response_b", "model_a", "model_b")
        and (has(table, "winner_model_a", "winner_model_b") or has(table, "winner"))
    ),
    _known,
)
