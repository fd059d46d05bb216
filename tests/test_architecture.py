"""The import rule: cli -> {train, analyze} -> data -> errors; and what must stay light, is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "plt"
# The package's own facade may point anywhere, lazily; everything else follows the arrows.
ALLOWED = {
    "errors": set(),
    "settings": {"errors"},
    "data": {"errors", "settings", "data"},
    "train": {"errors", "settings", "data", "train"},
    "analyze": {"errors", "settings", "data", "analyze"},
    "study": {"errors", "settings", "data", "train", "analyze", "study", "cli"},
    "cli": {"errors", "settings", "data", "train", "analyze", "study", "cli", "__init__"},
}
FORBIDDEN_OUTSIDE_TRAIN = {
    "torch", "transformers", "trl", "peft", "datasets", "sentence_transformers", "accelerate",
}  # fmt: skip
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def folder_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.append(node.module or "")
            if node.module == "plt":
                found += [f"plt.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    folder = folder_of(path)
    if folder in ("__init__", "__main__", "api"):
        return
    for name in imports(path):
        if name.startswith("plt."):
            target = name.split(".")[1]
            if target.startswith("__version__"):
                continue
            assert target in ALLOWED[folder], f"{folder} may not import {name}"
        elif folder != "train":
            assert name.split(".")[0] not in FORBIDDEN_OUTSIDE_TRAIN, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # A docstring is documentation, not length.
            documented = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= len(documented.splitlines()) if documented else 0
            is_command = folder_of(path) == "cli" and node.name == "command"
            limit = 2 * MAX_FUNCTION_LINES if is_command else MAX_FUNCTION_LINES
            assert lines <= limit, f"{node.name} has {lines} lines"


@pytest.mark.parametrize(
    "module",
    [
        "plt",
        "plt.cli",
        "plt.cli.shell.app",
        "plt.data.tables.preferences",
        "plt.data.run",
        "plt.analyze.comparison.compare",
        "plt.analyze.registry",
        "plt.train.method",
        "plt.train.registry",
    ],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    script = (
        f"import {module}, sys; "
        "heavy = {'torch', 'transformers', 'scipy.stats', 'pandas', 'pyarrow', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_statistics_commands_work_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not here')")
    table = tmp_path / "t.parquet"
    script = "from plt.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    env = {
        "PYTHONPATH": f"{tmp_path}:{PACKAGE.parent}",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    for line in (
        ["dataset-simulate", "mirrored", "--users", "6", "-o", str(table)],
        ["dataset-split", str(table), "-o", str(tmp_path / "s.parquet"), "--by", "pair"],
        ["dataset-lint", str(tmp_path / "s.parquet")],
        ["dataset-stats", str(table)],
        ["ls", "methods"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *line],
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr
