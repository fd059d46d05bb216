"""The imports of a package as arrows, and every way in which they break the house rules.

All imports count: those inside functions and those for type checkers too. Every function takes the
folder of a package, so that a copy with a fault planted in it can be examined like the real one.
"""

import ast
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDERS: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    "settings": frozenset({"errors"}),
    "data": frozenset({"errors", "settings"}),
    "train": frozenset({"errors", "settings", "data"}),
    "analyze": frozenset({"errors", "settings", "data"}),
    "study": frozenset({"errors", "settings", "data", "train", "analyze"}),
    "cli": frozenset({"errors", "settings", "data", "train", "analyze", "study"}),
    "api": frozenset({"errors", "settings", "data", "train", "analyze", "study", "cli"}),
    "__main__": frozenset({"cli"}),
}
"""What each folder or file of the package may know besides itself."""

LAYERS: Mapping[str, tuple[str, ...]] = {
    "data": ("remarks", "tables", "registry", "cache", "claims", "publishing", "identity", "run",
             "reading", "splitting", "simulate/banks", "simulate/world", "simulate", "sources",
             "benches", "truth", "verify", "catalog"),
    "train": ("method", "artifact", "registry", "judgements", "runtime", "people", "solvers",
              "heads", "models", "features", "in_context", "tuning", "multi_user", "policies",
              "methods", "runs", "writing", "judges"),
    "analyze": ("intervals", "registry", "permutation", "votes", "repeats", "taste", "verdict",
                "dataset", "lint", "scores", "comparison", "adaptation", "tax", "report"),
    "study": ("compute", "digests", "plan", "length_experiment", "outcome", "run_facts", "entries",
              "make_run", "gains", "execute", "newcomers", "costs", "reports"),
    "cli": ("shell", "formats", "pages", "commands"),
    "api": ("answer", "tables", "runs", "newcomers", "tax", "dose"),
}  # fmt: skip
"""The rooms of a folder from the ground up; a room may know earlier ones. A room inside a room that
is not named stands where the one around it does."""

FREE_ROOMS = (
    "cli/commands", "data/sources", "data/simulate", "data/reading/schemas", "train/methods",
)  # fmt: skip
"""One file a thing, so that there may be many."""

MAX_FILES, MAX_LINES, MAX_FUNCTION, MAX_COMMAND = 12, 400, 50, 100


@dataclass(frozen=True)
class Arrow:
    """One import: both ends as parts of a path below the package, and where it stands."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    place: str

    def __str__(self) -> str:
        ends = (".".join(("plt", *end)) for end in (self.source, self.target))
        return f"{' -> '.join(ends)} ({self.place})"


def modules(package: Path) -> dict[tuple[str, ...], Path]:
    """Name below the package, in parts, to file; () is the package itself."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[parts[:-1] if parts[-1] == "__init__" else parts] = path
    return found


def arrows(package: Path) -> list[Arrow]:
    """Every import of one module of the package by another, lazy ones and those for types too.

    The package's own facade is left out: it may point anywhere, since it does so only when asked.
    """
    known = modules(package)
    found = []
    for source, path in known.items():
        if source == ():
            continue
        for name, line in _imported(path):
            parts = tuple(name.split("."))
            if parts[0] != "plt":
                continue
            target = parts[1:]
            while target not in known:
                target = target[:-1]  # the last part was a name inside the module
            if target not in (source, ()):
                place = f"{path.relative_to(package.parent).as_posix()}:{line}"
                found.append(Arrow(source, target, place))
    return found


def _imported(path: Path) -> tuple[tuple[str, int], ...]:
    return _imports_of(path.read_text(encoding="utf-8"))


