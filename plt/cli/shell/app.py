"""The Typer app: one line a command, in the order of the data flow; bodies import when invoked."""

import difflib
import functools
import importlib
from collections.abc import Callable
from typing import Any

import typer

# Typer vendors click, and has no public name for the context of the command that runs.
from typer._click.globals import get_current_context
from typer.core import TyperGroup, TyperOption

from plt import __version__
from plt.cli.shell.origins import blame_bodies
from plt.cli.shell.streams import Result, set_quiet, stdout_guard
from plt.errors import PltError, UsageError
from plt.train.runtime.processes import leads

# Command -> (module with `command`, one sentence). The module is imported when it is invoked.
COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("plt.cli.commands.ls", "List the datasets, methods, metrics and models."),
    "dataset-convert": (
        "plt.cli.commands.dataset_convert",
        "Turn raw data into a preferences table.",
    ),
    "dataset-simulate": (
        "plt.cli.commands.dataset_simulate",
        "Make a population whose truth is known.",
    ),
    "dataset-split": (
        "plt.cli.commands.dataset_split",
        "Divide pairs and users so that nothing leaks.",
    ),
    "dataset-concat": ("plt.cli.commands.dataset_concat", "Join preference tables into one."),
    "dataset-label": (
        "plt.cli.commands.dataset_label",
        "Let a language model judge pairs in people's roles.",
    ),
    "dataset-lint": ("plt.cli.commands.dataset_lint", "Look for what gives labels away (exit 1)."),
    "dataset-stats": (
        "plt.cli.commands.dataset_stats",
        "Do these people really disagree, and how much?",
    ),
    "train": (
        "plt.cli.commands.train",
        "Fit, score and measure reward models or policies; makes runs.",
    ),
    "score": ("plt.cli.commands.score", "Score any pairs with a run."),
    "adapt": (
        "plt.cli.commands.adapt",
        "New people from 5, 30 or 300 of their answers: learning curves.",
    ),
    "tax": (
        "plt.cli.commands.tax",
        "What personalization costs in chat, reasoning and safety; a run.",
    ),
    "dose": (
        "plt.cli.commands.dose",
        "How much of each person's taste stays within a budget of tax; a run.",
    ),
    "report": ("plt.cli.commands.report", "Compare runs: which differences are real?"),
    "explain": ("plt.cli.commands.explain", "What a figure of a report is, in words."),
    "verify": ("plt.cli.commands.verify", "Re-hash a run, or compare it with another (exit 1)."),
    "generate": (
        "plt.cli.commands.generate",
        "Write texts as users, as nobody, or the best of several.",
    ),
    "winrate": (
        "plt.cli.commands.winrate",
        "Which of two systems' texts a judge prefers, person by person.",
    ),
    "export": ("plt.cli.commands.export", "Write a run's reward as a Hugging Face reward model."),
    "doctor": ("plt.cli.commands.doctor", "What plt makes of a model, with self-checks (exit 1)."),
    "demo": ("plt.cli.commands.demo", "The whole chain on embedded data and model."),
}


def guarded(body: Callable[..., Result]) -> Callable[..., tuple[Result, bool]]:
    """Wraps a command body: stdout is kept for its Result, and ``--quiet`` is obeyed.

    Of several processes that a launcher started, only the first speaks.

    Returns:
        A callable with the body's signature that also says whether ``--json`` was asked for.
    """

    @functools.wraps(body)
    def wrapped(*args: Any, **kwargs: Any) -> tuple[Result, bool]:
        set_quiet(bool(kwargs.get("quiet")) or not leads())
        try:
            with stdout_guard():
                result = body(*args, **kwargs)
        except PltError as error:
            blame_bodies(error, get_current_context())
            raise
        return result, bool(kwargs.get("as_json"))

    return wrapped


class LazyGroup(TyperGroup):
    """Commands whose modules are imported when they are invoked, so that help stays instant."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order of the data flow."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called `cmd_name`, or None; its module is imported."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, context_settings={"help_option_names": ["-h", "--help"]})(
            guarded(importlib.import_module(module).command)
        )
        found = typer.main.get_command(single)
        for parameter in found.params:
            if isinstance(parameter, TyperOption) and parameter.envvar is None:
                parameter.show_envvar = False  # PLT_<COMMAND>_<FLAG> works, and need not be shown
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the command list without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As Typer's, but an unknown command is answered with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            suggestion = f"; did you mean '{near[0]}'?" if near else ""
            raise UsageError(f"there is no command '{args[0]}'{suggestion}", hint="plt --help")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PLT"},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plt {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Example: plt dataset-simulate dirichlet --users 8 | plt dataset-stats -",
)
def root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        envvar="PLT_PRINT_VERSION",
        show_envvar=False,
        help="Print the version and stop.",
    ),
) -> None:
    """Personalised preference learning: do people disagree, and which model serves each of them."""
