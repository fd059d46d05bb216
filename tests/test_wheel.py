"""The built wheel outside the clone: beside five packages without torch, and beside all it asks."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
BESIDE = ("polars", "numpy", "typer", "rich", "scipy")
CLEAN = {"PATH": "/usr/bin:/bin", "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def plt_alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `plt` of an environment that has the wheel, and no torch."""
    return installed(wheel, tmp_path_factory.mktemp("alone"), BESIDE)


def installed(wheel: Path, folder: Path, beside: Iterable[str]) -> Path:
    """The command `plt` of a new environment with the wheel, `beside` and what these need."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in with_what_they_need(beside):
        lend(name, site)
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    install += ["--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "bin" / "plt"


def asked_for(lines: Iterable[str]) -> list[str]:
    """The distributions that requirements ask for here, without extras."""
    asked = [Requirement(line) for line in lines]
    return [
        need.name for need in asked if need.marker is None or need.marker.evaluate({"extra": ""})
    ]


def with_what_they_need(wanted: Iterable[str]) -> set[str]:
    """The distributions `wanted` and, in turn, those that they ask for here."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += asked_for(distribution(name).requires or ())
    return found


def lend(name: str, site: Path) -> None:
    """Links what a distribution of this environment put on the import path into `site`."""
    owner = distribution(name)
    for top in {file.parts[0] for file in owner.files or () if file.parts[0] != ".."}:
        link = site / top
        if top != "__pycache__" and not link.exists():
            link.symlink_to(Path(str(owner.locate_file(top))))


def start(command: Path, folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *line],
        cwd=folder,
        env=CLEAN | {"HOME": str(folder), "PLT_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def run(command: Path, folder: Path, *line: str, code: int = 0) -> str:
    """What a command prints that ends with `code`."""
    done = start(command, folder, *line)
    assert done.returncode == code, done.stderr
    return done.stdout


def complaint(command: Path, folder: Path, *line: str) -> str:
    """What a command says that ends because of something a person can mend."""
    done = start(command, folder, *line)
    assert done.returncode == 2, done.stderr
    return done.stderr


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    here = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "plt").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == here


def test_the_environment_has_no_torch(plt_alone: Path, tmp_path: Path) -> None:
    script = "import plt, sys; print(plt.__file__); import torch"
    done = start(plt_alone.with_name("python"), tmp_path, "-c", script)
    assert Path(done.stdout.strip()).is_relative_to(plt_alone.parents[1])
    assert "No module named 'torch'" in done.stderr


@pytest.mark.parametrize("name", ["attributes", "length", "pets", "low-rank"])
def test_a_population_is_made_divided_checked_and_described(
    plt_alone: Path, tmp_path: Path, name: str
) -> None:
    run(plt_alone, tmp_path, "dataset-simulate", name, "--users", "12", "-o", "people.parquet")
    run(plt_alone, tmp_path, "dataset-split", "people.parquet", "-o", "split.parquet")
    findings = json.loads(run(plt_alone, tmp_path, "dataset-lint", "split.parquet", "--json"))
    assert findings
    run(plt_alone, tmp_path, "dataset-stats", "people.parquet", "--near-duplicates", "0.8")
    verdict = json.loads(run(plt_alone, tmp_path, "dataset-stats", "people.parquet", "--json"))
    assert verdict["verdict"]


def test_people_who_share_no_pair_are_described(plt_alone: Path, tmp_path: Path) -> None:
    line = ["dataset-simulate", "attributes", "--users", "20", "--shape", "prism"]
    run(plt_alone, tmp_path, *line, "-o", "people.parquet")
    found = json.loads(run(plt_alone, tmp_path, "dataset-stats", "people.parquet", "--json"))
    assert found["heterogeneity"] is not None


def test_raw_data_is_converted(plt_alone: Path, tmp_path: Path) -> None:
    rows = [
        {"user_id": f"u{i % 4}", "prompt": f"q{i // 4}", "chosen": f"yes {i}", "rejected": "no"}
        for i in range(40)
    ]
    (tmp_path / "raw.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    run(plt_alone, tmp_path, "dataset-convert", "generic", "raw.jsonl", "-o", "votes.parquet")
    assert json.loads(run(plt_alone, tmp_path, "dataset-stats", "votes.parquet", "--json"))


def test_what_there_is_is_listed(plt_alone: Path, tmp_path: Path) -> None:
    assert "bradley-terry" in run(plt_alone, tmp_path, "ls")
    assert "synthetic:attributes" in run(plt_alone, tmp_path, "ls", "datasets")


@pytest.mark.parametrize(
    ("line", "package"),
    [
        (["train", "--method", "bradley-terry"], "safetensors"),
        (["ls", "methods", "bradley-terry"], "safetensors"),
        (["dataset-stats", "synthetic:pets", "--plot", "figures.svg"], "matplotlib"),
    ],
)
def test_a_package_that_is_not_there_is_named(
    plt_alone: Path, tmp_path: Path, line: list[str], package: str
) -> None:
    assert package in complaint(plt_alone, tmp_path, *line)


def test_runs_made_elsewhere_are_reported_and_verified(plt_alone: Path, tmp_path: Path) -> None:
    run(plt_alone, tmp_path, "dataset-simulate", "attributes", "--users", "12", "-o", "t.parquet")
    run(plt_alone, tmp_path, "dataset-split", "t.parquet", "--by", "pair", "-o", "split.parquet")
    line = ["train", "split.parquet", "--method", "random,length"]
    made = subprocess.run(
        [sys.executable, "-m", "plt", *line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    runs = made.stdout.split()
    assert len(runs) == 2
    report = run(plt_alone, tmp_path, "report", *runs)
    assert "| random" in report
    assert "| length" in report
    rows = json.loads(run(plt_alone, tmp_path, "report", *runs, "--json"))["rows"]
    assert len(rows) == 2
    run(plt_alone, tmp_path, "report", f"{runs[0]}/scores.parquet")
    run(plt_alone, tmp_path, "verify", runs[0])
    run(plt_alone, tmp_path, "verify", runs[0], runs[0])
    run(plt_alone, tmp_path, "verify", runs[0], runs[1], code=1)


def test_the_default_install_runs_the_demo(
    wheel: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with zipfile.ZipFile(wheel) as held:
        (name,) = (name for name in held.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(held.read(name).decode())
    needs = asked_for(metadata.get_all("Requires-Dist"))
    assert "matplotlib" not in needs
    command = installed(wheel, tmp_path_factory.mktemp("default"), needs)
    found = json.loads(run(command, tmp_path, "demo", "--users", "12", "--json"))
    assert found["train"]["failed"] == []
    assert len(found["report"]["rows"]) == 5
