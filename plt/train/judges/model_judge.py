"""A local language model as a judge: which of A and B it would say next, in both orders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.train.judges.judge import Reading, side
from plt.train.judges.questions import ORDERS, WITHOUT_TIE, question
from plt.train.method import Compute, FloatArray
from plt.train.models.ab_choice import Choice, OptionJudge


@dataclass(frozen=True)
class ModelJudge:
    """Reads the next token behind each question; nothing is generated, so nothing is parsed.

    Where a question does not fit the model's window, its longest texts lose their middles, the
    same way in both orders.

    Attributes:
        options: The model.
        compute: How many questions a forward pass.
        profiles: What persons say of themselves, by name, which the judge is told.
        tie_below: Log-odds smaller than this are ties; never less than 1e-6.
    """

    options: OptionJudge
    compute: Compute
    profiles: Mapping[str, str]
    tie_below: float = 0.0

    @property
    def name(self) -> str:
        """The model."""
        return f"model:{self.options.source.name}"

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """Two readings a contest, system 1 first and system 2 first."""
        return in_both_orders(self.log_odds(contests), self.tie_below)

    def log_odds(self, contests: pl.DataFrame) -> FloatArray:
        """Log-odds (n, 2) that system 1 is better, when it stands first and when it does not."""
        asked: dict[str, list[int]] = {}
        choices = []
        for row, contest in enumerate(contests.iter_rows(named=True)):
            text = f"{question(self.profiles.get(contest['user_id']))} {WITHOUT_TIE}"
            asked.setdefault(text, []).append(row)
            one, two = contest["response_1"], contest["response_2"]
            prompt = contest["prompt"]
            choices.append([Choice(prompt, one, two), Choice(prompt, two, one)])
        scores = np.zeros((contests.height, len(ORDERS)))
        for text, rows in asked.items():
            shown = [[choice] for row in rows for choice in choices[row]]
            scores[rows] = self.options.ask(text, shown, self.compute).reshape(-1, len(ORDERS))
        scores[:, 1] *= -1
        return scores


def in_both_orders(scores: FloatArray, tie_below: float) -> list[list[Reading]]:
    """Two readings a contest from its log-odds (n, 2)."""
    return [
        [
            Reading(order, side(float(score), tie_below), score=float(score))
            for order, score in zip(ORDERS, row, strict=True)
        ]
        for row in scores
    ]
