"""TRL's preference formats and those like it: a chosen and a rejected answer.

Texts or conversations; the prompt explicit, or what both answers begin with.
"""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema


def _known(table: RawTable) -> Known:
    pair = find.chosen_pair(table)
    assert pair is not None, "the schema fits"
    sources = dict(zip(("chosen", "rejected"), pair, strict=True))
    return Known("chosen", sources | find.beside(table, pair), fill=True)


SCHEMA = Schema(
    "TRL preference",
    "a chosen and a rejected answer",
    lambda table: find.chosen_pair(table) is not None,
    _known,
)
