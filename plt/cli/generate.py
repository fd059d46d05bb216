"""`plt generate`: texts of a policy, as its users, as nobody, and the best of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from plt.cli.options import BatchSize, Config, Device, Dtype, Json, Out, Quiet, Seed
from plt.cli.streams import Result, command_line, progress_bar, say, stdout_is_pipe
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.written_lengths import WrittenLength
    from plt.train.decoding import Sampling
    from plt.train.fitted_run import FittedRun
    from plt.train.generation import Task, Text, Writer
    from plt.train.method import Compute

ALL, GENERIC = "all", "generic"
MAX_ROWS = 40


@dataclass(frozen=True)
class Asked:
    """What was typed of what is to be written.

    Attributes:
        users: As whom; None is nobody in particular.
        reference: Whether the model that the policy began from writes too.
        samples: Texts for each person and prompt.
        candidates: Of how many the best is taken; None takes each.
    """

    users: tuple[str | None, ...]
    reference: bool
    samples: int
    candidates: int | None


def command(
    run: Annotated[
        str, typer.Argument(metavar="RUN|MODEL", help="A run of a policy, -, or a causal model.")
    ],
    prompts: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--prompts", metavar="DATA", help="Whose prompts: name, Parquet path or -."),
    ] = None,
    user: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--user", help="A user, all or generic; may be repeated. [all and generic]"),
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Also the model that the policy began from.")
    ] = False,
    n: Annotated[int, typer.Option("--n", min=1, help="Texts for each user and prompt.")] = 1,
    n_prompts: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--n-prompts", min=1, help="This many prompts, drawn from the seed."),
    ] = None,
    split: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--split", help="Prompts of train, val, test or all. [test, if there is one]"),
    ] = None,
    best_of: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--best-of", min=2, help="The best of this many texts, under --reward."),
    ] = None,
    reward: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--reward", help="A run of a reward model, which chooses as each user."),
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="Of the draws.")] = 1.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Draw from the likeliest tokens.")] = 1.0,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="The likeliest token, without draws.")
    ] = False,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Tokens of a text at most.")
    ] = 128,
    min_new_tokens: Annotated[
        int, typer.Option("--min-new-tokens", min=0, help="Tokens of a text at least.")
    ] = 0,
    out: Out = None,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 32,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Write texts with a policy: as each of its users, as nobody, or the best of several.

    Lengths are shown on stderr. The same seed gives the same texts, whatever the batch size, and
    processes that torchrun started share them.

    Example: plt generate runs/p-dpo-3f9c2a1b0d --prompts DATA --reference -o texts.parquet

    Example: plt generate builtin:tiny --prompts DATA --best-of 8 --reward RUN -o best.parquet
    """
    from plt.analyze.written_lengths import written_lengths
    from plt.cli.inputs import load_preferences
    from plt.data.cache import cache_dir
    from plt.data.generations import distinct_prompts, texts_table
    from plt.data.schema import GENERATIONS
    from plt.data.table import Meta, write_table
    from plt.train.decoding import Sampling
    from plt.train.method import Compute
    from plt.train.processes import leads

    if out is None and (as_json or not stdout_is_pipe()):
        raise UsageError("a table of texts needs a file or a pipe", hint="add -o texts.parquet")
    if prompts is None:
        raise UsageError("no prompts", hint="--prompts DATA, such as --prompts synthetic:length")
    if (best_of is None) != (reward is None):
        raise UsageError(
            "--best-of and --reward belong together",
            hint="--best-of 8 --reward runs/individual-...",
        )
    if best_of is not None and greedy:
        raise UsageError("greedy texts are all alike: none is the best", hint="leave --greedy out")
    sampling = Sampling(temperature, top_p, greedy, max_new_tokens, min_new_tokens)
    prefs = load_preferences(prompts)
    data = distinct_prompts(prefs, split, n_prompts, seed)
    with progress_bar() as progress:
        compute = Compute(device, dtype, batch_size, cache_dir(), progress)
        writer, system = _writer(run, compute)
        judge = _reward_run(reward, compute)
        asked = _plan(tuple(user or ()), reference, n, best_of, writer, judge)
        _say_what_is_read(writer, data)
        rows = _write(writer, system, judge, data, asked, sampling, seed, compute)
    texts = texts_table(data, rows)
    meta = Meta(dataset=prefs.meta.dataset, license=prefs.meta.license, command=command_line())
    lengths = written_lengths(texts)
    payload = write_table(texts, GENERATIONS, out, meta) if leads() else None
    say(_length_table(lengths))
    if out is None:
        return Result(payload=payload)
    summary = {
        "texts": str(out),
        "system": system,
        "n": texts.height,
        "n_prompts": data.height,
        "lengths": [_length_json(row) for row in lengths],
    }
    return Result(data=summary, path=out, hint=f"plt winrate {out} OTHER.parquet --judge RUN")


