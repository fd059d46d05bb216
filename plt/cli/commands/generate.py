"""`plt generate`: texts of a policy, as its users, as nobody, and the best of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.pages.text_lengths import GENERIC, length_json, length_table
from plt.cli.shell.authors import Author, Told, guided, load_author, load_reward
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
from plt.cli.shell.streams import Result, command_line, progress_bar, say
from plt.cli.shell.table_output import for_table, put
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.tables.output import Output
    from plt.data.tables.table import Meta
    from plt.train.method import Compute
    from plt.train.runs.fitted_run import FittedRun
    from plt.train.writing.sampling import Sampling
    from plt.train.writing.text_store import TextStore
    from plt.train.writing.writer import Task, Text, Writer

ALL = "all"
PARTIAL = ".partial"


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
        str | None,
        typer.Option("--prompts", metavar="DATA", help="Whose prompts: name, Parquet path or -."),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", help="A user, all or generic; may be repeated. [all and generic]"),
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Also the model that the policy began from.")
    ] = False,
    n: Annotated[int, typer.Option("--n", min=1, help="Texts for each user and prompt.")] = 1,
    n_prompts: Annotated[
        int | None, typer.Option("--n-prompts", min=1, help="This many, drawn from the seed.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Prompts of train, val, test or all. [test, if there is one]"),
    ] = None,
    best_of: Annotated[
        int | None,
        typer.Option("--best-of", min=2, help="The best of this many texts, under --reward."),
    ] = None,
    reward: Annotated[
        Path | None,
        typer.Option("--reward", help="A run of a reward model, which chooses as each user."),
    ] = None,
    guide: Annotated[
        Path | None,
        typer.Option("--guide", help="A reward run: guides each token; with --best-of, chooses."),
    ] = None,
    n_shots: Annotated[
        str | None,
        typer.Option("--n-shots", help="Of a run of adapt: after this many answers, or all."),
    ] = None,
    draw: Annotated[int, typer.Option("--draw", min=0, help="Which draw of the answers.")] = 0,
    guide_weight: Annotated[
        float | None,
        typer.Option("--guide-weight", help="Nats for one unit of its reward. [1.0]"),
    ] = None,
    guide_top: Annotated[
        int | None,
        typer.Option("--guide-top", help="It looks at this many likeliest tokens. [10]"),
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
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 32,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Write texts: as each user of a policy, as nobody, the best of several, or guided by a reward.

    Lengths are shown on stderr. The same line gives the same texts. Another batch size keeps every
    draw, and so does torchrun, whose processes share the texts; a text may then part where a draw
    falls within rounding of another token. A line that was interrupted goes on from OUT.partial
    when it is typed again.

    Example: plt generate runs/p-dpo-3f9c2a1b0d --prompts DATA --reference -o texts.parquet

    Example: plt generate builtin:tiny --prompts DATA --best-of 8 --reward RUN -o best.parquet

    Example: plt generate builtin:tiny --prompts DATA --guide RUN --reference -o guided.parquet

    Example: plt generate builtin:tiny --prompts DATA --guide runs/adapt-pref-... --n-shots 5
    --best-of 8 -o for_new_people.parquet
    """
    from plt.cli.shell.inputs import load_preferences
    from plt.data.tables.generations import distinct_prompts, texts_table
    from plt.study.compute import compute_options
    from plt.train.writing.sampling import Sampling

    output = for_table(
        out, "a table of texts", as_json=as_json, force=force, no_clobber=no_clobber,
        parents=parents,
    )  # fmt: skip
    if prompts is None:
        raise UsageError("no prompts", hint="--prompts DATA, such as --prompts synthetic:length")
    weights, told = (guide_weight, guide_top), Told(n_shots, draw)
    if best_of is not None and reward is None:
        guide, reward = None, guide  # it chooses between whole texts
    _refuse_contradictions(best_of, reward, greedy, guide, weights, told)
    sampling = Sampling(temperature, top_p, greedy, max_new_tokens, min_new_tokens)
    prefs = load_preferences(prompts)
    data = distinct_prompts(prefs, split, n_prompts, seed)
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        author = load_author(run, compute, bare=guide is not None)
        if guide is not None:
            author, sampling = guided(author, sampling, guide, told, weights, compute)
        judge = _reward_run(reward, told, compute)
        asked = _plan(tuple(user or ()), reference, n, best_of, author, judge)
        _say_what_is_read(author.writer, data)
        kept = _kept(output, author, sampling, compute)
        rows = _write(author, judge, data, asked, sampling, seed, compute, kept)
    return _finished(texts_table(data, rows), prefs.meta, author, output, kept)


