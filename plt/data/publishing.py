"""The private folder that a run is made in, and the one rename that publishes it.

A holder of a claim works in ``.work-<k>-<token>`` of the run folder. What it shows outside on the
way (the manifest that says ``started``, the configuration) it writes there and renames out; what
it finds outside and has no use for it renames in. The finished content becomes public by renaming
the whole private folder to ``.done-<k>-<token>``: from then on the run is finished for everybody,
and whoever holds it next moves the files to their places, the manifest last, if the one who
published was killed before he did.

A successor begins by moving the private folders of all earlier holders into his own. Every rename
of theirs then fails, so that a holder who was stopped between a look and a rename, and wakes years
later, changes nothing. That is why correctness does not rest on claims, clocks or heartbeats.
"""

import contextlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from plt.data.claims import PRIVATE, Claim
from plt.errors import ArtifactError

DONE = ".done-"
EARLIER = "earlier"
"""In a private folder: the private folders of earlier holders, and what was set aside."""


def adopt(claim: Claim) -> None:
    """Moves the private folders of earlier holders into this one's, so that they publish nothing.

    Raises:
        TakenOver: Another process holds the run by now.
    """
    # Listed before the look: a folder that is seen belongs to somebody from before a successor.
    found = [name for name in os.listdir(claim.folder) if name.startswith(PRIVATE)]
    claim.check()
    set_aside(claim, [name for name in found if name != claim.work.name])


def set_aside(claim: Claim, names: Collection[str]) -> None:
    """Moves entries of the run folder, where they are there, into the private folder."""
    earlier = claim.work / EARLIER
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            earlier.mkdir(exist_ok=True)
            os.rename(claim.folder / name, earlier / name)


def inherit(claim: Claim, name: str) -> None:
    """Copies what the latest earlier holder left under a name, if anybody left it.

    It is copied, not moved: whoever wrote it may be stopped, wake, and write on into the file that
    he has open.
    """
    source, part = _latest(claim.work, name), claim.work / f".{name}.part"
    if source is None:
        return
    try:
        if source.is_dir():
            # What is written atomically begins with a dot until it is whole.
            shutil.copytree(source, part, ignore=shutil.ignore_patterns(".*"))
        else:
            shutil.copyfile(source, part)
        os.rename(part, claim.work / name)
    except (OSError, shutil.Error) as error:
        raise ArtifactError(
            f"cannot copy what an interrupted process left in {claim.folder}: {error}",
            hint="free some space, or add --force to begin anew",
        ) from error


def _latest(folder: Path, name: str) -> Path | None:
    """The entry `name` of a private folder; else of the latest of those it has adopted."""
    if (folder / name).exists():
        return folder / name
    adopted = sorted((folder / EARLIER).glob(f"{PRIVATE}*"), key=_number, reverse=True)
    for earlier in adopted:
        if (found := _latest(earlier, name)) is not None:
            return found
    aside = folder / EARLIER / name
    return aside if aside.exists() else None


def _number(folder: Path) -> int:
    number = folder.name.removeprefix(PRIVATE).partition("-")[0]
    return int(number) if number.isdecimal() else 0


def forget(claim: Claim) -> None:
    """Removes what was adopted and set aside."""
    shutil.rmtree(claim.work / EARLIER, ignore_errors=True)


def show(claim: Claim, name: str, text: str) -> None:
    """Writes a file of the run folder, whole, unless a successor has taken over.

    Raises:
        TakenOver: One has.
    """
    path = claim.work / f".{name}"
    try:
        path.write_text(text, encoding="utf-8")
        os.rename(path, claim.folder / name)
    except FileNotFoundError as error:
        raise claim.lost() from error


def publish(claim: Claim, last: str, left_out: Collection[str]) -> None:
    """Makes the private folder the finished content of the run, and gives the claim back.

    Args:
        claim: Whose private folder holds all that the finished run consists of.
        last: The file that says that the run is finished; it is moved last.
        left_out: Names that are of no use in a finished run.

    Raises:
        TakenOver: Another process holds the run by now; nothing was published.
    """
    done = claim.folder / claim.work.name.replace(PRIVATE, DONE, 1)
    claim.stop()
    claim.check()
    try:
        os.rename(claim.work, done)
    except FileNotFoundError as error:
        raise claim.lost() from error
    _spread(done, last, left_out)
    claim.withdraw(done)


def finish_published(claim: Claim, last: str, left_out: Collection[str]) -> None:
    """Moves to their places what was published by a process that was killed before it did."""
    for done in sorted(claim.folder.glob(f"{DONE}*")):
        _spread(done, last, left_out)
        shutil.rmtree(done, ignore_errors=True)


def _spread(done: Path, last: str, left_out: Collection[str]) -> None:
    """Moves published files to the run folder; two processes may do so at once."""
    try:
        names = {name for name in os.listdir(done) if not name.startswith(".")}
    except FileNotFoundError:
        return  # another process has moved them all
    names -= {EARLIER, *left_out}
    for name in sorted(names, key=lambda name: (name == last, name)):
        try:
            os.rename(done / name, done.parent / name)
        except FileNotFoundError:
            continue  # another process has moved it
        except OSError as error:
            raise ArtifactError(
                f"cannot publish {done.parent / name}: {error}", hint=f"mv {done.parent / name} ."
            ) from error


def hand_back(claim: Claim, names: Collection[str], last: str, text: str) -> None:
    """Leaves a run that did not end well to whoever wants it, with what it has so far.

    Args:
        claim: Which is given back.
        names: Entries of the private folder that the next holder can use; older ones give way.
        last: The file that says how the run ended.
        text: What it says.

    Raises:
        TakenOver: Another process holds the run by now; nothing was changed.
    """
    claim.stop()
    claim.check()
    for name in names:
        if (claim.work / name).exists():
            set_aside(claim, [name])
            with contextlib.suppress(FileNotFoundError):  # said by the last one
                os.rename(claim.work / name, claim.folder / name)
    show(claim, last, text)
    claim.withdraw(claim.work)
