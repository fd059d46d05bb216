"""`plt dataset-split`: fills split and user_split so that nothing leaks unseen."""

from dataclasses import asdict, replace
from typing import Annotated, cast

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet, Seed
from plt.cli.shell.streams import Result
from plt.cli.shell.table_output import deliver_table, for_table
from plt.errors import UsageError


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Registry name, Parquet path or -.")],
    by: Annotated[
        str | None,
        typer.Option("--by", help="What stays whole: group, prompt, response or pair."),
    ] = None,
    unseen_users: Annotated[
        float, typer.Option("--unseen-users", help="Share of users kept apart as new people.")
    ] = 0.2,
    fractions: Annotated[
        str, typer.Option("--fractions", help="Per cent of train, val and test.")
    ] = "80,10,10",
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="A paper's own split: psoups, pref or source."),
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
    """Divide pairs into train, val and test and users into seen and unseen.

    Without --by the unit is the coarsest that leaves at least 20 units and 100 judgements (or half
    of its share, where that is less) in each part; what each would leave is said. A split by
    response drops the pairs whose two responses fall apart, and counts them. --protocol divides as
    a paper did; a split that leaks is marked so, fails dataset-lint and is footnoted in reports.

    Example: plt dataset-split prefs.parquet --by prompt -o split.parquet

    Example: plt dataset-simulate attributes | plt dataset-split - | plt dataset-lint -
    """
    from plt.cli.shell.inputs import load_preferences
    from plt.data.splitting.protocols import apply_protocol
    from plt.data.splitting.splits import (
        STRADDLING,
        SplitPlan,
        Unit,
        counts,
        default_unit,
        outlooks,
        parse_fractions,
        split,
        warnings,
    )

    if protocol is not None and by is not None:
        raise UsageError("--protocol says what stays whole; --by says it too", hint="leave one out")
    output = for_table(
        out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    prefs = load_preferences(data)
    plan = SplitPlan(cast(Unit | None, by), parse_fractions(fractions), unseen_users, seed)
    chosen = outlooks(prefs, plan) if protocol is None and by is None else []
    if chosen:
        plan = replace(plan, by=default_unit(chosen, plan))
    made = split(prefs, plan) if protocol is None else apply_protocol(prefs, protocol)
    declared = made.meta.split or {}
    rows = counts(made)
    summary = {
        "split": declared,
        "parts": [
            dict(zip(("split", "user_split", "users", "pairs", "judgements"), row, strict=True))
            for row in rows
        ],
        "outlooks": [asdict(found) for found in chosen],
        "dropped": {STRADDLING: made.meta.dropped.get(STRADDLING, 0)},
    }
    how = f" (protocol {protocol})" if protocol else "" if by else " (the default for this table)"
    says = [*warnings(made), f"split by {declared['unit']}{how}"]
    if declared.get("leaks"):
        says.append(f"this protocol leaks: {declared.get('why')}")
    says += [f"it would leave {found.sentence()}" for found in chosen]
    says += [f"{part}/{kind}: {u} users, {p} pairs, {j} judgements" for part, kind, u, p, j in rows]
    if dropped := made.meta.dropped.get(STRADDLING, 0):
        says.append(f"dropped {dropped} judgements whose two responses straddle splits")
    return deliver_table(made, output, summary, says, next_command="plt dataset-lint {table}")
