"""A folder that holds a whole report: its page, its tables, its pictures, what its runs were."""

from __future__ import annotations

import shutil
from pathlib import Path

from plt.cli.formats.svg import to_svg
from plt.cli.pages.report.forms import MARKS, Made, to_bytes
from plt.cli.pages.report.page import pictures
from plt.data.run import CONFIG, MANIFEST
from plt.data.tables.files import write_bytes
from plt.data.tables.output import check_folder
from plt.errors import UsageError

FILES = {
    "report.html": "html", "report.md": "markdown", "report.tex": "latex", "report.json": "json",
    "figures.csv": "csv", "figures.parquet": "parquet", "report.eee.jsonl": "eee",
}  # fmt: skip
RUNS = "runs"
ELSEWHERE = "choose another --bundle"


def check_bundle(folder: Path, *, force: bool, no_clobber: bool, parents: bool) -> None:
    """Refuses a folder that holds anything but an earlier bundle, before anything is computed.

    Raises:
        UsageError: It is no folder, or holds other files.
        ArtifactError: Nothing can be written in it.
    """
    check_folder(folder, "--bundle", parents=parents)
    there = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if not there or (force and not no_clobber):
        return
    page = folder / "report.html"
    mark = MARKS["html"]
    assert mark is not None
    if no_clobber or not page.is_file() or mark not in page.read_bytes()[:4096]:
        raise UsageError(
            f"--bundle {folder} holds other files and no bundle of plt",
            problems=there[:5],
            hint="choose another folder, or add --force to write into this one",
        )


def write_bundle(made: Made, folder: Path) -> list[str]:
    """Writes everything; files of an earlier bundle are replaced.

    Returns:
        Names of what was written, below the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, form in FILES.items():
        write_bytes(folder / name, to_bytes(made, form), ELSEWHERE)
        written.append(name)
    drawn = [*pictures(made.compared), *(p for part in made.parts for p in part.pictures)]
    for picture in drawn:
        name = f"{picture.name}.svg"
        write_bytes(folder / name, to_svg(picture).encode("utf-8", "backslashreplace"), ELSEWHERE)
        written.append(name)
    for run in made.compared.runs:
        target = folder / RUNS / run.run_id  # of hex digits; a method could be called anything
        target.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, CONFIG):
            shutil.copyfile(run.path / name, target / name)
            written.append(f"{RUNS}/{target.name}/{name}")
    return written
