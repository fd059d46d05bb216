"""The papers' own figures of accuracy, as they print them.

Datasets and methods have the names of the registries; what a paper ran under another name (its
user models, base models, training sizes) stands in `condition`. Only tables of accuracy on a
person's own judgements are here: win rates and benchmarks answer other questions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One figure of one paper.

    Attributes:
        paper: Who and when, with the table.
        dataset: Registry name.
        method: Registry name.
        condition: Under what: training rows, variant, base model.
        value: Accuracy, a share.
        error: What the paper prints behind it, a share; None where it prints nothing.
    """

    paper: str
    dataset: str
    method: str
    condition: str
    value: float
    error: float | None = None


TOO_GOOD: Mapping[str, float] = {"prism": 0.72}
"""Dataset to the accuracy above which something leaks more likely than learns."""

_DONG = "Dong et al. 2025, Table 5"
_SIZES: Mapping[str, tuple[str, ...]] = {
    "personalllm": ("1,000", "10,000", "100,000"),
    "tldr": ("1,000", "10,000", "35,000"),
    "psoups": ("1,000", "10,000", "50,000"),
}
_SWEEP: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "pretrained": {"personalllm": (0.62,) * 3, "tldr": (0.65,) * 3, "psoups": (0.51,) * 3},
    "rag": {
        "personalllm": (0.50, 0.49, 0.51), "tldr": (0.48, 0.49, 0.49), "psoups": (0.50, 0.50, 0.48),
    },
    "bradley-terry": {
        "personalllm": (0.68, 0.73, 0.74), "tldr": (0.59, 0.60, 0.64), "psoups": (0.50, 0.50, 0.49),
    },
    "conditional": {
        "personalllm": (0.71, 0.72, 0.72), "tldr": (0.59, 0.59, 0.61), "psoups": (0.51, 0.50, 0.50),
    },
    "individual": {
        "personalllm": (0.74, 0.81, 0.86), "tldr": (0.56, 0.61, 0.62), "psoups": (0.74, 0.79, 0.80),
    },
    "vpl": {
        "personalllm": (0.68, 0.72, 0.74), "tldr": (0.60, 0.63, 0.64), "psoups": (0.57, 0.54, 0.62),
    },
    "gpo": {
        "personalllm": (0.72, 0.75, 0.81), "tldr": (0.50, 0.59, 0.59), "psoups": (0.49, 0.50, 0.51),
    },
    "p-rm": {
        "personalllm": (0.74, 0.82, 0.88), "tldr": (0.57, 0.66, 0.68), "psoups": (0.55, 0.83, 0.86),
    },
}  # fmt: skip

_PLUS = "Nam et al. 2025 (PLUS), Table 1"
_PLUS_ROWS: Mapping[str, tuple[tuple[str, str, float, float | None], ...]] = {
    "bradley-terry": (
        ("ultrafeedback-p", "P-2", 0.581, 0.003), ("ultrafeedback-p", "P-4", 0.527, None),
        ("prism", "seen users", 0.598, None),
    ),
    "dpl": (
        ("ultrafeedback-p", "P-2", 0.585, 0.007), ("ultrafeedback-p", "P-4", 0.562, None),
        ("prism", "seen users", 0.618, None),
    ),
    "vpl": (
        ("ultrafeedback-p", "P-2", 0.584, 0.003), ("ultrafeedback-p", "P-4", 0.553, None),
        ("prism", "seen users", 0.604, None),
    ),
    "icl": (
        ("ultrafeedback-p", "P-2", 0.597, 0.007), ("ultrafeedback-p", "P-4", 0.573, None),
        ("prism", "seen users", 0.601, None),
    ),
    "plus": (
        ("ultrafeedback-p", "P-2", 0.694, 0.011), ("ultrafeedback-p", "P-4", 0.618, None),
        ("prism", "seen users", 0.629, None),
    ),
}  # fmt: skip

_LI = "Li et al. 2024 (P-RLHF), Table 4"
_LI_ROWS = (
    ("dpo", "top 10 workers", 0.5891), ("p-dpo", "top 10 workers, individual", 0.9104),
    ("p-dpo", "top 10 workers, 5 clusters", 0.9112),
    ("dpo", "top 40 workers", 0.5491), ("p-dpo", "top 40 workers, individual", 0.9297),
    ("p-dpo", "top 40 workers, 5 clusters", 0.9174),
)  # fmt: skip


def published(dataset: str) -> list[Published]:
    """The figures that papers print for a dataset, whatever its variant; often none."""
    family = dataset.partition(":")[0]
    return [each for each in _all() if each.dataset == family]


def _all() -> Iterator[Published]:
    for method, by_dataset in _SWEEP.items():
        for dataset, values in by_dataset.items():
            for size, value in zip(_SIZES[dataset], values, strict=True):
                condition = f"{size} training rows, Llama-2-7B"
                yield Published(_DONG, dataset, method, condition, value)
    for method, rows in _PLUS_ROWS.items():
        for dataset, condition, value, error in rows:
            yield Published(_PLUS, dataset, method, condition, value, error)
    for method, condition, value in _LI_ROWS:
        said = f"{condition}, simulated wish for length"
        yield Published(_LI, "tldr", method, said, value)
