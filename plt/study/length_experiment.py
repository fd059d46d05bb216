"""P-RLHF's controlled experiment, told of a finished policy: whom it serves, and what it writes.

On `synthetic:length` the truth is known: some workers want longer summaries and others shorter
ones. One policy for everybody serves the majority and works against the minority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.intervals.uncertainty import Interval
    from plt.analyze.scores.implicit_accuracy import ImplicitAccuracy
    from plt.data.tables.preferences import Preferences
    from plt.train.method import Compute
    from plt.train.runs.fitted_run import FittedRun

Wish = Literal["longer", "shorter"]
SIMULATOR = "length"
VANILLA = "dpo"
N_PROMPTS = 20
MAX_NEW_TOKENS = 96
MAX_WORKERS_A_WISH = 8
FIGURES = ("top", "generic", "majority", "minority")


@dataclass(frozen=True)
class Written:
    """What was written for one worker, or for nobody in particular.

    Attributes:
        worker: Who; null for the generic user and the reference.
        control: ``policy``, ``generic`` or ``reference``, as `generations/1` has it.
        wish: What the worker really wants; null for nobody.
        words: Mean words of a text, over prompts.
        ended: Share of texts that the model ended itself; the others were stopped.
    """

    worker: str | None
    control: str
    wish: Wish | None
    words: Interval
    ended: float | None


@dataclass(frozen=True)
class LengthExperiment:
    """The experiment of Li et al. 2024 (P-RLHF, section 5.2) as one run of it came out.

    Attributes:
        method: Registry name of the personal policy.
        baseline: That of vanilla.
        model: What both began from.
        seed: Of the run.
        personal: Its accuracies on test rows.
        vanilla: Vanilla's on the same rows; null where there is no run of it.
        written: Greedy texts on a few test prompts: workers by name, generic user, reference.
        n_prompts: How many.
        not_shown: Workers for whom nothing was written, because there are so many.
        max_new_tokens: Where a text was stopped that did not end itself.
    """

    method: str
    baseline: str
    model: str
    seed: int
    personal: ImplicitAccuracy
    vanilla: ImplicitAccuracy | None
    written: tuple[Written, ...]
    n_prompts: int
    not_shown: int
    max_new_tokens: int

    @property
    def n_endless(self) -> int:
        """Writers of whose texts at least half did not end by themselves."""
        return sum(row.ended is not None and row.ended <= 0.5 for row in self.written)

    def to_json(self) -> dict[str, Any]:
        """The experiment as ``plt train --json`` prints it."""
        from plt.analyze.intervals.figures import interval_json

        def accuracies(method: str, found: ImplicitAccuracy | None) -> dict[str, Any] | None:
            if found is None:
                return None
            figures = {name: interval_json(getattr(found, name)) for name in FIGURES}
            return {"method": method, **figures}

        return {
            "seed": self.seed,
            "model": self.model,
            "personal": accuracies(self.method, self.personal),
            "vanilla": accuracies(self.baseline, self.vanilla),
            "n_prompts": self.n_prompts,
            "max_new_tokens": self.max_new_tokens,
            "written": [asdict(row) | {"words": interval_json(row.words)} for row in self.written],
            "not_shown": self.not_shown,
        }


def is_length_experiment(method: str, prefs: Preferences) -> bool:
    """Whether a run of a method on a table is one: a personal policy, the `length` simulator."""
    from plt.train.registry import method_card

    card = method_card(method)
    truth = prefs.meta.truth or {}
    return card.kind == "policy" and card.personal and truth.get("simulator") == SIMULATOR


def length_experiment(
    path: Path, vanilla: Path | None, prefs: Preferences, compute: Compute
) -> LengthExperiment:
    """Scores a run and vanilla as P-RLHF does, and lets the run write for everybody.

    Args:
        path: A run for which `is_length_experiment` holds.
        vanilla: The run of vanilla; None where there is none.
        prefs: The table that both learnt from.
        compute: Device, batch size, cache, progress.

    Raises:
        PltError: A run cannot be loaded.
    """
    from plt.train.runs.fitted_run import load_fitted_run

    run = load_fitted_run(path, compute)
    wishes = wishes_of(prefs.meta.truth or {})
    rare = _rarer(wishes)
    other = None if vanilla is None else load_fitted_run(vanilla, compute)
    shown = _shown(run.users, wishes)
    written = _written(run, shown, prefs, compute, wishes)
    identity = run.run.identity
    return LengthExperiment(
        method=identity.method,
        baseline=VANILLA if other is None else other.run.identity.method,
        model=str(identity.config["set"]["model"]),
        seed=identity.seed,
        personal=_accuracies(run, prefs, rare),
        vanilla=None if other is None else _accuracies(other, prefs, rare),
        written=written,
        n_prompts=max((row.words.n_rows for row in written), default=0),
        not_shown=len(run.users) - len(shown),
        max_new_tokens=MAX_NEW_TOKENS,
    )


def wishes_of(truth: Mapping[str, Any]) -> dict[str, Wish]:
    """What every worker of a simulated table really wants."""
    from plt.data.truth import people_of, true_rewards

    workers = people_of(truth)
    short, long = true_rewards(truth, ["", "a text that is longer"], workers).T
    return {
        worker: "longer" if more > less else "shorter"
        for worker, less, more in zip(workers, short, long, strict=True)
    }


def _shown(users: Sequence[str], wishes: Mapping[str, Wish]) -> list[str]:
    """The first few of either wish."""
    of = [[user for user in users if wishes.get(user) == wish] for wish in ("longer", "shorter")]
    return sorted(user for known in of for user in known[:MAX_WORKERS_A_WISH])


def _rarer(wishes: Mapping[str, Wish]) -> list[str]:
    """The workers whose wish is the rarer one among all."""
    shorter = [worker for worker, wish in wishes.items() if wish == "shorter"]
    longer = [worker for worker, wish in wishes.items() if wish == "longer"]
    return min(shorter, longer, key=len)


def _accuracies(run: FittedRun, prefs: Preferences, rare: Sequence[str]) -> ImplicitAccuracy:
    """Of test rows, those of unseen workers scored as nobody in particular."""
    import polars as pl

    from plt.analyze.scores.implicit_accuracy import implicit_accuracy

    test = replace(prefs, votes=prefs.votes.filter(pl.col("split") == "test"))
    return implicit_accuracy(run.score(test).frame, rare)


def _written(
    run: FittedRun,
    workers: Sequence[str],
    prefs: Preferences,
    compute: Compute,
    wishes: Mapping[str, Wish],
) -> tuple[Written, ...]:
    """Lengths of greedy texts for workers, the generic user and the reference."""
    from plt.analyze.comparison.written_lengths import written_lengths

    return tuple(
        Written(
            worker=row.user,
            control=row.control,
            wish=None if row.user is None else wishes.get(row.user),
            words=row.words,
            ended=row.ended,
        )
        for row in written_lengths(_texts(run, workers, prefs, compute))
    )


def _texts(
    run: FittedRun, workers: Sequence[str], prefs: Preferences, compute: Compute
) -> pl.DataFrame:
    """A `generations/1` table."""
    from plt.data.tables.generations import distinct_prompts, texts_table
    from plt.train.writing.sampling import Sampling
    from plt.train.writing.writer import Task, Writer, write_texts

    seed = run.run.identity.seed
    prompts = distinct_prompts(prefs, "test", N_PROMPTS, seed)
    rows = range(prompts.height)
    tasks = [Task(row, worker) for worker in (*workers, None) for row in rows]
    tasks += [Task(row, reference=True) for row in rows]
    method: Any = run.method  # a policy, as its card says; the protocol of methods has no such name
    writer: Writer = method.policy
    how = Sampling(greedy=True, max_new_tokens=MAX_NEW_TOKENS)
    written = write_texts(writer, prompts["prompt"].to_list(), tasks, how, seed, compute)
    texts = [
        {
            "prompt": task.prompt,
            "user_id": task.user,
            "response": text.response,
            "system": run.name,
            "control": task.control,
            "seed": seed,
            "sample": task.sample,
            "n_tokens": text.n_tokens,
            "ended": text.ended,
        }
        for task, text in zip(tasks, written, strict=True)
    ]
    return texts_table(prompts, texts)
