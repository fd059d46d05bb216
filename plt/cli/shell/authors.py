"""Who writes the texts of `plt generate`: a policy, a language model, or one with a guide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.train.method import Compute
    from plt.train.runs.fitted_run import FittedRun
    from plt.train.writing.sampling import Sampling
    from plt.train.writing.writer import Writer


@dataclass(frozen=True)
class Author:
    """Who writes.

    Attributes:
        writer: The policy or language model.
        system: How the texts' column calls it.
        fingerprint: Of its weights.
        users: Whom it can write for.
        trained: Whether it differs from its reference.
        guided: Whether a reward guides it.
    """

    writer: Writer
    system: str
    fingerprint: str
    users: tuple[str, ...]
    trained: bool
    guided: bool = False


@dataclass(frozen=True)
class Told:
    """What a run of `plt adapt` knows of its new people.

    Attributes:
        n_shots: Answers of each person as typed, or ``all``; None for any other run.
        draw: Which draw of them.
    """

    n_shots: str | None = None
    draw: int = 0

    def check(self, run: Path | None) -> None:
        """Raises `UsageError` where it is said of anything but a run of `plt adapt`."""
        from plt.study.newcomers.adapted import refuse_size

        refuse_size(self.n_shots, run)


def load_reward(path: Path, told: Told, compute: Compute) -> FittedRun:
    """A reward run, or what a run of `plt adapt` knew of its new people.

    Raises:
        UsageError: A run of `plt adapt` has no such number of answers.
        ArtifactError: It is no finished run, or what it was made of has changed.
    """
    from plt.cli.shell.inputs import load_preferences, users_table
    from plt.cli.shell.streams import say
    from plt.study.newcomers.adapted import adapted_run, is_adapt_run
    from plt.train.runs.fitted_run import load_fitted_run

    if not is_adapt_run(path):
        return load_fitted_run(path, compute)
    return adapted_run(
        path,
        told.n_shots,
        told.draw,
        compute,
        load_preferences,
        lambda text: users_table(Path(text)),
        say,
    )


def load_author(run: str, compute: Compute, *, bare: bool) -> Author:
    """The policy of a run, or a language model as it is.

    Args:
        run: What was typed.
        compute: Device and dtype.
        bare: Whether only a language model as it is will do; a run of `sft` is one as well.

    Raises:
        UsageError: The run is a reward model.
    """
    from plt.cli.shell.inputs import run_path
    from plt.cli.shell.streams import STDIN
    from plt.data.run import MANIFEST
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.writing.writer import load_model_writer

    path = run_path(run) if run == STDIN else Path(run)
    if bare or not (path / MANIFEST).exists():
        model = load_model_writer(str(path) if run == STDIN else run, compute)
        return Author(model, model.name, model.source.fingerprint, (), trained=False)
    fitted = load_fitted_run(path, compute)
    policy: Writer | None = getattr(fitted.method, "policy", None)
    if policy is None:
        raise UsageError(
            f"{path} is a reward model ({fitted.run.identity.method}): it writes no text",
            hint=f"plt generate builtin:tiny --prompts DATA --best-of 8 --reward {path}",
        )
    return Author(policy, fitted.name, fitted.fingerprint, tuple(policy.users), trained=True)


def guided(
    author: Author,
    sampling: Sampling,
    guide: Path,
    told: Told,
    weights: tuple[float | None, int | None],
    compute: Compute,
) -> tuple[Author, Sampling]:
    """The same language model with a reward run at its side; how strong, and at how many tokens."""
    from plt.train.writing.reward_guide import Guidance, load_guide
    from plt.train.writing.writer import BareModel

    (weight, top), defaults = weights, Guidance()
    guidance = Guidance(
        defaults.weight if weight is None else weight, defaults.top if top is None else top
    )
    writer = author.writer
    assert isinstance(writer, BareModel)
    found = load_guide(load_reward(guide, told, compute), writer, guidance, compute)
    system = f"{author.system} guided by {found.name} (weight {guidance.weight:g})"
    author = replace(author, system=system, users=found.users, trained=True, guided=True)
    return author, replace(sampling, guide=found)
