"""What a study found: runs with their test accuracy and gain over vanilla, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plt.analyze.comparison.gains import Gain
    from plt.study.length_experiment import LengthExperiment
    from plt.study.plan import Cell


@dataclass(frozen=True)
class Accuracy:
    """The test accuracy of a run, as its metrics table has it.

    Attributes:
        value: Over users where there are any, else over judgements.
        ci_low: Lower end of the 95 % interval; null where there is none.
        ci_high: Upper end.
        interval: What the interval generalises to, and its kind.
        average: ``user`` or ``pair``.
        n_judgements: How many it rests on, ties left out.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    interval: str | None
    average: str
    n_judgements: int

    def to_json(self) -> dict[str, Any]:
        """The figure as ``plt train --json`` prints it."""
        return {key: value for key, value in asdict(self).items() if key != "n_judgements"}


@dataclass(frozen=True)
class OverVanilla:
    """What a personal run has over vanilla, over users.

    Attributes:
        baseline: The folder of the run that it is compared with.
        over: The gain, its controls, and whom it harms.
        about: What its intervals are about, in words.
    """

    baseline: Path
    over: Gain
    about: str

    def to_json(self) -> dict[str, Any]:
        """The differences as ``plt train --json`` prints them."""
        from plt.analyze.intervals.figures import difference_json

        return {
            "baseline": str(self.baseline),
            "about": self.about,
            "own": difference_json(self.over.own),
            "own_minus_wrong_user": difference_json(self.over.part),
            "wrong_user": difference_json(self.over.wrong_user),
            "shuffled_ids": difference_json(self.over.shuffled_ids),
            "whose": self.over.whose,
            "harmed": None if self.over.harmed is None else self.over.harmed.to_json(),
        }


@dataclass(frozen=True)
class Made:
    """A finished run of a study.

    Attributes:
        cell: What was asked for.
        path: The run directory.
        run_id: The id of the run.
        training: How many rows of how many users were learnt from, as the manifest has it.
        accuracy: On test rows; None where the table has none.
        notes: What must be said of the fit, as the manifest has it.
        gain: Over vanilla; None where it is not known or means nothing.
        experiment: P-RLHF's controlled experiment; None where the run is none of it.
    """

    cell: Cell
    path: Path
    run_id: str
    training: Mapping[str, Any] | None
    accuracy: Accuracy | None
    notes: tuple[str, ...] = ()
    gain: OverVanilla | None = None
    experiment: LengthExperiment | None = None

    def to_json(self) -> dict[str, Any]:
        """The run as ``plt train --json`` prints it."""
        sample = self.cell.sample
        return {
            "run": str(self.path),
            "run_id": self.run_id,
            "method": self.cell.name,
            "model": self.cell.config.get("model"),
            "train_size": None if sample is None else sample.size,
            "train_size_of": None if sample is None else sample.of,
            "training": self.training,
            "accuracy": None if self.accuracy is None else self.accuracy.to_json(),
            "gain": None if self.gain is None else self.gain.to_json(),
            "notes": list(self.notes),
            "length_experiment": None if self.experiment is None else self.experiment.to_json(),
        }


@dataclass(frozen=True)
class Failed:
    """A run that failed.

    Attributes:
        label: What it is called in the study.
        reason: Why, in one line.
        exit_code: 2 for what a person can fix, 3 for the rest.
    """

    label: str
    reason: str
    exit_code: int


@dataclass(frozen=True)
class Outcome:
    """What became of the cells of a study.

    Attributes:
        made: The finished runs, in the order that was asked for.
        failed: Those that failed.
        skipped: Method to the reason why it was not run at all.
    """

    made: tuple[Made, ...]
    failed: tuple[Failed, ...]
    skipped: Mapping[str, str]

    @property
    def exit_code(self) -> int:
        """0, or the worst of the failures'."""
        return max((failure.exit_code for failure in self.failed), default=0)

    def to_json(self) -> dict[str, Any]:
        """The object that ``plt train --json`` prints."""
        return {
            "runs": [made.to_json() for made in self.made],
            "skipped": [{"method": name, "reason": why} for name, why in self.skipped.items()],
            "failed": [{"run": each.label, "reason": each.reason} for each in self.failed],
        }
