"""What a person types. Heavy imports happen only inside command bodies."""

import contextlib
import errno
import io
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from plt.errors import PltError

EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
SECONDS_TO_SAY_IT = 20.0
# What a person or their machine refuses: no fault of plt, whatever wrote.
REFUSALS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
        errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
    }
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: The arguments behind ``plt``; by default the process's own.

    Returns:
        0 done; 1 the check says no; 2 the person can fix it; 3 plt failed; 130 interrupted;
        141 the pipe was closed.
    """
    # Typer vendors click and offers no public name for the base of its own usage errors.
    from typer._click.exceptions import ClickException, NoArgsIsHelpError

    from plt.cli.shell.app import app
    from plt.cli.shell.origins import blame
    from plt.cli.shell.streams import forget, hold_standard_streams, set_arguments, write_stdout

    hold_standard_streams()
    set_arguments(sys.argv[1:] if argv is None else argv)
    help_text = io.StringIO()
    try:
        with contextlib.redirect_stdout(help_text):
            outcome = app(args=argv, prog_name="plt", standalone_mode=False)
        if help_text.getvalue():
            write_stdout(help_text.getvalue().encode("utf-8", "backslashreplace"))
        return outcome if isinstance(outcome, int) else _deliver(outcome)
    except NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return EXIT_USAGE
    except ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "plt"
        _complain(f"{blame(error)}\nhint: {command} --help")
        return EXIT_USAGE
    except PltError as error:
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        forget(1)
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "plt":
            return _failed()
        _complain(
            f"this needs the package {error.name}, which is not installed\n"
            "hint: pip install plt-toolkit"
        )
        return EXIT_USAGE
    except OSError as error:
        if error.errno not in REFUSALS:
            return _failed()
        _complain(f"{error.filename or 'a file'} cannot be used: {error.strerror}")
        return EXIT_USAGE
    except Exception:
        return _failed()


def _deliver(outcome: Any) -> int:
    """Writes a command's Result to stdout, outside Typer, and returns its exit code."""
    if outcome is None:  # the root was asked for help or version
        return 0
    from plt.cli.shell.render import to_json
    from plt.cli.shell.streams import say, show, write_stdout
    from plt.train.runtime.processes import leads

    result, as_json = outcome
    if result.takeover is not None:
        return int(result.takeover())
    if not leads():
        return int(result.exit_code)
    if result.aside:
        show(_page(result.aside, 2))
    if result.payload is not None:
        write_stdout(result.payload)
    elif as_json:
        write_stdout(to_json(result).encode("utf-8", "backslashreplace"))
    elif result.blocks:
        write_stdout(_page(result.blocks, 1).encode("utf-8", "backslashreplace"))
    elif result.path is not None or result.lines:
        lines = result.lines or (str(result.path),)
        write_stdout("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    if result.hint:
        say(f"next: {result.hint}")
    return int(result.exit_code)


def _page(blocks: tuple[Any, ...], descriptor: int) -> str:
    """Blocks as a terminal draws them, or as Markdown where the stream is none."""
    from plt.cli.shell.render import to_markdown, to_terminal

    dumb = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return to_markdown(blocks) if dumb or not os.isatty(descriptor) else to_terminal(blocks)


def _complain(text: str, *, by_all: bool = False) -> None:
    """Says what is wrong; of several processes the first says what all of them met."""
    from plt.cli.shell.streams import tell
    from plt.train.runtime.processes import leads

    if by_all or leads():
        with contextlib.suppress(BrokenPipeError):
            tell(text)
    else:
        # Whoever ends first makes the launcher end the others, and the first has yet to say it.
        time.sleep(SECONDS_TO_SAY_IT)


def _failed() -> int:
    """A bug or a lack of memory: the traceback goes to a file, its path to the person."""
    whole = traceback.format_exc()
    try:
        handle, name = tempfile.mkstemp(prefix="plt-failure-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(whole)
        where = f"the traceback is in {Path(name)}"
    except OSError:
        where = whole.strip()
    last = whole.strip().splitlines()[-1]
    _complain(f"plt failed: {last}\n{where}\nhint: please report it", by_all=True)
    return EXIT_FAILED
