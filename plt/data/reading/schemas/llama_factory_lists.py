"""LLaMA-Factory's older preference format: `output` is a list, the better answer first."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import kinds
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, has


def _fits(table: RawTable) -> bool:
    cells = kinds.sample(table.columns.get("output", ()))
    return (
        has(table, "instruction")
        and bool(cells)
        and all(isinstance(cell, list) and len(cell) == 2 for cell in cells)
    )


SCHEMA = Schema(
    "LLaMA-Factory lists",
    "instruction and an output of two, the better one first",
    _fits,
    lambda table: Known("chosen", {"chosen": "output.0", "rejected": "output.1"}, fill=True),
)
