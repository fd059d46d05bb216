"""Models from the Hugging Face hub: found in its cache or downloaded, never pickled."""

import os
from pathlib import Path

from plt.errors import ArtifactError, PltError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "1_Pooling/config.json")
HUB_TIMEOUT_SECONDS = 10.0


def hub_model(model: str) -> tuple[Path, str | None]:
    """The folder of a hub model and its commit, from the local cache or by one download.

    Args:
        model: ``owner/name``, perhaps with ``@revision``.

    Raises:
        ArtifactError: It is neither cached nor to be had, or holds pickles only.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, _, revision = model.partition("@")
    command = f"hf download {repository}" + (f" --revision {revision}" if revision else "")
    patterns = list(FILES)
    try:
        path = snapshot_download(
            repository, revision=revision or None, local_files_only=True, allow_patterns=patterns
        )
    except LocalEntryNotFoundError as error:
        if _offline():
            raise ArtifactError(
                f"model {model} is neither a folder nor in the local cache, and HF_HUB_OFFLINE"
                " is set",
                hint=f"HF_HUB_OFFLINE=0 {command}",
            ) from error
        path = _download(model, repository, revision or None, command)
    return Path(path), Path(path).name


def _offline() -> bool:
    yes = ("1", "true", "yes", "on")
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in yes for name in names)


def _download(model: str, repository: str, revision: str | None, command: str) -> str:
    """Asks the hub once, so that an unreachable network is answered in seconds."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(repository, revision=revision, timeout=HUB_TIMEOUT_SECONDS)
        names = [file.rfilename for file in info.siblings or ()]
        refuse_pickles(model, names)
        path: str = snapshot_download(repository, revision=info.sha, allow_patterns=list(FILES))
    except PltError:
        raise
    except Exception as error:
        # The hub's HTTP library, hence the class of a network error, changes with its version.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtifactError(
            f"model {model} is neither a folder nor in the local cache, and the hub did not give"
            f" it: {reason}",
            hint=command,
        ) from error
    return path


def refuse_pickles(model: str, names: list[str]) -> None:
    """Raises `ArtifactError` where no weights are safetensors, naming the pickles."""
    pickles = sorted(name for name in names if name.endswith(PICKLE_SUFFIXES))
    if any(name.endswith(".safetensors") for name in names):
        return
    if pickles:
        raise ArtifactError(
            f"model {model} has its weights in pickles only; plt loads no pickles because that"
            " runs their code",
            problems=[f"{name} is a pickle" for name in pickles],
            hint="convert it with safetensors' convert.py, or choose a model with *.safetensors",
        )
    raise ArtifactError(
        f"model {model} has no weights: no *.safetensors among its files", hint="plt ls models"
    )
