"""`plt winrate`: two systems' texts, judged person by person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.shell.judging import (
    JudgeModel,
    JudgeName,
    JudgeOptions,
    JudgeUrl,
    KeyEnv,
    Parallel,
    PriceIn,
    PriceOut,
    Profiles,
    Rate,
    Retries,
    Timeout,
    api_judge,
    load_profiles,
    own_judge,
    refuse_judges,
    request_options,
    say_what_leaves,
)
from plt.cli.shell.options import (
    BatchSize,
    Config,
    Device,
    Dtype,
    Force,
    Json,
    NoClobber,
    Out,
    Parents,
    Quiet,
)
from plt.cli.shell.streams import Result, progress_bar, say
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.cli.shell.streams import Block
    from plt.data.tables.contests import Contests
    from plt.data.tables.output import Output
    from plt.data.tables.table import Meta, Source
    from plt.train.judges.judge import Judge


def command(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXTS TEXTS|DATA, or VERDICTS...",
            help="What two systems wrote (of DATA the chosen texts), or tables of verdicts.",
        ),
    ],
    judge: JudgeName = None,
    first_control: Annotated[
        str | None,
        typer.Option("--first", help="policy, generic, reference, best-of-n or guided."),
    ] = None,
    second_control: Annotated[
        str | None,
        typer.Option("--second", help="The same of the second table."),
    ] = None,
    users: Profiles = None,
    tie_below: Annotated[
        float, typer.Option("--tie-below", min=0.0, help="Log-odds below which it is a tie.")
    ] = 0.0,
    judge_url: JudgeUrl = None,
    judge_model: JudgeModel = None,
    judge_key_env: KeyEnv = "PLT_JUDGE_KEY",
    judge_timeout: Timeout = 60.0,
    judge_retries: Retries = 5,
    judge_rate: Rate = None,
    judge_parallel: Parallel = 4,
    judge_option: JudgeOptions = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the win rates as .svg."),
    ] = None,
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 32,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Which of two systems does a judge prefer, person by person?

    A reward run judges as each person; a language model is asked in both orders, and what the
    orders do not agree on is a tie. With --out the verdicts are kept; of tables of verdicts alone
    the figures are printed again, one system below the other, and no judge is needed.

    Example: plt winrate policy.parquet generic.parquet --judge runs/individual-3f9c2a1b0d

    Example: plt winrate one.parquet DATA --judge-url http://localhost:8000/v1 --judge-model qwen
    """
    from plt.data.tables.schema import VERDICTS
    from plt.data.tables.table import write_table
    from plt.train.method import Compute
    from plt.train.runtime.processes import refuse_several

    refuse_several("winrate")
    output = named(out, force=force, no_clobber=no_clobber, parents=parents)
    picture = _picture(plot, force=force, no_clobber=no_clobber, parents=parents)
    sources = _sources(tables)
    wanted = [name for name, value in (("--judge", judge), ("--judge-url", judge_url)) if value]
    spent: dict[str, Any] | None = None
    if _are_verdicts(sources, wanted):
        verdicts, meta, dropped = _kept_verdicts(sources)
    else:
        refuse_judges(judge, judge_url, judge_model, "--judge RUN, --judge builtin:tiny")
        contests, meta = _contests(sources, (first_control, second_control))
        dropped = dict(contests.dropped)
        with progress_bar() as progress:
            compute = Compute(device, dtype, batch_size, None, progress)
            profiles = load_profiles(users)
            if judge_url is not None:
                limits = {"timeout": judge_timeout, "retries": judge_retries,
                          "per_minute": judge_rate,
                          "options": request_options(judge_option or ())}  # fmt: skip
                api = api_judge(judge_url, str(judge_model), judge_key_env, limits, profiles,
                                 judge_parallel, progress)  # fmt: skip
                say_what_leaves(api, contests)
                verdicts = _judged(contests, api)
                spent = vars(api.spent) | {"cost": api.spent.cost(price_in, price_out)}
            else:
                verdicts = _judged(contests, own_judge(str(judge), compute, profiles, tie_below))
    if output is not None:
        payload = write_table(verdicts, VERDICTS, None, meta)
        if output.is_stdout:
            return Result(payload=payload)
        put(payload, output)
    return _result(verdicts, dropped, spent, out, picture)


def _result(
    verdicts: pl.DataFrame, dropped: Mapping[str, int], spent: Mapping[str, Any] | None,
    out: Path | None, picture: Output | None,
) -> Result:  # fmt: skip
    from plt.analyze.comparison.win_rate import win_rates
    from plt.cli.formats.svg import to_svg
    from plt.cli.pages.win_rate import rates_picture, rates_table, win_rate_blocks, win_rate_json
    from plt.cli.shell.streams import Line

    found = win_rates(verdicts)
    for each in found:
        if each.no_judge is not None:
            say(f"WARNING: {each.no_judge}")
    blocks: list[Block] = [rates_table(found)] if len(found) > 1 else []
    blocks += [block for each in found for block in win_rate_blocks(each)]
    if picture is not None:
        put(to_svg(rates_picture(found)).encode("utf-8"), picture)
    if dropped:
        listed = ", ".join(f"{reason} {count}" for reason, count in dropped.items())
        blocks.append(Line(f"Left out: {listed}."))
    if spent is not None:
        blocks.append(Line(_spending(spent)))
    data = {
        "verdicts": None if out is None else str(out),
        "contests": [win_rate_json(each) for each in found],
        "dropped": dict(dropped),
        "spent": None if spent is None else dict(spent),
    }
    return Result(data=data, blocks=tuple(blocks), path=out)


