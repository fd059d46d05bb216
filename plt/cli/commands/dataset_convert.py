"""`plt dataset-convert`: raw data to a preferences table."""

from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet, Seed
from plt.cli.shell.streams import STDIN, Result, read_stdin_bytes, say
from plt.cli.shell.table_output import deliver_table, for_table
from plt.errors import UsageError

GENERIC = "generic"


def command(
    name: Annotated[str, typer.Argument(help="generic, or a named source: plt ls datasets.")],
    raw: Annotated[
        str | None,
        typer.Argument(metavar="[RAW]", help="File, directory or -; by default the hub."),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=SOURCE", help="generic: a column, path or =constant."),
    ] = None,
    label_values: Annotated[
        str | None,
        typer.Option("--label-values", help="generic: like a=left,b=right,tie=equal."),
    ] = None,
    tie_below: Annotated[
        float | None,
        typer.Option("--tie-below", help="generic: score differences below this are ties."),
    ] = None,
    pairs: Annotated[
        str, typer.Option("--pairs", help="generic: all, best-worst or random:K of each list.")
    ] = "all",
    duplicates: Annotated[
        str, typer.Option("--duplicates", help="generic: keep or drop exact copies of rows.")
    ] = "keep",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="generic: what the data is called."),
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="generic: the licence that travels with it."),
    ] = None,
    pseudonymise: Annotated[
        Path | None,
        typer.Option(
            "--pseudonymise", metavar="KEYFILE", help="Replace user ids, keyed by a file."
        ),
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
    """Turn raw preference data into a checked, oriented preferences table.

    `generic` reads JSONL, JSON, CSV or Parquet (gzip too) as pairs, as chosen/rejected or as rated
    responses; columns with well-known names are found by themselves. A named source knows its own
    files. Everything that is left out is counted by reason.

    Example: plt dataset-convert generic votes.jsonl --map user_id=annotator -o prefs.parquet

    Example: plt dataset-convert prism ./prism-raw -o prism.parquet
    """
    from plt.data import catalog
    from plt.data.sources.generic import GenericOptions, convert
    from plt.data.tables.pseudonyms import load_key
    from plt.data.tables.pseudonyms import pseudonymise as replace_ids

    output = for_table(
        out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    if name == GENERIC:
        if raw is None:
            raise UsageError("generic needs a file", hint="plt dataset-convert generic FILE")
        source = read_stdin_bytes() if raw == STDIN else Path(raw)
        names = {"dataset": dataset or _name_of(source), "license": license_}
        options = GenericOptions.parse(
            maps or [], label_values, tie_below, pairs, seed, duplicates,
            **{key: value for key, value in names.items() if value is not None},
        )  # fmt: skip
        prefs = convert(source, options, say)
    else:
        flags = {
            "--map": maps,
            "--label-values": label_values,
            "--tie-below": tie_below,
            "--duplicates": duplicates != "keep",
        }
        given = [flag for flag, value in flags.items() if value]
        if given:
            raise UsageError(
                f"{' and '.join(given)} belong to generic; {name} knows its own columns",
                hint=f"plt dataset-convert {name} RAW -o {name}.parquet",
            )
        prefs = catalog.load(name, Path(raw) if raw else None, say)
    if pseudonymise is not None:
        prefs = replace_ids(prefs, load_key(pseudonymise))
    n_users = prefs.votes["user_id"].drop_nulls().n_unique()
    summary = {
        "dataset": prefs.meta.dataset,
        "license": prefs.meta.license,
        "n_users": n_users,
        "n_pairs": prefs.pairs.height,
        "n_judgements": prefs.votes.height,
        "dropped": dict(prefs.meta.dropped),
    }
    says = [f"{prefs.votes.height} judgements of {n_users} users on {prefs.pairs.height} pairs"]
    says += [f"dropped {count}: {reason}" for reason, count in prefs.meta.dropped.items()]
    if prefs.meta.license:
        says.append(f"licence: {prefs.meta.license}")
    return deliver_table(prefs, output, summary, says, next_command="plt dataset-lint {table}")


def _name_of(source: Path | bytes) -> str:
    return source.name.split(".")[0] if isinstance(source, Path) else GENERIC