def _finished(
    texts: pl.DataFrame, about: Meta, author: Author, output: Output | None, kept: TextStore | None
) -> Result:
    """Writes the table, and then removes what was kept for it."""
    from plt.analyze.comparison.written_lengths import written_lengths
    from plt.data.tables.schema import GENERATIONS
    from plt.data.tables.table import Meta, write_table
    from plt.train.runtime.processes import leads

    meta = Meta(dataset=about.dataset, license=about.license, command=command_line())
    lengths = written_lengths(texts)
    payload = write_table(texts, GENERATIONS, None, meta) if leads() else None
    if output is not None and payload is not None:
        put(payload, output)
    if kept is not None and leads():
        kept.clear()
    say(length_table(lengths))
    if output is None:
        return Result(payload=payload)
    summary = {
        "texts": str(output.path),
        "system": author.system,
        "n": texts.height,
        "n_prompts": texts["prompt_id"].n_unique(),
        "lengths": [length_json(row) for row in lengths],
    }
    hint = f"plt winrate {output.path} OTHER.parquet --judge RUN"
    return Result(data=summary, path=output.path, hint=hint)


def _refuse_contradictions(
    best_of: int | None,
    reward: Path | None,
    greedy: bool,
    guide: Path | None,
    guidance: tuple[float | None, int | None],
    told: Told,
) -> None:
    told.check(guide or reward)
    if (best_of is None) != (reward is None):
        raise UsageError(
            "--best-of and --reward (or --guide) belong together",
            hint="--best-of 8 --reward runs/individual-...",
        )
    if best_of is not None and greedy:
        raise UsageError("greedy texts are all alike: none is the best", hint="leave --greedy out")
    if guide is not None and best_of is not None:
        raise UsageError(
            "--guide and --best-of are two ways to please the same person",
            hint="leave one of them out",
        )
    if guide is None and guidance != (None, None):
        raise UsageError(
            "--guide-weight and --guide-top say how --guide works",
            hint="--guide runs/individual-...",
        )


def _kept(
    output: Output | None, author: Author, sampling: Sampling, compute: Compute
) -> TextStore | None:
    """Where the texts are until the table is whole: a folder beside it; a pipe has none."""
    from plt.train.writing.text_store import text_store

    if output is None or not output.is_file:
        return None
    folder = output.path.with_name(output.path.name + PARTIAL)
    return text_store(folder, author.fingerprint, sampling, compute)


def _reward_run(reward: Path | None, told: Told, compute: Compute) -> FittedRun | None:
    if reward is None:
        return None
    from plt.train.writing.best_of import refuse_margins

    fitted = load_reward(reward, told, compute)
    refuse_margins(fitted)
    return fitted


def _plan(
    users: tuple[str, ...],
    reference: bool,
    samples: int,
    candidates: int | None,
    author: Author,
    judge: FittedRun | None,
) -> Asked:
    """Whom to write as.

    Raises:
        UsageError: ``all`` where nobody is known, or a reference where nothing was trained.
    """
    known = tuple(judge.users) if judge is not None else author.users
    if reference and not author.trained:
        raise UsageError(
            f"{author.system} is no trained policy: it is its own reference",
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
    from plt.train.writing.writer import longer_than_read

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
    author: Author,
    judge: FittedRun | None,
    prompts: pl.DataFrame,
    asked: Asked,
    sampling: Sampling,
    seed: int,
    compute: Compute,
    kept: TextStore | None,
) -> list[dict[str, Any]]:
    """Every text with its columns, as `texts_table` takes them."""
    from plt.train.runtime.processes import gathered
    from plt.train.writing.writer import Task, write_texts

    known = set(author.users)
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
    written = write_texts(author.writer, conversations, distinct, sampling, seed, compute, kept)
    texts = dict(zip(distinct, written, strict=True))
    if kept is not None:
        n_kept = sum(map(sum, gathered(kept.found, compute.device)))
        if n_kept:
            say(f"{n_kept} of {len(distinct)} texts were kept from an interrupted line")
    if judge is None:
        return [
            _row(one, texts[one], one.user, author, seed)
            for one in [*(each[0] for each in wanted), *references]
        ]
    rows = _best(judge, conversations, places, wanted, texts, author, seed)
    return rows + [_row(one, texts[one], None, author, seed) for one in references]


def _best(
    judge: FittedRun,
    conversations: list[Any],
    places: list[tuple[int, str | None, int]],
    wanted: list[list[Task]],
    texts: Mapping[Task, Text],
    author: Author,
    seed: int,
) -> list[dict[str, Any]]:
    """The best of each place's candidates."""
    from plt.train.writing.best_of import best_of

    picks = best_of(
        judge,
        [conversations[row] for row, _, _ in places],
        [[texts[one].response for one in each] for each in wanted],
        [user for _, user, _ in places],
    )
    name = f"{author.system} best of {len(wanted[0])} by {judge.name}"
    rows = []
    for (_, user, sample), each, pick in zip(places, wanted, picks, strict=True):
        row = _row(each[pick.index], texts[each[pick.index]], user, author, seed)
        chosen = {"system": name, "control": "best-of-n", "sample": sample, "reward": pick.reward}
        rows.append(row | chosen)
    return rows


def _row(task: Task, text: Text, user: str | None, author: Author, seed: int) -> dict[str, Any]:
    return {
        "prompt": task.prompt,
        "user_id": user,
        "response": text.response,
        "system": author.system,
        "control": "guided" if author.guided and not task.reference else task.control,
        "seed": seed,
        "sample": task.sample,
        "n_tokens": text.n_tokens,
        "ended": text.ended,
        "reward": None,
    }
