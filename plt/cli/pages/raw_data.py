"""The page of `dataset-convert --look`: what a raw file is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plt.cli.shell.streams import Block, Heading, Line, Table

if TYPE_CHECKING:
    from plt.data.sources.generic import Planned
    from plt.data.tables.preferences import Preferences


def look_object(found: Planned, prefs: Preferences) -> dict[str, Any]:
    """What ``--look --json`` prints."""
    from plt.data.reading.judged.sentences import digest_of, example_sentences
    from plt.data.reading.roles.filled import filled

    return {
        "schema": "look/1",
        "recognised": found.schema,
        "form": found.plan.form,
        "roles": [role.as_dict() for role in filled(found.table, found.plan)],
        "left_out": dict(found.plan.left_out),
        "map": found.plan.map_line(),
        "n_rows": found.table.height,
        "n_judgements": prefs.n_judgements,
        "n_users": prefs.votes["user_id"].drop_nulls().n_unique(),
        "n_pairs": prefs.pairs.height,
        "dropped": dict(prefs.meta.dropped),
        "examples": example_sentences(prefs),
        "set": digest_of(prefs),
    }


def look_blocks(found: Planned, prefs: Preferences) -> tuple[Block, ...]:
    """The same for a person."""
    seen = look_object(found, prefs)
    what = f"{found.table.name}: {found.table.height:,} rows, read as the {found.plan.form} form"
    if found.schema:
        what += f", recognised as {found.schema} by {found.marks}"
    rows = tuple(
        (role["field"], role["source"], f"{role['filled']:.0%}", f"{role['distinct']:,}")
        for role in seen["roles"]
    )
    left = [f"{kind}: {', '.join(names)}" for kind, names in seen["left_out"].items()]
    dropped = [f"{count}: {why}" for why, count in seen["dropped"].items()]
    blocks: list[Block] = [
        Heading(what),
        Table(
            ("field", "source", "filled", "distinct"), rows,
            numeric=frozenset({"filled", "distinct"}),
        ),
        Line(f"Left out: {'; '.join(left) or 'no column'}."),
        Line(
            f"{seen['n_judgements']:,} judgements of {seen['n_users']:,} users on"
            f" {seen['n_pairs']:,} pairs."
        ),
        *([Line(f"Dropped: {'; '.join(dropped)}.")] if dropped else []),
        Heading("In words"),
        *(Line(sentence) for sentence in seen["examples"]),
        Heading("The same, said"),
        Line(seen["map"]),
        Line(f"Set of (user, prompt, winner, loser): {seen['set']}."),
    ]  # fmt: skip
    return tuple(blocks)
