"""Reward models as users (google/rfm-rm-as-user-dataset): two scores of each model a pair."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find, kinds
from plt.data.reading.roles.names import marked, parts
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema

MARKS = {"rm", "reward"}
SCORE_WORDS = ("score", "scores", "reward", "rating")
MIN_MODELS = 2


def _sides(table: RawTable) -> tuple[str, str] | None:
    return find.chosen_pair(table) or find.response_pair(table)


def _scores(table: RawTable) -> list[tuple[str, str, str]]:
    """(score of the first, of the second, model) for every model that scored both responses."""
    sides = _sides(table)
    if sides is None:
        return []
    marks = find.marks_of(*sides) if "chosen" not in sides[0] else ("chosen", "rejected")
    found = []
    for name, cells in table.columns.items():
        if kinds.kind_of(cells) != kinds.NUMBERS:
            continue
        other = _other(name, marks, table)
        if other is not None:
            found.append((name, other, _model(name, marks[0])))
    return found


def _other(name: str, marks: tuple[str, str], table: RawTable) -> str | None:
    if len(marks[0]) > 2:
        other = name.replace(marks[0], marks[1], 1)
        return other if other != name and other in table.columns else None
    pairs = {one: two for one, two, _ in marked(table.columns) if find.marks_of(one, two) == marks}
    return pairs.get(name)


def _model(name: str, mark: str) -> str:
    plain = name.replace(mark, "", 1).strip("_-. ")
    for word in (*SCORE_WORDS, "response", "completion"):
        for end in (f"_{word}", f"-{word}", f".{word}"):
            plain = plain.removesuffix(end)
        for start in (f"{word}_", f"{word}-", f"{word}."):
            plain = plain.removeprefix(start)
    return plain.strip("_-. ") or name


def _fits(table: RawTable) -> bool:
    found = _scores(table)
    models = {model for _, _, model in found}
    named = sum(bool(set(parts(model.replace(".", "_"))) & MARKS) for model in models)
    return len(models) >= MIN_MODELS and len(models) == len(found) and named * 2 >= len(models)


def _known(table: RawTable) -> Known:
    sides, found = _sides(table), _scores(table)
    assert sides is not None, "the schema fits"
    sources = {
        "response_1": sides[0], "response_2": sides[1],
        "score_1": ",".join(one for one, _, _ in found),
        "score_2": ",".join(two for _, two, _ in found),
    }  # fmt: skip
    prompt = find.prompt(table, "pair", list(sides), list(sides))
    return Known(
        "pair",
        ({"prompt": prompt} if prompt else {}) | sources,
        by_score=True,
        scored_by=tuple(model for _, _, model in found),
        notes=("each reward model is a user, who prefers the response that it scores higher",),
    )


SCHEMA = Schema(
    "reward models as users", "scores of both responses by each of several reward models",
    _fits, _known,
)  # fmt: skip
