"""`plt dataset-label`: pairs judged by a language model in people's roles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.shell.judging import (
    JudgeModel,
    JudgeOptions,
    JudgeUrl,
    KeyEnv,
    Parallel,
    Rate,
    Retries,
    Timeout,
    api_judge,
    load_profiles,
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
    Seed,
)
from plt.cli.shell.streams import Result, progress_bar, say
from plt.cli.shell.table_output import deliver_table, for_table
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.tables.contests import Contests
    from plt.train.judges.kept_judge import KeptJudge
    from plt.train.judges.roles import RoleLabels
    from plt.train.method import Compute


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table of pairs, or -.")],
    users: Annotated[
        Path, typer.Option("--users", help="A users table: in whose roles pairs are judged.")
    ],
    judge: Annotated[
        str | None, typer.Option("--judge", help="A local causal language model.")
    ] = None,
    judge_url: JudgeUrl = None,
    judge_model: JudgeModel = None,
    judge_key_env: KeyEnv = "PLT_JUDGE_KEY",
    judge_timeout: Timeout = 60.0,
    judge_retries: Retries = 5,
    judge_rate: Rate = None,
    judge_parallel: Parallel = 4,
    judge_option: JudgeOptions = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Judgements at most, drawn at random by the seed."),
    ] = None,
    tie_below: Annotated[
        float,
        typer.Option("--tie-below", min=0.0, help="Log-odds of a local model that are a tie."),
    ] = 0.0,
    seed: Seed = 0,
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
    """Let a language model judge pairs in people's roles.

    Every pair is shown to the judge once for every person of --users, with what that person says of
    themselves, in both orders; where the orders contradict each other the label is a tie. Answers
    are kept, so that the same line goes on where it was stopped. Nothing leaves the machine without
    --judge-url. The labels are a model's opinion of people, and the dataset's name says so.

    Example: plt dataset-label DATA --users people.parquet --judge builtin:tiny -o t.parquet

    Example: plt dataset-label DATA --users U --judge-url http://localhost:8000/v1 --judge-model m
    """
    from plt.cli.shell.inputs import load_preferences
    from plt.train.judges.roles import role_contests, role_labels
    from plt.train.method import Compute
    from plt.train.runtime.processes import refuse_several

    refuse_several("dataset-label")
    output = for_table(
        out, "a table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    refuse_judges(judge, judge_url, judge_model, "--judge builtin:smollm2")
    _refuse_run(judge)
    profiles = load_profiles(users)
    prefs = load_preferences(data)
    contests = role_contests(prefs, profiles, limit, seed)
    with progress_bar() as progress:
        if judge_url is None:
            compute = Compute(device, dtype, batch_size, None, progress)
            asked: Any = _local(str(judge), compute, profiles, tie_below, contests)
        else:
            limits = {"timeout": judge_timeout, "retries": judge_retries, "per_minute": judge_rate,
                      "options": request_options(judge_option or ())}  # fmt: skip
            asked = api_judge(judge_url, str(judge_model), judge_key_env, limits, profiles,
                              judge_parallel, progress)  # fmt: skip
            say_what_leaves(asked, contests)
        readings = asked.read(contests.frame)
    found = role_labels(prefs, contests, readings, profiles, asked.name)
    _warn(found, asked.name)
    says = (_in_words(found), f"{asked.name} judged: {found.prefs!r}")
    return deliver_table(
        found.prefs, output, _summary(found, asked.name), says,
        next_command="plt dataset-split {table}",
    )  # fmt: skip


def _refuse_run(judge: str | None) -> None:
    from plt.data.run import MANIFEST

    if judge is not None and (Path(judge) / MANIFEST).exists():
        raise UsageError(
            f"{judge} is a run, and reads no profiles", hint="--judge builtin:smollm2, or a model"
        )


def _local(
    judge: str, compute: Compute, profiles: Mapping[str, str], tie_below: float, contests: Contests
) -> KeptJudge:
    """A local model, after it was said what it will be asked."""
    from plt.data.cache import cache_dir
    from plt.train.judges.kept_judge import KeptJudge
    from plt.train.judges.model_judge import ModelJudge
    from plt.train.models.ab_choice import load_judge

    model = ModelJudge(load_judge(judge, compute), compute, profiles, tie_below)
    kept = KeptJudge(model, cache_dir() / "judgements", compute.progress)
    say(
        f"asks {kept.name} {kept.unanswered(contests.frame)} questions for"
        f" {contests.frame.height} judgements, each in both orders; what was answered before is"
        " kept"
    )
    return kept


def _in_words(found: RoleLabels) -> str:
    n, out = found.n_judged, sum(found.unanswered.values())
    first, second = found.n_always_first, found.n_always_second
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.unanswered.items())
    return (
        f"of {n} judgements {found.n_inconsistent} ({found.n_inconsistent / n:.0%}) differ between"
        f" the orders and are ties: {first} for the text that stood first both times, {second} for"
        f" the second; both orders say tie in {found.n_ties}; {out} of {n + out} have no verdict"
        + (f" ({reasons})" if reasons else "")
    )


def _warn(found: RoleLabels, judge: str) -> None:
    by_place = found.n_always_first + found.n_always_second
    if 2 * by_place > found.n_judged:
        say(
            f"WARNING: {judge} is no judge of these texts: in {by_place} of {found.n_judged}"
            " judgements it chose by the order alone"
        )


def _summary(found: RoleLabels, judge: str) -> dict[str, Any]:
    return {
        "judge": judge,
        "n_judgements": found.n_judged,
        "n_pairs": found.prefs.pairs.height,
        "n_users": found.prefs.votes["user_id"].n_unique(),
        "n_inconsistent": found.n_inconsistent,
        "n_always_first": found.n_always_first,
        "n_always_second": found.n_always_second,
        "n_ties": found.n_ties,
        "dropped": dict(found.prefs.meta.dropped),
    }
