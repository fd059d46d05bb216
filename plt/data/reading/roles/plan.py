"""Which form a raw preference file has, and which column is which field."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from plt.data.reading.field_map import NONE_SOURCE, exists, missing, split_sources, values
from plt.data.reading.judged.pair_form import transcripts_stand_in
from plt.data.reading.judged.rows import ROW_FIELDS
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find, rated
from plt.data.reading.roles.left_out import (
    left_out,
    may_be_label,
    may_be_people,
    may_be_prompt,
)
from plt.data.reading.roles.names import RANKS, parts
from plt.errors import DataError

REQUIRED = {
    "chosen": ("chosen", "rejected"),
    "pair": ("prompt", "response_1", "response_2"),
    "rating": ("prompt", "response"),
}
JUDGED_BY = {"pair": ("label", "won_1"), "rating": ("score", "rank", "ranking", "label")}
FORM_MARKS = (
    ("chosen", ("chosen", "rejected")),
    ("pair", ("response_1", "response_2", "won_1", "won_2")),
    ("rating", ("response", "score", "rank", "ranking")),
)
HINT = "--map prompt=COLUMN --map response_1=COLUMN --map response_2=COLUMN --map label=COLUMN"
EXTRAS = ("strength", "shown_first", "judged_at", "discarded")
TURNED = frozenset(
    {"worse", "worst", "loser", "losing", "lost", "loses", "rejected", "dispreferred", "loss",
     "error", "errors", "perplexity", "ppl", "penalty"}
)  # fmt: skip
"""Words of names of columns in which the other response, or the lower number, is the better."""


@dataclass(frozen=True)
class Known:
    """What a public schema says of a file that has its columns.

    Attributes:
        form: `chosen`, `pair` or `rating`.
        sources: Field to source.
        words: Word of a label to its meaning.
        fill: Whether the usual names give the fields that the schema does not: formats of tools
            have any columns beside their own, published data sets have not.
        by_score: Whether the higher of `score_1` and `score_2` wins.
        equal_ties: Whether equal scores of a pair are a tie.
        scored_by: The users whose scores stand in the columns of `score_1` and `score_2`.
        notes: Sentences for the person.
    """

    form: str
    sources: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    fill: bool = False
    by_score: bool = False
    equal_ties: bool = False
    scored_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilePlan:
    """What a raw file is.

    Attributes:
        form: `chosen`, `pair` or `rating`.
        sources: Field to source.
        words: Word of a label to its meaning.
        by_score: As `Known`.
        equal_ties: As `Known`.
        scored_by: As `Known`.
        left_out: Kind of values to the columns that are not read.
    """

    form: str
    sources: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    by_score: bool = False
    equal_ties: bool = False
    scored_by: tuple[str, ...] = ()
    left_out: Mapping[str, list[str]] = field(default_factory=dict)

    def map_line(self) -> str:
        """The flags that say the same."""
        items = [f"--map {_quoted(f'{name}={source}')}" for name, source in self.sources.items()]
        said = [f"{meaning}={word}" for word, meaning in self.words.items()]
        if said:
            items.append(f"--label-values {_quoted(','.join(said))}")
        return " ".join(items)


def _quoted(item: str) -> str:
    return f"'{item}'" if set(item) & set(" *'\"$&;()<>|\\") else item


def plan_of(
    table: RawTable,
    mapped: Mapping[str, str],
    words: Mapping[str, str] | None = None,
    *,
    known: Known | None = None,
    unlabelled: bool = False,
) -> FilePlan:
    """Decides the form of a file and where each field stands: by `--map`, by its schema, by names.

    Args:
        table: The raw file.
        mapped: Field to source, as typed.
        words: Word of a label to its meaning, as typed.
        known: What the file's public schema says, where it has one.
        unlabelled: Whether pairs without a label are meant.

    Returns:
        The plan; every source exists.

    Raises:
        DataError: Columns are missing, or a field that is needed is empty while columns that nobody
            reads may be it; all are named with the nearest names, and the hint can be typed.
    """
    absent = [
        f"{name}: {missing(table, part)}"
        for name, source in mapped.items()
        for part in split_sources(table, source)
        if not exists(table, part)
    ]
    if absent:
        raise DataError(f"{table.name} lacks mapped columns", problems=absent)
    mapped = _one_hot(table, mapped)
    typed = _typed(table, mapped)
    if known is not None and typed not in (None, known.form):
        known = None
    form = typed or (known.form if known else _form(table, mapped))
    found = {**_found(table, form, mapped, known), **mapped}
    plan = FilePlan(form, found, {**(known.words if known else {}), **(words or {})})
    if known is not None:
        plan = replace(
            plan, by_score=known.by_score, equal_ties=known.equal_ties, scored_by=known.scored_by
        )
        if words:
            plan = replace(plan, words=words)
    elif {"score_1", "score_2"} <= set(mapped) and not {"label", "won_1"} & set(found):
        users = split_sources(table, mapped["score_1"])
        plan = replace(plan, by_score=True, scored_by=tuple(users) if len(users) > 1 else ())
    plan = replace(plan, left_out=left_out(table, plan.sources.values()))
    _refuse_turned(table, mapped, plan.words)
    _refuse_lacking(table, plan, mapped)
    _refuse_empty(table, plan, unlabelled)
    columns = [part for name in ("label", "score") for part in found.get(name, "").split(",")]
    said_nobody = "user_id" in mapped or (known is not None and not known.fill) or len(columns) > 2
    _refuse_unread(table, plan, said_nobody=said_nobody)
    sources = {name: source for name, source in found.items() if source != NONE_SOURCE}
    return replace(plan, sources=sources)


def _one_hot(table: RawTable, mapped: Mapping[str, str]) -> Mapping[str, str]:
    """A label that is mapped to columns of 0 and 1 for the winner, as these columns."""
    parts_of_label = [part.strip() for part in mapped.get("label", "").split(",")]
    found = find.one_hot(table) if len(parts_of_label) > 1 else {}
    columns = [part for source in found.values() for part in source.split(",")]
    if not found or set(columns) != set(parts_of_label):
        return mapped
    return {name: source for name, source in mapped.items() if name != "label"} | found


def _typed(table: RawTable, mapped: Mapping[str, str]) -> str | None:
    """The form that the mapped fields belong to."""
    for form, marks in FORM_MARKS:
        if any(mark in mapped for mark in marks):
            return form
    if "label" in mapped and find.chosen_pair(table) is None:
        return "rating" if find.family(table) and not find.one_hot(table) else "pair"
    return None


def _form(table: RawTable, mapped: Mapping[str, str]) -> str:
    del mapped
    if find.chosen_pair(table):
        return "chosen"
    if find.family(table) and rated.is_judged(rated.rated(table, {})):
        return "rating"
    pair = find.response_pair(table)
    if pair and (find.labels(table, pair) or find.one_hot(table) or find.judges(table)):
        return "pair"
    found = rated.rated(table, {})
    two = pair is not None and found.get("response") == "response_*" and "score" in found
    return "rating" if found and not two else "pair"


def _found(
    table: RawTable, form: str, mapped: Mapping[str, str], known: Known | None
) -> dict[str, str]:
    """The sources that the schema, or well-known names, give to the fields that are not mapped."""
    if known is not None and not known.fill:
        return dict(known.sources)
    found: dict[str, str] = dict(known.sources) if known else _answers(table, form, mapped)
    if known is not None and form == "chosen":
        found = find.beside(table, (found["chosen"], found["rejected"])) | found
    used = [
        part for source in {**found, **mapped}.values() for part in split_sources(table, source)
    ]
    for name in (*ROW_FIELDS, *EXTRAS):
        column = find.person(table, used) if name == "user_id" else find.first(table, name)
        if name == "discarded" and column is None:
            column = find.status(table, used)
        if column is not None and name not in found and column not in used:
            found[name] = column
            used.append(column)
    if form == "chosen" and "tied" not in found and (ties := find.ties(table, used)):
        found["tied"] = ties
    answers = [found[n] for n in ("chosen", "rejected", "response_1", "response_2") if n in found]
    if "prompt" not in found:
        prompt = find.prompt(table, form, answers, [c for c in used if c not in _shared(mapped)])
        if prompt is not None:
            found["prompt"] = prompt
            used += split_sources(table, prompt)
    if "system" not in found and (system := find.system(table, form, used)):
        found["system"] = system
    if "history" not in found and (history := find.first(table, "history")) not in (None, *used):
        found["history"] = str(history)
    elif "history" not in found and (history := find.earlier(table, answers, used)):
        found["history"] = history
    return find.free(found, mapped, table, ("prompt", *REQUIRED[form]))


def _shared(mapped: Mapping[str, str]) -> list[str]:
    return [mapped[name] for name in ("group", "subset", "profile") if name in mapped]


def _answers(table: RawTable, form: str, mapped: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    sides: tuple[str, str] | None = None
    if form == "chosen":
        sides = find.chosen_pair(table)
        found |= dict(zip(("chosen", "rejected"), sides or (), strict=False))
    elif form == "pair":
        if "response_1" not in mapped and "response_2" not in mapped:
            sides = find.response_pair(table)
            found |= dict(zip(("response_1", "response_2"), sides or (), strict=False))
        elif {"response_1", "response_2"} <= set(mapped):
            sides = (mapped["response_1"], mapped["response_2"])
        if not {"label", "won_1"} & set(mapped):
            labels = find.labels(table, list(sides or ()))
            one = {"label": labels[0]} if len(labels) == 1 else {}
            found |= find.one_hot(table) or one or ({} if labels else find.judges(table))
    else:
        found |= rated.rated(table, mapped)
        judged = {"score", "rank", "ranking", "label"}
        if judged & set(mapped):
            found = {name: source for name, source in found.items() if name not in judged}
    if sides is not None:
        found |= find.beside(table, sides)
    return found


def _refuse_lacking(table: RawTable, plan: FilePlan, mapped: Mapping[str, str]) -> None:
    """Fields without which the form cannot be read."""
    needed = list(REQUIRED[plan.form])
    pair = [plan.sources.get(name) for name in ("response_1", "response_2", "response")]
    cells = [values(table, s) for s in pair if s and exists(table, s) and "*" not in s]
    if cells and all(transcripts_stand_in(column) for column in cells):
        needed.remove("prompt")
    if "*" in (plan.sources.get("response") or "") and not may_be_prompt(plan.left_out):
        needed = [name for name in needed if name != "prompt"]
    problems = [f"{n}: {_lacking(table, n, mapped)}" for n in needed if n not in plan.sources]
    if problems:
        likely = may_be_prompt(plan.left_out)
        alone = len(problems) == 1 and problems[0].startswith("prompt") and likely
        raise DataError(
            f"{table.name} lacks what the {plan.form} form needs",
            problems=problems,
            hint=f"--map prompt={likely[0]}" if alone else HINT,
        )
    for name, source in plan.sources.items():
        if name.startswith("score") and set(parts(source)) & RANKS:
            raise DataError(
                f"{table.name}: {source!r} is mapped to {name}, where higher is better, and is"
                " called like a rank, of which 1 is the best",
                hint=f"--map rank={source}",
            )


def _lacking(table: RawTable, name: str, mapped: Mapping[str, str]) -> str:
    takers = [field for field, source in mapped.items() if name in split_sources(table, source)]
    if name in table.columns and takers:
        return f"column {name!r} is mapped to {takers[0]}; --map {name}={name} makes it serve both"
    return missing(table, name)


def _refuse_turned(table: RawTable, mapped: Mapping[str, str], words: Mapping[str, str]) -> None:
    """Columns that are mapped to what they are the opposite of."""
    label, score = mapped.get("label", ""), mapped.get("score", "")
    if set(parts(label)) & TURNED and not words:
        seen = (
            dict.fromkeys(str(cell) for cell in values(table, label))
            if label in table.columns
            else {}
        )
        named = list(seen)[:2] if len(seen) == 2 else ["WORD", "WORD"]
        first, second = sorted(named)
        raise DataError(
            f"{table.name}: {label!r} is mapped to label, which says the better response, and is"
            " called like the worse",
            hint=f"--label-values a={second},b={first} (a: the first response is better)",
        )
    if set(parts(score)) & TURNED:
        raise DataError(
            f"{table.name}: {score!r} is mapped to score, where higher is better, and is called"
            " like a number of which less is better",
            hint=f"--map rank={score} (lower is better)",
        )


def _refuse_empty(table: RawTable, plan: FilePlan, unlabelled: bool) -> None:
    """A form without any judgement, which may have been meant, and must be said."""
    fields = JUDGED_BY.get(plan.form, ())
    if not fields or set(fields) & set(plan.sources) or plan.by_score:
        return
    if plan.form == "pair" and unlabelled:
        return
    likely = rated.score_families(table, plan.sources.get("response"))
    likely = likely or may_be_label(plan.left_out)
    shown = [f"{name} may say who is better" for name in likely]
    if plan.form == "rating":
        raise DataError(
            f"{table.name} lacks what the rating form needs",
            problems=[f"score: {missing(table, 'score')}", *shown],
            hint=f"--map 'score={likely[0] if likely else 'COLUMN'}' (or rank, or ranking)",
        )
    hint = f"--map label={likely[0] if likely else 'COLUMN'}"
    scores = [plan.sources[name] for name in ("score_1", "score_2") if name in plan.sources]
    if len(scores) == 2:
        shown += [f"{name} is a score" for name in scores]
        hint = f"--map score_1={scores[0]} --map score_2={scores[1]} (the higher one wins)"
    raise DataError(
        f"{table.name} has no label: no column is called so, or several may be it",
        problems=shown,
        hint=f"{hint}, or --unlabelled where no label is meant",
    )


def _refuse_unread(table: RawTable, plan: FilePlan, *, said_nobody: bool) -> None:
    """Fields that are empty although a column that nobody reads fits them."""
    sources = plan.sources
    if plan.form == "chosen" and "prompt" not in sources:
        cells = [values(table, sources[name]) for name in ("chosen", "rejected")]
        likely = may_be_prompt(plan.left_out)
        if likely and not all(transcripts_stand_in(column) for column in cells):
            raise DataError(
                f"{table.name}: no column is read as the prompt, and {', '.join(likely)} may be it",
                hint=f"--map prompt={likely[0]}, or --map prompt== where the answers begin with it",
            )
    people = [] if said_nobody or "user_id" in sources else may_be_people(table, plan.left_out)
    if people:
        raise DataError(
            f"{table.name}: no column is read as the user, and {', '.join(people)} may be it",
            hint=f"--map user_id={people[0]}, or --map user_id== where nobody is named",
        )
