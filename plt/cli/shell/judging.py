"""The judges of `plt winrate` as flags: a reward run, a local model, or an endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from plt.cli.shell.streams import say
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.cli.shell.streams import Progress
    from plt.data.tables.contests import Contests
    from plt.train.judges.endpoint_judge import ApiJudge
    from plt.train.judges.judge import Judge
    from plt.train.method import Compute

JudgeName: TypeAlias = Annotated[
    str | None,
    typer.Option("--judge", help="A reward run, or a local causal language model."),
]
Profiles: TypeAlias = Annotated[
    Path | None,
    typer.Option("--users", help="A users table: a language model reads the profiles."),
]
JudgeUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--judge-url", help="An OpenAI-compatible endpoint: texts are sent there."),
]
JudgeModel: TypeAlias = Annotated[
    str | None,
    typer.Option("--judge-model", help="The endpoint's name of the model."),
]
KeyEnv: TypeAlias = Annotated[
    str, typer.Option("--judge-key-env", help="The environment variable that holds the key.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--judge-timeout", min=0.01, help="Seconds to wait for an answer.")
]
Retries: TypeAlias = Annotated[
    int, typer.Option("--judge-retries", min=0, help="Attempts after a failed one.")
]
Rate: TypeAlias = Annotated[
    float | None,
    typer.Option("--judge-rate", min=0.01, help="Requests a minute at most."),
]
Parallel: TypeAlias = Annotated[
    int, typer.Option("--judge-parallel", min=1, help="Requests under way at a time.")
]
JudgeOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--judge-option",
        metavar="KEY=VALUE",
        help="A field of the request, in JSON; null leaves one out. May be repeated.",
    ),
]
PriceIn: TypeAlias = Annotated[
    float | None,
    typer.Option("--price-in", min=0.0, help="Price of a million tokens read."),
]
PriceOut: TypeAlias = Annotated[
    float | None,
    typer.Option("--price-out", min=0.0, help="Price of a million tokens written."),
]


def refuse_judges(judge: str | None, url: str | None, model: str | None, judges: str) -> None:
    """Refuses a line with no judge, two of them, or one that would send texts without its flag.

    Args:
        judge: ``--judge``.
        url: ``--judge-url``.
        model: ``--judge-model``.
        judges: What may stand behind ``--judge``, as in ``--judge RUN``.

    Raises:
        UsageError: See above.
    """
    if judge is not None and judge.startswith(("http://", "https://")):
        raise UsageError(
            "--judge is on this machine: texts leave it by --judge-url alone",
            hint="--judge-url URL --judge-model NAME",
        )
    if (judge is None) == (url is None):
        both = "nobody judges" if judge is None else "--judge and --judge-url are two judges"
        raise UsageError(both, hint=f"{judges}, or --judge-url URL")
    if url is not None and not model:
        raise UsageError("--judge-url needs --judge-model", hint="--judge-model NAME")


def load_profiles(users: Path | None) -> dict[str, str]:
    """What people say of themselves, by name; empty without a table."""
    if users is None:
        return {}
    from plt.data.tables.schema import USERS
    from plt.data.tables.table import read_table

    people, _ = read_table(users, USERS)
    rows = people.select("user_id", "profile").drop_nulls().iter_rows()
    return {str(user): str(profile) for user, profile in rows}


def own_judge(judge: str, compute: Compute, profiles: Mapping[str, str], tie_below: float) -> Judge:
    """A reward run, or a local language model."""
    from dataclasses import replace

    from plt.data.cache import cache_dir
    from plt.data.run import MANIFEST

    if (Path(judge) / MANIFEST).exists():
        from plt.train.judges.reward_judge import RewardJudge
        from plt.train.runs.fitted_run import load_fitted_run

        if profiles:
            raise UsageError("a reward run reads no profiles", hint="leave --users out")
        fitted = load_fitted_run(Path(judge), replace(compute, cache_dir=cache_dir()))
        if not fitted.users:
            say(f"{judge} rewards everybody alike: the verdicts do not depend on the person")
        return RewardJudge(fitted, tie_below)
    from plt.train.judges.model_judge import ModelJudge
    from plt.train.models.ab_choice import load_judge

    if not profiles:
        say("the judge is told nothing about the persons: --users FILE gives it their profiles")
    return ModelJudge(load_judge(judge, compute), compute, profiles, tie_below)


def api_judge(
    url: str,
    model: str,
    key_env: str,
    limits: Mapping[str, Any],
    profiles: Mapping[str, str],
    parallel: int,
    progress: Progress,
) -> ApiJudge:
    """A judge behind a URL, with its key from the environment and answers kept in the cache."""
    from plt.data.cache import cache_dir
    from plt.train.judges.chat_client import ChatClient, Endpoint
    from plt.train.judges.endpoint_judge import ApiJudge

    # Files that keys are read from end with a line feed, or on Windows with more.
    endpoint = Endpoint(url, model, os.environ.get(key_env, "").strip() or None, **limits)
    client = ChatClient(endpoint, cache_dir() / "judgements")
    return ApiJudge(client, profiles, parallel, progress)


def say_what_leaves(api: ApiJudge, contests: Contests) -> None:
    """Says what is sent where, before anything is."""
    endpoint = api.client.endpoint
    new = api.unanswered(contests.frame)
    whom = f" and what {len(api.profiles)} persons say of themselves" if api.profiles else ""
    say(
        f"sends {new} questions, each with a prompt and two texts{whom}, to {endpoint.address} for"
        f" {endpoint.model}; {'with' if endpoint.key else 'without'} a key"
    )
    if endpoint.in_clear:
        say(f"{endpoint.host} is asked over http: texts and key travel unencrypted")


def request_options(items: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` items; a value that is no JSON is a text.

    Raises:
        UsageError: An item has no ``=``.
    """
    import json

    found: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--judge-option {item!r} is not KEY=VALUE", hint="--judge-option max_tokens=64"
            )
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