@functools.cache
def _imports_of(text: str) -> tuple[tuple[str, int], ...]:
    """(what is imported, line) of a file; copies of one file are read once."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            found += ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found += (
                (argument.value, node.lineno)
                for argument in node.args[:1]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )
    return tuple(found)


def foreign(package: Path) -> list[tuple[str, str]]:
    """(folder, package that is imported) of what is not plt, lazy imports too."""
    return [
        (source[0], name.split(".")[0])
        for source, path in modules(package).items()
        if source
        for name, _ in _imported(path)
        if not name.startswith("plt.")
    ]


def room(package: Path, module: tuple[str, ...]) -> str:
    """The folder that a file lies in; a file directly in ``plt/FOLDER/`` is a room of its own."""
    if (package.joinpath(*module) / "__init__.py").exists():
        return "/".join(module)
    return "/".join(module if len(module) <= 2 else module[:-1])


def folder_problems(package: Path) -> list[str]:
    """Arrows from one folder to another that the layers of folders do not allow."""
    return [
        str(arrow)
        for arrow in arrows(package)
        if arrow.source[0] != arrow.target[0]
        and arrow.target[0] not in FOLDERS.get(arrow.source[0], frozenset())
    ]


def layer_problems(package: Path) -> list[str]:
    """Arrows inside a folder from a room to one that lies above it."""
    problems = []
    for arrow in arrows(package):
        if arrow.source[0] != arrow.target[0]:
            continue
        here, there = (_height(room(package, end)) for end in (arrow.source, arrow.target))
        if here is not None and there is not None and there > here:
            problems.append(str(arrow))
    return problems


def unplaced_rooms(package: Path) -> list[str]:
    """Rooms of which nobody said where they stand."""
    rooms = {room(package, module) for module in modules(package) if len(module) > 1}
    return [
        f"plt/{name} is not in LAYERS: say between which rooms it stands"
        for name in sorted(rooms)
        if _height(name) is None
    ]


def _height(name: str) -> int | None:
    """Where a room, or the nearest room around it, stands in the layers of its folder."""
    folder, _, rest = name.partition("/")
    while rest:
        if rest in LAYERS.get(folder, ()):
            return LAYERS[folder].index(rest)
        rest = rest.rpartition("/")[0]
    return None


def file_circles(package: Path) -> list[str]:
    """Circles of files, each with the arrows that close it."""
    return _circles((a.source, a.target, a) for a in arrows(package))


def room_circles(package: Path) -> list[str]:
    """Circles of rooms, each with the arrows that close it."""
    ends = ((room(package, a.source), room(package, a.target), a) for a in arrows(package))
    return _circles((one, other, arrow) for one, other, arrow in ends if one != other)


def _circles(edges: Iterable[tuple[object, object, Arrow]]) -> list[str]:
    """One line a circle: for each step of a shortest way round, one arrow."""
    graph: dict[object, dict[object, Arrow]] = defaultdict(dict)
    for one, other, arrow in edges:
        graph[one].setdefault(other, arrow)
    found: dict[frozenset[object], str] = {}
    for start in list(graph):
        if (steps := _way_back(graph, start)) is not None:
            on_it = frozenset(step.source for step in steps)
            found.setdefault(on_it, "; ".join(map(str, steps)))
    return list(found.values())


def _way_back(graph: Mapping[object, Mapping[object, Arrow]], start: object) -> list[Arrow] | None:
    """The arrows of a shortest way from a node back to itself."""
    ways: dict[object, list[Arrow]] = {start: []}
    queue = [start]
    for node in queue:
        for following, arrow in graph.get(node, {}).items():
            if following == start:
                return [*ways[node], arrow]
            if following not in ways:
                ways[following] = [*ways[node], arrow]
                queue.append(following)
    return None


def crowded_rooms(package: Path) -> list[str]:
    """Rooms with more files than a person takes in at a glance."""
    counts: dict[str, int] = defaultdict(int)
    for path in package.rglob("*.py"):
        inside = path.parent.relative_to(package).as_posix()
        if path.name != "__init__.py" and inside != ".":
            counts[inside] += 1
    return [
        f"plt/{name} has {count} files; at most {MAX_FILES}: divide it into rooms"
        for name, count in sorted(counts.items())
        if count > MAX_FILES and not name.startswith(FREE_ROOMS)
    ]


def long_parts(package: Path) -> list[str]:
    """Files and functions that are too long; a docstring is documentation, not length."""
    problems = []
    for path in modules(package).values():
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(package.parent).as_posix()
        if (lines := len(text.splitlines())) > MAX_LINES:
            problems.append(f"{place} has {lines} lines; at most {MAX_LINES}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node, clean=False)
                length = (node.end_lineno or 0) - node.lineno + 1
                length -= len(documented.splitlines()) if documented else 0
                # The flags of a command are its parameters, a few lines each; in Python too.
                command = place.startswith("plt/api/") or (
                    place.startswith("plt/cli/commands/") and node.name == "command"
                )
                if length > (limit := MAX_COMMAND if command else MAX_FUNCTION):
                    problems.append(f"{place}: {node.name} has {length} lines; at most {limit}")
    return problems
