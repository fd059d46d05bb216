"""What is compared: a scores table, and the conditions that its run was made under."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl


@dataclass(frozen=True)
class Condition:
    """What a sweep varies; None is what a run does not have or nobody wrote down.

    Attributes:
        model: The backbone.
        tune: How much of it is trained.
        train_size: Training rows that were drawn; None is all of them.
        train_size_of: ``total`` or ``user``, with `train_size`.
        rows_a_user: Mean training rows of a user.
        select: By what criterion it chose the answers of new people.
    """

    model: str | None = None
    tune: str | None = None
    train_size: int | None = None
    train_size_of: str | None = None
    rows_a_user: float | None = None
    select: str | None = None

    @property
    def size(self) -> tuple[int | None, str | None]:
        """What a sample size is the same by."""
        return self.train_size, self.train_size_of

    @property
    def size_label(self) -> str:
        """``1,000``, ``30 a user`` or ``all``."""
        if self.train_size is None:
            return "all"
        return f"{self.train_size:,}" + (" a user" if self.train_size_of == "user" else "")


@dataclass(frozen=True)
class Cost:
    """What a run took; None is what nobody wrote down.

    Attributes:
        seconds: From start to end, the waiting for other processes included.
        peak_memory_mib: Resident memory of the process at its peak.
        parameters: Numbers that the run keeps: what it learnt, without a frozen backbone.
        tokens: Tokens that went through the backbone for it.
        judgements: Training rows.
    """

    seconds: float | None = None
    peak_memory_mib: float | None = None
    parameters: int | None = None
    tokens: int | None = None
    judgements: int | None = None


@dataclass(frozen=True)
class Entry:
    """One scores table of a comparison.

    Attributes:
        name: How it is called: the method, and more where methods repeat.
        method: Registry name.
        run_id: The run.
        scores: Its `scores/1` table, controls included.
        footnote: What a reader must know about its split: a paper's protocol that leaks, or what
            answers and questions of new people may share.
        condition: What its run was made under.
        cost: What it took.
        personal: Whether its method can learn anything of one person; None where nobody knows it.
    """

    name: str
    method: str
    run_id: str
    scores: pl.DataFrame
    footnote: str | None = None
    condition: Condition = field(default_factory=Condition)
    cost: Cost = field(default_factory=Cost)
    personal: bool | None = None


def named(entries: Sequence[Entry]) -> list[Entry]:
    """Entries called by their method, and where methods repeat by what tells them apart.

    That is the model and the training size where these differ, who chose the answers, then the
    start of the run id, then whose reward it is where all judgements were scored as one person, and
    at last a number.
    """
    methods = Counter(entry.method for entry in entries)
    models = {entry.condition.model for entry in entries if entry.condition.model is not None}
    sizes = {entry.condition.size for entry in entries}
    first = []
    for entry in entries:
        parts = [entry.method]
        if methods[entry.method] > 1:
            if len(models) > 1 and entry.condition.model is not None:
                parts.append(entry.condition.model)
            if len(sizes) > 1:
                parts.append(entry.condition.size_label)
            if entry.condition.select is not None:
                parts.append(entry.condition.select)
        first.append(", ".join(parts))
    repeated = Counter(first)
    runs = Counter((entry.method, entry.run_id) for entry in entries)
    used: Counter[str] = Counter()
    found = []
    for entry, name in zip(entries, first, strict=True):
        if repeated[name] > 1:
            name = f"{name} {entry.run_id[:6]}"
        if runs[entry.method, entry.run_id] > 1:
            name += _scored_as(entry.scores)
        used[name] += 1
        if used[name] > 1:
            name = f"{name} #{used[name]}"
        found.append(replace(entry, name=name))
    return found


def _scored_as(scores: pl.DataFrame) -> str:
    """`` as X`` where every judgement, also those of others, was scored as one person."""
    own = scores.filter(scores["control"].is_null())
    whose = own["scored_as"].unique().to_list()
    if len(whose) != 1 or own["user_id"].n_unique() == 1:
        return ""
    return f" as {'population' if whose[0] is None else whose[0]}"
