"""AlpacaEval annotations: 1 prefers the first output, 2 the second; 0 and 1.5 are ties."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has, present, seen


def _known(table: RawTable) -> Known:
    joined = isinstance(seen(table, "input"), str)
    sources = {
        "prompt": "instruction,input" if joined else "instruction",
        "response_1": "output_1", "response_2": "output_2", "label": "preference",
    }  # fmt: skip
    beside = {"source_1": "generator_1", "source_2": "generator_2", "subset": "dataset"}
    sources |= present(table, beside)
    person = find.person(table, list(sources.values()))
    words = {"1": "a", "2": "b", "0": "tie", "1.5": "tie"}
    return Known("pair", sources | ({"user_id": person} if person else {}), words)


SCHEMA = Schema(
    "AlpacaEval",
    "instruction, output_1, output_2 and preference",
    lambda table: has(table, "instruction", "output_1", "output_2", "preference"),
    _known,
)