def _writer(run: str, compute: Compute) -> tuple[Writer, str]:
    """The policy of a run, or a language model as it is, and how it is called.

    Raises:
        UsageError: The run is a reward model.
    """
    from plt.cli.inputs import run_path
    from plt.cli.streams import STDIN
    from plt.data.run import MANIFEST
    from plt.train.fitted_run import load_fitted_run
    from plt.train.generation import load_model_writer

    path = run_path(run) if run == STDIN else Path(run)
    if not (path / MANIFEST).exists():
        writer = load_model_writer(str(path) if run == STDIN else run, compute)
        return writer, writer.name
    fitted = load_fitted_run(path, compute)
    policy: Writer | None = getattr(fitted.method, "policy", None)
    if policy is None:
        raise UsageError(
            f"{path} is a reward model ({fitted.run.identity.method}): it writes no text",
            hint=f"plt generate builtin:tiny --prompts DATA --best-of 8 --reward {path}",
        )
    return policy, fitted.name


def _reward_run(reward: Path | None, compute: Compute) -> FittedRun | None:
    if reward is None:
        return None
    from plt.train.best_of import refuse_margins
    from plt.train.fitted_run import load_fitted_run

    fitted = load_fitted_run(reward, compute)
    refuse_margins(fitted)
    return fitted


def _plan(
    users: tuple[str, ...],
    reference: bool,
    samples: int,
    candidates: int | None,
    writer: Writer,
    judge: FittedRun | None,
) -> Asked:
    """Whom to write as.

    Raises:
        UsageError: ``all`` where nobody is known, or a reference where nothing was trained.
    """
    from plt.train.generation import BareModel

    known = tuple(judge.users) if judge is not None else tuple(writer.users)
    if reference and isinstance(writer, BareModel):
        raise UsageError(
            f"{writer.name} is no trained policy: it is its own reference",
            hint="leave --reference out",
        )
    if ALL in users and not known:
        raise UsageError("nobody is known to it, so there are no users", hint="--user generic")
    wanted = users or ((ALL, GENERIC) if known else (GENERIC,))
    whom: list[str | None] = []
    for name in wanted:
        whom += list(known) if name == ALL else [None if name == GENERIC else name]
    return Asked(tuple(dict.fromkeys(whom)), reference, samples, candidates)


def _say_what_is_read(writer: Writer, prompts: pl.DataFrame) -> None:
    from plt.train.generation import longer_than_read

    encoder = writer.encoder
    if encoder.form == "plain":
        say("the model has no chat template: prompts are written as plain paragraphs")
    cut = longer_than_read(writer, prompts["prompt"].to_list())
    if cut:
        say(
            f"{cut} of {prompts.height} prompts are longer than {encoder.max_length} tokens and"
            " lose their middle"
        )


