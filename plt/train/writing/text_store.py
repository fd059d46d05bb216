"""Finished batches of a table of texts that is not finished, so that a kill loses one batch.

A folder of JSON files, each written once, by an atomic rename, under the hash of everything on
which its texts depend. The same line typed again asks for the same batches and finds them; another
line asks for others, and finds nothing.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from plt.data.run import package_versions
from plt.data.tables.files import write_text
from plt.errors import ArtifactError
from plt.train.method import Compute
from plt.train.runtime.devices import resolve_device
from plt.train.writing.sampling import Continuation, Sampling, Start

# Hidden ones are what a kill left of a file that was being written.
OURS = re.compile(r"\.?[0-9a-f]{32}\.json(\..*\.tmp)?")


@dataclass(frozen=True)
class TextStore:
    """Texts of one command, by batch.

    Attributes:
        folder: Its files; need not exist yet.
        facts: What JSON can hold of everything besides the starts that decides a text: weights,
            sampling, guide, device, dtype, versions.
        found: Sizes of the batches that were found; copies by `of` share it.
    """

    folder: Path
    facts: Mapping[str, Any]
    found: list[int] = field(default_factory=list)

    def of(self, model: str) -> Self:
        """The part of one of several models that write, in the same folder."""
        return replace(self, facts={**self.facts, "model": model})

    def find(self, starts: Sequence[Start]) -> list[Continuation] | None:
        """The texts of a batch, or None when it was not finished.

        Raises:
            ArtifactError: The file is damaged.
        """
        path = self._path(starts)
        try:
            texts = [
                Continuation(ids, ended)
                for ids, ended in json.loads(path.read_text(encoding="utf-8"))
            ]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(f"{path} is damaged: {error}", hint=f"rm {path}") from error
        self.found.append(len(texts))
        return texts

    def add(self, starts: Sequence[Start], texts: Sequence[Continuation]) -> None:
        """Keeps the texts of a batch.

        Raises:
            ArtifactError: The folder cannot be written.
        """
        write_text(self._path(starts), json.dumps([[text.ids, text.ended] for text in texts]))

    def clear(self) -> None:
        """Removes the files of this and of interrupted lines, and the folder if nothing is left."""
        with suppress(FileNotFoundError):
            for path in list(self.folder.iterdir()):
                if OURS.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        with suppress(OSError):  # other files are not ours to remove
            self.folder.rmdir()

    def _path(self, starts: Sequence[Start]) -> Path:
        # A row's seed stands for seed, prompt, user and sample.
        rows = [[[int(token) for token in start.ids], start.seed] for start in starts]
        text = json.dumps([self.facts, rows], sort_keys=True)
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return self.folder / f"{name}.json"


def text_store(folder: Path, weights: str, sampling: Sampling, compute: Compute) -> TextStore:
    """The store of one command.

    Args:
        folder: Where.
        weights: The fingerprint of what writes.
        sampling: How tokens are chosen.
        compute: Device and dtype; the batch size decides which texts are kept together.
    """
    plain = {key.name: getattr(sampling, key.name) for key in fields(sampling)}
    plain["guide"] = sampling.guide and sampling.guide.fingerprint
    facts = {
        "weights": weights,
        "sampling": plain,
        "device": resolve_device(compute.device).type,
        "dtype": compute.dtype,
        "versions": package_versions(),
    }
    return TextStore(folder, facts)
