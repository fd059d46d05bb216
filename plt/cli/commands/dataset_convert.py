"""`plt dataset-convert`: raw data to a preferences table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.pages.raw_data import look_blocks, look_object
from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet, Seed
from plt.cli.shell.streams import STDIN, Result, read_stdin_bytes, say
from plt.cli.shell.table_output import deliver_table, for_table
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.sources.generic import GenericOptions
    from plt.data.tables.preferences import Preferences

GENERIC = "generic"


def command(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="A named source: plt ls datasets; else the file."),
    ],
    raw: Annotated[
        str | None,
        typer.Argument(metavar="[RAW]", help="File, folder, pattern or -; by default the hub."),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=SOURCE", help="Column, path, list.*.key, =constant."),
    ] = None,
    label_values: Annotated[
        str | None,
        typer.Option("--label-values", help="Like a=left,b=right,tie=equal,none=skip,a=-3..-1."),
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Pairs without any label are meant.")
    ] = False,
    tie_below: Annotated[
        float | None,
        typer.Option("--tie-below", help="Score differences below this are ties."),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option("--pairs", help="Of each list of ratings: all, best-worst or random:K."),
    ] = None,
    duplicates: Annotated[
        str, typer.Option("--duplicates", help="Keep or drop exact copies of rows.")
    ] = "keep",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the file for one row that cannot be read.")
    ] = False,
    look: Annotated[
        bool, typer.Option("--look", help="Write nothing: say what is read as what.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="What the data is called.")] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="The licence that travels with it.")
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

    A file (JSONL, JSON, CSV, Parquet, gzip too), a folder or a pattern says what it is: public
    schemas are recognised, other columns by their names, as pairs, as chosen/rejected or as rated
    or ranked responses. What changes a label is known or refused; everything left out is said and
    counted. A named source knows its own files.

    Fields of --map: prompt system history, response_a response_b label won_a won_b tied strength,
    chosen rejected, response response_name score rank ranking, user_id discarded group split
    user_split subset profile source_a source_b score_a score_b shown_first judged_at turn.

    Example: plt dataset-convert votes.jsonl --look

    Example: plt dataset-convert votes.jsonl --map user_id=annotator -o prefs.parquet

    Example: plt dataset-convert prism ./prism-raw -o prism.parquet
    """
    name, raw = _split(name, raw)
    own = {
        "--map": maps, "--label-values": label_values, "--tie-below": tie_below, "--pairs": pairs,
        "--duplicates": duplicates != "keep", "--dataset": dataset, "--license": license_,
        "--unlabelled": unlabelled, "--strict": strict, "--look": look,
    }  # fmt: skip
    if name != GENERIC:
        _refuse(name, own)
    output = None
    if not look:
        output = for_table(
            out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
        )
    if name == GENERIC:
        from plt.data.sources.generic import GenericOptions

        source = read_stdin_bytes() if raw == STDIN else Path(str(raw))
        options = GenericOptions.parse(
            maps or [], label_values, tie_below, pairs, seed, duplicates,
            unlabelled=unlabelled, strict=strict, dataset=dataset or _name_of(source),
            license=license_,
        )  # fmt: skip
        if look:
            return _look(source, options)
        from plt.data.sources.generic import convert

        prefs = convert(source, options, say)
    else:
        from plt.data import catalog

        prefs = catalog.load(name, Path(raw) if raw else None, say)
    if pseudonymise is not None:
        from plt.data.tables.pseudonyms import load_key
        from plt.data.tables.pseudonyms import pseudonymise as replace_ids

        prefs = replace_ids(prefs, load_key(pseudonymise))
    summary, says = _summary(prefs)
    return deliver_table(prefs, output, summary, says, next_command="plt dataset-lint {table}")


def _split(name: str, raw: str | None) -> tuple[str, str | None]:
    """The source and its files; a file alone is read as what it is."""
    from plt.data.catalog import is_path
    from plt.data.registry import DATASETS

    if name == GENERIC:
        if raw is None:
            raise UsageError("generic needs a file", hint="plt dataset-convert FILE")
        return name, raw
    known = name.partition(":")[0] in DATASETS
    if raw is None and not known and (name == STDIN or is_path(name) or set(name) & set("*?[")):
        return GENERIC, name
    return name, raw


def _refuse(name: str, own: dict[str, Any]) -> None:
    given = [flag for flag, value in own.items() if value]
    if given:
        raise UsageError(
            f"{' and '.join(given)} belong to generic; {name} knows its own columns",
            hint=f"plt dataset-convert {name} RAW -o {name}.parquet",
        )


def _look(source: Path | bytes, options: "GenericOptions") -> Result:
    """What a file would become, and nothing written."""
    from plt.data.sources.generic import converted, planned

    found = planned(source, options, lambda _: None)
    prefs = converted(found, options, say)
    name = _name_of(source)
    hint = f"plt dataset-convert {STDIN if isinstance(source, bytes) else source}"
    return Result(
        data=look_object(found, prefs),
        blocks=look_blocks(found, prefs),
        hint=f"{hint} {found.plan.map_line()} -o {name}.parquet",
    )


def _summary(prefs: "Preferences") -> tuple[dict[str, Any], list[str]]:
    """The object of ``--json``, and what is said on stderr."""
    from plt.data.reading.judged.sentences import digest_of, example_sentences

    n_users = prefs.votes["user_id"].drop_nulls().n_unique()
    n_judgements = prefs.n_judgements
    n_unlabelled = prefs.votes.height - n_judgements
    summary = {
        "dataset": prefs.meta.dataset,
        "license": prefs.meta.license,
        "n_users": n_users,
        "n_pairs": prefs.pairs.height,
        "n_judgements": n_judgements,
        "n_unlabelled": n_unlabelled,
        "set": digest_of(prefs),
        "dropped": dict(prefs.meta.dropped),
    }
    says = [f"{n_judgements} judgements of {n_users} users on {prefs.pairs.height} pairs"]
    if n_unlabelled:
        says.append(f"{n_unlabelled} rows have no label")
    says += [f"dropped {count}: {reason}" for reason, count in prefs.meta.dropped.items()]
    if prefs.meta.license:
        says.append(f"licence: {prefs.meta.license}")
    says += example_sentences(prefs, 1)
    says.append(f"set of (user, prompt, winner, loser): {summary['set']}")
    return summary, says


def _name_of(source: Path | bytes) -> str:
    if not isinstance(source, Path):
        return GENERIC
    return source.name.split(".")[0].strip("*?[]-_") or source.parent.name or GENERIC