def _write(
    writer: Writer,
    system: str,
    judge: FittedRun | None,
    prompts: pl.DataFrame,
    asked: Asked,
    sampling: Sampling,
    seed: int,
    compute: Compute,
) -> list[dict[str, Any]]:
    """Every text with its columns, as `texts_table` takes them."""
    from plt.train.generation import Task, write_texts

    known = set(writer.users)
    n, conversations = asked.candidates or 1, prompts["prompt"].to_list()
    places = [
        (row, user, sample)
        for user in asked.users
        for row in range(prompts.height)
        for sample in range(asked.samples)
    ]

    def task(row: int, user: str | None, sample: int) -> Task:
        # Whom only the reward run knows has texts of the generic user to choose from.
        return Task(row, user if judge is None or user in known else None, sample)

    wanted = [[task(row, user, sample * n + k) for k in range(n)] for row, user, sample in places]
    references = [
        Task(row, None, sample, reference=True)
        for row in range(prompts.height)
        for sample in range(asked.samples if asked.reference else 0)
    ]
    distinct = list(dict.fromkeys([*(one for each in wanted for one in each), *references]))
    texts = dict(
        zip(
            distinct,
            write_texts(writer, conversations, distinct, sampling, seed, compute),
            strict=True,
        )
    )
    rows = []
    if judge is None:
        for one in [*(each[0] for each in wanted), *references]:
            rows.append(_row(one, texts[one], one.user, system, seed))
        return rows
    rows = _best(judge, conversations, places, wanted, texts, system, seed)
    return rows + [_row(one, texts[one], None, system, seed) for one in references]


def _best(
    judge: FittedRun,
    conversations: list[Any],
    places: list[tuple[int, str | None, int]],
    wanted: list[list[Task]],
    texts: Mapping[Task, Text],
    system: str,
    seed: int,
) -> list[dict[str, Any]]:
    """The best of each place's candidates."""
    from plt.train.best_of import best_of

    picks = best_of(
        judge,
        [conversations[row] for row, _, _ in places],
        [[texts[one].response for one in each] for each in wanted],
        [user for _, user, _ in places],
    )
    name = f"{system} best of {len(wanted[0])} by {judge.name}"
    rows = []
    for (_, user, sample), each, pick in zip(places, wanted, picks, strict=True):
        row = _row(each[pick.index], texts[each[pick.index]], user, name, seed)
        rows.append(row | {"control": "best-of-n", "sample": sample, "reward": pick.reward})
    return rows


def _row(task: Task, text: Text, user: str | None, system: str, seed: int) -> dict[str, Any]:
    return {
        "prompt": task.prompt,
        "user_id": user,
        "response": text.response,
        "system": system,
        "control": task.control,
        "seed": seed,
        "sample": task.sample,
        "n_tokens": text.n_tokens,
        "ended": text.ended,
        "reward": None,
    }


def _length_table(lengths: Sequence[WrittenLength]) -> str:
    """Words and tokens by person, as Markdown."""
    from plt.cli.figures import number
    from plt.cli.render import to_markdown
    from plt.cli.streams import Table

    columns = ("user", "written as", "texts", "words", "s.e.", "tokens", "ended", "empty")
    # What was written for nobody is what persons are compared with: it is always there.
    persons = [row for row in lengths if row.user is not None]
    kept = [*persons[:MAX_ROWS], *(row for row in lengths if row.user is None)]
    hidden = len(lengths) - len(kept)
    rows = tuple(
        (
            GENERIC if row.user is None and row.control == GENERIC else row.user or "-",
            row.control,
            str(row.n),
            number(row.words.value, 1),
            number(row.words.se, 1),
            number(row.tokens.value, 1),
            number(row.ended, 2),
            number(row.empty, 2),
        )
        for row in kept
    )
    title = "words and tokens of a text; s.e. over prompts; ended by the model itself"
    shown = to_markdown((Table(columns, rows, title, frozenset(columns[2:])),))
    return shown + (f"... and {hidden} more persons, all in --json" if hidden else "")


def _length_json(row: WrittenLength) -> dict[str, Any]:
    from plt.cli.figures import interval_json

    return {
        "system": row.system,
        "control": row.control,
        "user": row.user,
        "n": row.n,
        "words": interval_json(row.words) | {"se": row.words.se},
        "tokens": interval_json(row.tokens) | {"se": row.tokens.se},
        "ended": row.ended,
        "empty": row.empty,
    }
