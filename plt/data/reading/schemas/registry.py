"""SCHEMAS: the public schemas that files are recognised by, the most particular first.

Adding one is a file beside this one, with a `SCHEMA`, and one line here.
"""

import importlib
from dataclasses import dataclass

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema

SCHEMAS = (
    "multipref",
    "collective_alignment",
    "community_alignment",
    "label_studio",
    "label_studio_min",
    "argilla",
    "comparia",
    "arena",
    "arena_votes",
    "helpsteer3",
    "helpsteer2_preference",
    "helpsteer2",
    "nectar",
    "oasst",
    "oasst_trees",
    "ultrafeedback",
    "rm_as_user",
    "personalized_rewardbench",
    "ultrafeedback_binarized",
    "shp",
    "webgpt",
    "pku_safe_rlhf",
    "openai_preference",
    "nemo_rl",
    "alpaca_eval",
    "rewardbench",
    "ms_swift",
    "kto",
    "llama_factory_lists",
    "llama_factory_alpaca",
    "llama_factory_sharegpt",
    "axolotl",
    "trl",
)


@dataclass(frozen=True)
class Recognised:
    """A file whose schema is known.

    Attributes:
        schema: The schema.
        table: Its rows.
        known: What the columns mean.
    """

    schema: Schema
    table: RawTable
    known: Known


def recognise(table: RawTable) -> Recognised | None:
    """The public schema of a file, by its columns; None where it has none of them."""
    for name in SCHEMAS:
        schema: Schema = importlib.import_module(f"plt.data.reading.schemas.{name}").SCHEMA
        if schema.fits(table):
            rows = schema.rebuilt(table)
            return Recognised(schema, rows, schema.known(rows))
    return None
