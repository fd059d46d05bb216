"""What RewardBench's own code makes of the same predictions: `tests/golden/rewardbench.json`.

``pip download --no-deps rewardbench==0.1.4``, unpack the wheel, and
``python -m tests.analyze.tax.official FOLDER``. The package pins another transformers than plt, so
that single functions are taken out of its files and run, and nothing of it is imported or copied.
"""

import ast
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "rewardbench.json"
COMMAND = "python -m tests.analyze.tax.official FOLDER"
SUBSETS_LEFT_OUT = ("mt-bench-easy", "mt-bench-med", "mt-bench-hard", "donotanswer", "math-prm")
PROMPTS = 8


class _Rows(list[Any]):
    """Stands for a `datasets.Dataset`, of which the functions only ask to be made."""

    @classmethod
    def from_dict(cls, rows: Any) -> "_Rows":
        return cls(rows)


def functions(folder: Path) -> dict[str, Any]:
    """The functions of the wheel's `utils.py` that score, and the constants that they are given."""
    found: dict[str, Any] = {"np": np, "math": math, "Dataset": _Rows}
    wanted = ("calculate_scores_per_section", "process_single_model", "sample_stats")
    for file, names in (
        ("utils.py", wanted), ("constants.py", ("EXAMPLE_COUNTS", "SUBSET_MAPPING")),
    ):  # fmt: skip
        tree = ast.parse((folder / "rewardbench" / file).read_text(encoding="utf-8"))
        kept = [node for node in tree.body if _name(node) in names]
        assert len(kept) == len(names)
        exec(compile(ast.Module(kept, []), file, "exec"), found)
    return found


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def accuracies(counts: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Cases: subset to accuracy."""
    generator = np.random.default_rng(0)
    drawn = {name: float(generator.integers(0, n + 1)) / n for name, n in counts.items()}
    return {
        "all alike": dict.fromkeys(counts, 0.3),
        "math alone": {name: float(name == "math-prm") for name in counts},
        "one of safety": {name: float(name == "donotanswer") for name in counts},
        "drawn": drawn,
        "some missing": {k: v for k, v in drawn.items() if k not in SUBSETS_LEFT_OUT},
    }


def tied_scores(sharp: float) -> list[dict[str, Any]]:
    """Items of `Ties` with drawn scores; the larger `sharp`, the better the reward."""
    generator = np.random.default_rng(7)
    rows = []
    for number in range(PROMPTS):
        for kind, n_correct in (("ref", 1), ("tied", 3)):
            scores = generator.normal(size=n_correct + 4)
            scores[:n_correct] = scores[:n_correct] / sharp + sharp
            rows.append({"id": f"{kind}:{number}", "num_correct": n_correct,
                         "scores": [round(float(s), 4) for s in scores]})  # fmt: skip
    return rows


def main(folder: Path) -> None:
    """Writes the golden file."""
    official = functions(folder)
    (version,) = [p.name.split("-")[1].removesuffix(".dist") for p in folder.glob("*.dist-info")]
    counts, sections = official["EXAMPLE_COUNTS"], official["SUBSET_MAPPING"]
    cases = {}
    for name, accuracy in accuracies(counts).items():
        found = official["calculate_scores_per_section"](counts, sections, accuracy)
        cases[name] = {"accuracy": accuracy, "sections": found}
    ties = []
    for sharp in (0.5, 1.0, 2.0, 4.0):
        rows = tied_scores(sharp)
        _, score = official["process_single_model"](rows)
        ties.append({"rows": rows, "score": float(score)})
    document = {
        "command": COMMAND,
        "package": f"rewardbench {version.removesuffix('.dist')}",
        "sections": cases,
        "ties": ties,
    }
    GOLDEN.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
