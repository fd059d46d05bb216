"""`plt dataset-concat`: several preference tables as one."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet
from plt.cli.shell.streams import Result
from plt.cli.shell.table_output import deliver_table, for_table


def command(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA DATA...", help="Registry names, Parquet paths, or - for both."
        ),
    ],
    again: Annotated[
        str | None,
        typer.Option(
            "--again", help="A judgement in two tables: repeats (judged again) or copies (one act)."
        ),
    ] = None,
    users_apart: Annotated[
        bool, typer.Option("--users-apart", help="Equal user ids are different people.")
    ] = False,
    drop_split: Annotated[
        bool, typer.Option("--drop-split", help="Forget how the tables are divided.")
    ] = False,
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Join preference tables into one.

    The same choice must have the same pair_id everywhere; people with one id are one person unless
    --users-apart is given, and who they are is said. A judgement of one person on one pair that
    stands in two tables is refused until --again says what it is, since copies taken for repeats
    would make everybody look consistent. Splits are kept where all tables are divided in one way
    and nothing straddles once they are together.

    Example: plt dataset-concat monday.parquet tuesday.parquet -o both.parquet

    Example: ls shards/*.parquet | plt dataset-concat - -o all.parquet
    """
    from plt.cli.shell.inputs import load_tables
    from plt.data.splitting.joined import Again, JoinPlan, Named, join_tables

    output = for_table(
        out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    plan = JoinPlan(cast(Again | None, again), users_apart, drop_split)
    named = [Named(name, prefs) for name, prefs in load_tables(tables)]
    joined = join_tables(named, plan)
    made = joined.prefs
    summary = {
        "tables": [{"table": each.name, "n_judgements": each.prefs.n_judgements} for each in named],
        "n_judgements": made.n_judgements,
        "n_pairs": made.pairs.height,
        "n_users": made.votes["user_id"].drop_nulls().n_unique(),
        "dropped": dict(made.meta.dropped),
        "says": list(joined.says),
    }
    says = (*joined.says, f"{len(named)} tables joined: {made!r}")
    next_command = "plt dataset-lint {table}" if made.meta.split else "plt dataset-split {table}"
    return deliver_table(made, output, summary, says, next_command=next_command)
