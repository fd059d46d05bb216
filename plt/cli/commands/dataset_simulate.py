"""`plt dataset-simulate`: populations whose truth is known."""

import dataclasses
from dataclasses import replace
from typing import Annotated

import typer

from plt.cli.shell.options import (
    Config,
    Force,
    Json,
    NoClobber,
    Out,
    Parents,
    Quiet,
    Seed,
    Settings,
)
from plt.cli.shell.streams import Result, say
from plt.cli.shell.table_output import deliver_table, for_table, put


def command(
    name: Annotated[str, typer.Argument(help="A simulator: plt ls datasets.")],
    users: Annotated[
        int | None,
        typer.Option("--users", help="How many people."),
    ] = None,
    pairs_per_user: Annotated[
        int | None,
        typer.Option("--pairs-per-user", help="How many pairs each of them judges."),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option("--noise", help="Probability that a label is flipped."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option("--shape", help="Users, pairs and overlap of a known dataset."),
    ] = None,
    settings: Settings = None,
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Make a population of simulated people whose true rewards are known.

    The table carries the simulator, its parameters and the seed, from which any text's true reward
    can be recomputed. --set reaches every knob of the simulator. With -o the people's traits are
    written beside the table as NAME.users.parquet.

    Example: plt dataset-simulate dirichlet --users 8 | plt dataset-stats -

    Example: plt dataset-simulate attributes --users 84 --set scale=5 -o attributes.parquet
    """
    from plt.data.registry import load_module, simulator
    from plt.data.simulate.world.shapes import apply_shape
    from plt.data.tables.schema import USERS
    from plt.data.tables.table import write_table
    from plt.settings import make_config, parse_settings

    output = for_table(
        out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    traits = None
    if output is not None and output.is_file:
        traits = replace(output, path=output.path.with_suffix(".users.parquet"))
        traits.check()
    module = load_module(simulator(name).target)
    values: dict[str, object] = dict(parse_settings(settings or []))
    flags = {"users": users, "pairs_per_user": pairs_per_user, "noise": noise, "seed": seed}
    values |= {key: value for key, value in flags.items() if value is not None}
    if shape is not None:
        # The shape first, so that a flag which is given stands above it.
        shaped = dataclasses.asdict(apply_shape(module.Config(), shape))
        values = shaped | values
    made_config = make_config(
        module.Config, values, f"simulator '{name}'", f"plt ls datasets {name}"
    )
    prefs = module.simulate(made_config)
    n_users = prefs.votes["user_id"].n_unique()
    summary = {
        "truth": prefs.meta.truth,
        "n_users": n_users,
        "n_pairs": prefs.pairs.height,
        "n_judgements": prefs.n_judgements,
        "dropped": dict(prefs.meta.dropped),
    }
    says = [
        f"{prefs.n_judgements} judgements of {n_users} users on {prefs.pairs.height} pairs",
    ]
    result = deliver_table(prefs, output, summary, says, next_command="plt dataset-stats {table}")
    if traits is not None:
        put(write_table(module.user_table(made_config), USERS, None), traits)
    elif output is not None:
        say(f"the people's traits are not written: nothing can lie beside {output.path}")
    return result
