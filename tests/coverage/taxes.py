"""Replications of the tax: a base and users' models on the same items of three subsets."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtr

from plt.analyze.tax.change import tax
from plt.analyze.tax.items import Items
from plt.data.benches import Bench
from tests.coverage.grid import Cell
from tests.coverage.judgements import with_these_users
from tests.coverage.tally import Claim, Held, Outcome

BENCH = Bench("three", {"A": {"a": 3.0, "b": 1.0}, "B": {"c": 1.0}}, ("A", "B"))
WEIGHTS = {"A": (0.75, 0.25, 0.0), "B": (0.0, 0.0, 1.0)}
BY_USER, BY_ITEM, BY_BOTH = 0.4, 0.6, 0.5


def of_tax(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """Item i is z_i ~ N(mean, 1) hard; the base is right where z_i > 0, and the model of user u
    where z_i - loss + t_u + w_i + v_ui > 0, normal with the deviations above. Without a loss, and
    with mean 0, either is right on half of the items."""
    n_users, loss, size = (cell.design[key] for key in ("users", "loss", "items"))
    mean = 1.6 * loss
    strata = np.repeat(np.arange(3), size)
    names = pl.Series([f"{i:04d}" for i in range(3 * size)])
    users = tuple(f"u{u:03d}" for u in range(n_users))
    within = np.sqrt(1 + BY_ITEM**2 + BY_BOTH**2)

    def items(values: np.ndarray, whose: tuple[str | None, ...]) -> Items:
        clusters = np.arange(3 * size)
        return Items(whose, values.astype(float), ("a", "b", "c"), strata, clusters, names)

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        hard = mean + rng.standard_normal(3 * size)
        person = BY_USER * rng.standard_normal((n_users, 1))
        shared = BY_ITEM * rng.standard_normal(3 * size)
        own = BY_BOTH * rng.standard_normal((n_users, 3 * size))
        run = items(hard - loss + person + shared + own > 0, users)
        base = items((hard > 0)[None], (None,))

        def truth(target: Any) -> float:
            if target == "population":
                right = float(ndtr((mean - loss) / np.hypot(within, BY_USER)))
            else:
                right = float(ndtr((mean - loss + person) / within).mean())
            return right - float(ndtr(mean))

        found = tax(run, base, BENCH, by_user=False)
        together = []
        for each in found.sections:
            assert each.change is not None
            yield from with_these_users("tax of a section", each.change.interval, truth)
            wide = each.change.together
            if wide.low is not None and wide.high is not None:
                together.append(wide.low <= truth(wide.target) <= wide.high)
        target = found.sections[0].score.target
        yield Held("tax of all sections", None, (0.0, 0.0), target, 0.0, hit=all(together))
        called = any(each.change is not None and (each.change.p or 1.0) < 0.05
                     for each in found.sections)  # fmt: skip
        if loss == 0 and target == "population":  # these users may well differ from the base
            yield Claim("a tax where there is none", "null", float(called))
        elif loss and size >= 100 and n_users >= 12:
            yield Claim("a tax of many points", "planted", float(called))

    return replicate
