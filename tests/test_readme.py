"""The README's console blocks are what the program prints, and its Python blocks run.

Every line that begins with ``$`` is run, in order, in one folder; what follows it must be its
standard output. Figures may differ in their last digits between processors. With
``PLT_UPDATE_README=1`` the blocks are rewritten instead.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
TOLERANCE = 0.02
UPDATE = bool(os.environ.get("PLT_UPDATE_README"))


@dataclass
class Step:
    command: str
    expected: list[str] = field(default_factory=list)
    line: int = 0


def steps() -> list[Step]:
    found: list[Step] = []
    inside = False
    for number, text in enumerate(README.read_text(encoding="utf-8").splitlines(), 1):
        if text.startswith("```"):
            inside = text == "```console"
        elif inside and text.startswith("$ "):
            found.append(Step(text[2:], line=number))
        elif inside:
            found[-1].expected.append(text)
    return found


def same(found: str, expected: str) -> bool:
    """Equal texts, with figures that have decimals equal within the tolerance."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", expected):
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True)
    return all(
        a == b or ("." in a and abs(float(a) - float(b)) <= TOLERANCE * max(1.0, abs(float(b))))
        for a, b in pairs
    )


def squeezed(lines: list[str]) -> list[str]:
    return [re.sub(r"[ -]+", " ", line).strip() for line in lines if line.strip()]


@pytest.mark.slow
def test_console_blocks(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "plt"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m plt "$@"\n')
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "COLUMNS": "80", "NO_COLOR": "1"}
    outputs = {}
    problems = []
    for step in steps():
        done = subprocess.run(
            ["bash", "-c", step.command], capture_output=True, text=True, env=env, cwd=tmp_path,
            check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), f"line {step.line}: {step.command}\n{done.stderr}"
        outputs[step.line] = done.stdout.rstrip("\n").splitlines()
        found, expected = squeezed(outputs[step.line]), squeezed(step.expected)
        if len(found) != len(expected) or not all(map(same, found, expected)):
            problems.append(f"line {step.line}: {step.command} prints\n{done.stdout}")
    if UPDATE:
        rewrite(outputs)
    else:
        assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_python_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order, in one namespace, and nothing is written but runs."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "Verdict: " in printed
    assert "individual: gain over vanilla" in printed
    assert {entry.name for entry in tmp_path.iterdir()} == {"runs"}


def rewrite(outputs: dict[int, list[str]]) -> None:
    lines: list[str] = []
    skipping = inside = False
    for number, text in enumerate(README.read_text(encoding="utf-8").splitlines(), 1):
        if text.startswith("```"):
            inside = text == "```console"
            skipping = False
        if inside and text.startswith("$ "):
            lines += [text, *outputs[number]]
            skipping = True
        elif not skipping:
            lines.append(text)
    README.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_tree_is_what_is_there() -> None:
    """Every folder and file that the README's tree names exists."""
    text = README.read_text(encoding="utf-8")
    tree = re.search(r"```text\n(plt/\n.*?)```", text, re.DOTALL)
    assert tree is not None
    folder = README.parent
    stack = [folder]
    for line in tree.group(1).splitlines():
        name = line.split("  ")[0] if not line.startswith(" ") else line.strip().split("  ")[0]
        depth = (len(line) - len(line.lstrip())) // 2
        for part in name.split():
            path = stack[depth] / part
            assert path.exists(), f"the README's tree names {path.relative_to(folder)}"
            if part.endswith("/"):
                stack = [*stack[: depth + 1], path]


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_registry_names_stand_in_the_readme(kind: str) -> None:
    from plt.data.registry import DATASETS, SIMULATORS
    from plt.train.registry import METHODS

    text = README.read_text(encoding="utf-8")
    for name in METHODS if kind == "methods" else [*DATASETS, *SIMULATORS]:
        assert f"`{name}`" in text or f"`synthetic:{name}`" in text, name
