"""A local language model whose answers are kept on disk, so that a stopped run goes on."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plt.data.cache import CACHE_ELSEWHERE
from plt.data.tables.files import write_text
from plt.train.judges.judge import Reading
from plt.train.judges.model_judge import ModelJudge, in_both_orders
from plt.train.judges.questions import ORDERS, WITHOUT_TIE, question
from plt.train.method import Progress, silent

BLOCK = 64


@dataclass(frozen=True)
class KeptJudge:
    """Asks only what was not asked before, `BLOCK` judgements at a time.

    Attributes:
        judge: The model.
        folder: Where answers are kept, by the content of model, question and texts.
        progress: Called after every block.
    """

    judge: ModelJudge
    folder: Path
    progress: Progress = silent

    @property
    def name(self) -> str:
        """The model."""
        return self.judge.name

    def unanswered(self, contests: pl.DataFrame) -> int:
        """How many questions about these contests would be asked."""
        paths = {self._path(contest) for contest in contests.iter_rows(named=True)}
        return len(ORDERS) * sum(_kept(path) is None for path in paths)

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """Two readings a contest, system 1 first and system 2 first."""
        paths = [self._path(contest) for contest in contests.iter_rows(named=True)]
        rows = {path: row for row, path in enumerate(paths)}
        scores = {path: kept for path in rows if (kept := _kept(path)) is not None}
        missing = [path for path in rows if path not in scores]
        for start in range(0, len(missing), BLOCK):
            block = missing[start : start + BLOCK]
            found = self.judge.log_odds(contests[[rows[path] for path in block]])
            for path, both in zip(block, found.tolist(), strict=True):
                scores[path] = both
                write_text(path, json.dumps(both), CACHE_ELSEWHERE)
            self.progress("judging", start + len(block), len(missing))
        every = np.array([scores[path] for path in paths]).reshape(-1, len(ORDERS))
        return in_both_orders(every, self.judge.tie_below)

    def _path(self, contest: dict[str, Any]) -> Path:
        options = self.judge.options
        profile = self.judge.profiles.get(contest["user_id"])
        asked = [
            options.source.fingerprint, options.encoder.max_length, self.judge.compute.dtype,
            question(profile), WITHOUT_TIE, contest["prompt"],
            contest["response_1"], contest["response_2"],
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.json"


def _kept(path: Path) -> list[float] | None:
    """The log-odds in both orders, or None where they are not there or half written."""
    try:
        one, other = json.loads(path.read_text(encoding="utf-8"))
        return [float(one), float(other)]
    except (OSError, ValueError, TypeError):
        return None
