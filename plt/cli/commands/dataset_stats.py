"""`plt dataset-stats`: do these people really disagree, and how much could be gained?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet, Seed
from plt.cli.shell.streams import STDIN, Result
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.tables.preferences import Preferences
    from plt.data.tables.table import Meta


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Registry name, Parquet path or -.")],
    assume_flip: Annotated[
        str | None,
        typer.Option("--assume-flip", metavar="RATES", help="Flip rates to show the noise of."),
    ] = None,
    near_duplicates: Annotated[
        float | None,
        typer.Option(
            "--near-duplicates",
            metavar="T",
            help="Also count overlap by openings within this cosine distance.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the figures as .svg or .png."),
    ] = None,
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Do these people really disagree beyond noise, and how much could personalization gain?

    Ties leave every figure, a soft label votes by its side, and a person's first judgement of a
    pair votes; repeats measure consistency. What the data cannot give is a dash with its reason.
    With -o the figures are also written as a metrics table.

    Example: plt dataset-stats prefs.parquet --plot stats.svg

    Example: plt dataset-simulate dirichlet --users 8 | plt dataset-stats - --json
    """
    from plt.analyze.dataset.describe import describe

    rates = None if assume_flip is None else _rates(assume_flip)
    output = named(out, force=force, no_clobber=no_clobber, parents=parents)
    picture = None
    if plot is not None:
        from plt.analyze.dataset.plots import MARK, picture_kind

        kind = picture_kind(plot)
        picture = named(
            plot,
            flag="--plot",
            mark=MARK,
            force=force,
            no_clobber=no_clobber,
            parents=parents,
        )
    source = _Source(data)
    statistics = describe(
        *source.votes(),
        source.preferences,
        assume_flip=rates,
        near_duplicates=near_duplicates,
        seed=seed,
    )
    if picture is not None:
        from plt.analyze.dataset.plots import plot_statistics

        put(plot_statistics(statistics, kind), picture)
    if output is not None:
        from plt.analyze.dataset.statistics_table import statistics_table
        from plt.data.tables.schema import METRICS_TABLE
        from plt.data.tables.table import write_table

        _, meta = source.votes()
        payload = write_table(statistics_table(statistics, meta, seed), METRICS_TABLE, None, meta)
        if output.is_stdout:
            return Result(payload=payload)
        put(payload, output)
    from plt.cli.pages.dataset_statistics import statistics_blocks

    return Result(data=statistics.to_json(), blocks=statistics_blocks(statistics))


def _rates(text: str) -> list[float]:
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 <= rate <= 0.5 for rate in rates):
        raise UsageError(
            f"--assume-flip is '{text}'; expected probabilities from 0 to 0.5, separated by commas",
            hint="--assume-flip 0.05,0.1,0.2",
        )
    return rates


class _Source:
    """DATA, read once: the votes alone, and the texts only when a figure needs them."""

    def __init__(self, data: str) -> None:
        self._data = data
        self._votes: tuple[pl.DataFrame, Meta] | None = None
        self._preferences: Preferences | None = None

    def votes(self) -> tuple[pl.DataFrame, Meta]:
        from plt.analyze.dataset.describe import VOTES_READ

        if self._votes is None:
            if self._data == STDIN:  # a pipe can be read once only
                prefs = self.preferences()
                self._votes = prefs.votes.select(VOTES_READ), prefs.meta
            else:
                from plt.cli.shell.inputs import load_votes

                self._votes = load_votes(self._data, VOTES_READ)
        return self._votes

    def preferences(self) -> Preferences:
        if self._preferences is None:
            from plt.cli.shell.inputs import load_preferences

            self._preferences = load_preferences(self._data)
        return self._preferences