def _spending(spent: Mapping[str, Any]) -> str:
    cost = spent["cost"]
    if cost is not None:
        price = f"; cost {cost:.4f}"
    elif spent["uncounted"]:
        price = f"; cost unknown: {spent['uncounted']} answers came without token counts"
    else:
        price = "; no cost without --price-in and --price-out"
    return (
        f"{spent['asked']} questions answered now, {spent['cached']} kept from before,"
        f" {spent['failed']} without an answer; {spent['n_tokens_in']} tokens read,"
        f" {spent['n_tokens_out']} written{price}."
    )


def _sources(tables: list[str]) -> list[Source]:
    from plt.cli.shell.inputs import run_sources

    sources = run_sources(tables)
    if not sources:
        raise UsageError("no tables", hint="plt winrate one.parquet other.parquet --judge RUN")
    return sources


def _are_verdicts(sources: list[Source], wanted: list[str]) -> bool:
    """Whether these are verdicts; else they are two tables of texts.

    Raises:
        UsageError: They are neither.
    """
    from plt.data import catalog
    from plt.data.tables.schema import VERDICTS
    from plt.data.tables.table import read_meta, source_name

    hint = "plt winrate one.parquet other.parquet --judge RUN"
    names = [isinstance(each, Path) and not catalog.is_path(str(each)) for each in sources]
    tags = [None if name else read_meta(each)[1] for name, each in zip(names, sources, strict=True)]
    verdicts = [tag == VERDICTS.tag for tag in tags]
    if all(verdicts):
        if wanted:
            raise UsageError("these are verdicts: they are judged", hint=f"leave {wanted[0]} out")
        return True
    if len(sources) == 1:
        raise UsageError(
            f"{source_name(sources[0])} stands alone; a second table of texts is wanted", hint=hint
        )
    if len(sources) != 2 or any(verdicts):
        raise UsageError(
            f"two tables of texts, or verdicts alone, are wanted; there are {len(sources)} tables,"
            f" {sum(verdicts)} of them verdicts",
            hint=hint,
        )
    return False


def _picture(plot: Path | None, **keep: bool) -> Output | None:
    """Where ``--plot`` draws; refused before anything is judged where it cannot be."""
    if plot is None:
        return None
    from plt.cli.formats.svg import MARK

    if plot.suffix.lower() != ".svg":
        raise UsageError(f"--plot draws .svg here, not {plot.name!r}", hint="--plot rates.svg")
    return named(plot, flag="--plot", mark=MARK, **keep)


def _kept_verdicts(sources: list[Source]) -> tuple[pl.DataFrame, Meta, dict[str, int]]:
    """The verdicts of all tables, each once, and what was left out of any."""
    import polars as pl

    from plt.data.tables.schema import VERDICTS
    from plt.data.tables.table import read_table

    dropped: dict[str, int] = {}
    frames = []
    for source in sources:
        verdicts, meta = read_table(source, VERDICTS)
        frames.append(verdicts)
        for reason, count in meta.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return pl.concat(frames).unique(maintain_order=True), meta, dropped


def _contests(
    sources: list[Source], controls: tuple[str | None, str | None]
) -> tuple[Contests, Meta]:
    from plt.cli.shell.streams import command_line
    from plt.data.tables.contests import one_side, pair_contests
    from plt.data.tables.table import Meta, source_name

    sides = []
    metas = []
    for source, control, flag in zip(sources, controls, ("--first", "--second"), strict=True):
        texts, meta = _texts(source)
        sides.append(one_side(texts, source_name(source), control, flag))
        metas.append(meta)
    contests = pair_contests(*sides)
    license = " and ".join(dict.fromkeys(meta.license for meta in metas if meta.license))
    meta = Meta(
        dataset=metas[0].dataset or metas[1].dataset,
        license=license or None,
        dropped=dict(contests.dropped),
        command=command_line(),
    )
    return contests, meta


def _texts(source: Source) -> tuple[pl.DataFrame, Meta]:
    """A generations table, or the chosen texts of a preferences table."""
    from plt.cli.shell.inputs import load_preferences
    from plt.data import catalog
    from plt.data.tables.generations import chosen_texts
    from plt.data.tables.preferences import read_preferences
    from plt.data.tables.schema import GENERATIONS, PREFERENCES
    from plt.data.tables.table import read_meta, read_table

    if isinstance(source, Path) and not catalog.is_path(str(source)):
        prefs = load_preferences(str(source))
        return chosen_texts(prefs), prefs.meta
    _, tag = read_meta(source)
    if tag == PREFERENCES.tag:
        prefs = read_preferences(source)
        return chosen_texts(prefs), prefs.meta
    return read_table(source, GENERATIONS)


def _judged(contests: Contests, judge: Judge) -> pl.DataFrame:
    from plt.train.judges.judge import judge_contests

    for system in (contests.system_1, contests.system_2):
        if _took_part(judge.name, system):
            say(f"{judge.name} itself wrote or chose the texts of {system}: no independent judge")
    return judge_contests(contests, judge)


def _took_part(judge: str, system: str) -> bool:
    """Whether a system is the judge's own: the same run, or the same model, wherever it runs."""
    import re

    own = judge.removeprefix("model:").partition("@")[0]
    return re.search(rf"(?<![\w/.:-]){re.escape(own)}(?![\w/.:-])", system) is not None
