"""Shams: what a method gains when the link between a person and their taste is cut.

A sham asserts "no gain over a user-blind model", never "equal to it": a method that is given wrong
people may well be worse. `wrong-user` (`plt.train.runs.scoring.wrong_users`) asks a fitted method
about somebody else. `shuffled-ids` fits again where the ids mean nothing, and so shows what of a
gain comes from the method's other parts: more parameters, more tuning, another population model.
"""

from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences

Sham: TypeAlias = Literal["train", "score", "none"]
SHAMS: tuple[Sham, ...] = get_args(Sham)
STAGE = 0x5A1D
"""Keeps the permutation apart from everything else that a run draws from its seed."""
OF_A_PERSON = ("user_id", "profile")


def shuffled_ids(view: Preferences, seed: int) -> Preferences:
    """The same judgements, given by other people.

    User ids are permuted over rows, among train rows and among validation rows each, with the
    profile that belongs to the id; rows that name nobody stay as they are. So every user keeps the
    number of train and of validation rows, every pair its votes, every group its rows; who gave
    which answer is lost, and with it who was asked what. Ids are not permuted within pairs, because
    a pair that one person judged would keep its judge, and without shared pairs nothing would be
    destroyed. The price: an id may now have judged a pair twice, even with both labels, and is
    then worth fewer distinct pairs.

    Args:
        view: A training view (`plt.train.judgements.training_view`).
        seed: The run's seed.

    Returns:
        A view with `occurrence` counted anew. The order of the rows of `view` changes nothing.
    """
    order = [pl.col("split"), pl.col("pair_id"), pl.col("user_id").cast(pl.String), "occurrence"]
    votes = view.votes.sort(order, nulls_last=True).with_row_index("_row")
    generator = np.random.default_rng([seed, STAGE])
    named = votes.filter(pl.col("user_id").is_not_null())
    people = []
    for part in named.partition_by("split", maintain_order=True):
        given = part.select(OF_A_PERSON)[generator.permutation(part.height).tolist()]
        people.append(part.select("_row").hstack(given))
    drawn = pl.concat(people) if people else named.select("_row", *OF_A_PERSON)
    rest = votes.filter(pl.col("user_id").is_null()).select("_row", *OF_A_PERSON)
    new = pl.concat([drawn, rest]).sort("_row")
    occurrence = pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16)
    votes = votes.with_columns(new[name] for name in OF_A_PERSON)
    return replace(view, votes=votes.with_columns(occurrence=occurrence).drop("_row"))
