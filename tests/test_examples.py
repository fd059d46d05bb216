"""What is in examples/ runs: pipelines, on the real file or a twin of it, and notebooks."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
REAL = ROOT.parent / "shared" / "data" / "pandalm" / "testset-v1.json"


@pytest.fixture
def path_with_plt(tmp_path: Path) -> dict[str, str]:
    """An environment in which `plt` and `python3` are this interpreter's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, line in {"plt": f"{sys.executable} -m plt", "python3": sys.executable}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        script.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def twin(path: Path, n: int = 160) -> Path:
    """A made-up file of PandaLM's shape: three people, three answers to each instruction."""
    rng = np.random.default_rng(0)
    records = []
    for i in range(n):
        first, second = rng.permutation(["short", "long and polite", "with an example"])[:2]
        taste = rng.random() < (0.8 if len(first) > len(second) else 0.2)
        votes = [
            0 if rng.random() < 0.1 else 1 if taste != (rng.random() < 0.1) else 2 for _ in "abc"
        ]
        records.append(
            {"idx": i, "instruction": f"Explain topic {i // 3}.", "input": "",
             "response1": f"A {first} answer about topic {i // 3}, number {i}.",
             "response2": f"A {second} answer about topic {i // 3}, number {i}.",
             "annotator1": votes[0], "annotator2": votes[1], "annotator3": votes[2]}
        )  # fmt: skip
    path.write_text(json.dumps(records))
    return path


def run(script: str, *arguments: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", str(EXAMPLES / script), *arguments],
        capture_output=True, text=True, env=env, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pipes(path_with_plt: dict[str, str]) -> None:
    assert "divergent: 0." in run("pipes.sh", env=path_with_plt)


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell by cell, the last value of each shown as a notebook would; no output is stored."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    namespace: dict[str, object] = {}
    tables = 0
    for number, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"]
        assert cell["execution_count"] is None
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{notebook.name}, cell {number}", "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), notebook.name, "eval"), namespace)
            show = getattr(value, "_repr_html_", None)
            tables += "<table" in (repr(value) if show is None else show())
    assert tables >= 4


@pytest.mark.slow
def test_three_annotators_on_a_twin(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    raw = twin(tmp_path / "raw.json")
    out = run("three_annotators.sh", str(raw), str(tmp_path / "out"), env=path_with_plt)
    assert "| eb-shrinkage" in out
    assert "gain over bradley-terry" in out


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real data files (../shared/data) are not here")
def test_three_annotators_on_the_real_file(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    out = run("three_annotators.sh", str(REAL), str(tmp_path / "out"), env=path_with_plt)
    assert "| eb-shrinkage" in out
    # Three people are no population: neither what the data says nor the comparison claims one.
    assert "in the mean of these users on other pairs" in out
    assert "No detectable gain over bradley-terry, about these 3 users, on other prompts" in out


@pytest.mark.slow
def test_length_policies(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    printed = run("length_policies.sh", str(tmp_path), "20", "10", "60", env=path_with_plt)
    assert "p-dpo" in printed


@pytest.mark.slow
def test_new_people(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    printed = run("new_people.sh", str(tmp_path), "60", "60", env=path_with_plt)
    for method in ("bradley-terry", "individual, all answers of", "further-fine-tune",
                   "retrieve-similar", "pref", "lore", "eb-shrinkage"):  # fmt: skip
        assert f"| {method} " in printed
    assert "better than its own generic user beyond chance" in printed
    assert (tmp_path / "curves.svg").stat().st_size > 10_000


@pytest.mark.slow
def test_written_for_new_people(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    size = ("40", "60", "4", "4")
    printed = run("written_for_new_people.sh", str(tmp_path), *size, env=path_with_plt)
    rates = re.findall(r"\((\d+) answers, draw 0\)[^|]*\| builtin:small[^|]*\| +(0\.\d+)", printed)
    assert [int(n) for n, _ in rates] == [0, 5, 20]
    assert float(rates[1][1]) > float(rates[0][1]) + 0.2
    assert (tmp_path / "win_rates.svg").stat().st_size > 1_000


@pytest.mark.slow
def test_the_workflow_of_a_build_server_runs(path_with_plt: dict[str, str], tmp_path: Path) -> None:
    """Every line but that of the installation, as the server types it, over the stored runs."""
    workflow = yaml.safe_load((EXAMPLES / "ci" / "reproduce.yml").read_text())
    (job,) = workflow["jobs"].values()
    shutil.copytree(ROOT / "tests" / "golden" / "runs", tmp_path / "golden")
    lines = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    assert lines.pop("install") == "python -m pip install plt-toolkit"
    printed = {}
    for name, line in lines.items():
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", line],
            capture_output=True, text=True, cwd=tmp_path, check=False,
            env=path_with_plt | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        printed[name] = done.stdout
    assert printed["verify against the stored reference"].count("agree") == 3
    assert (tmp_path / "report.html").stat().st_size > 10_000
