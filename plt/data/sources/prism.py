"""PRISM: people from 75 countries talk to several models at once and score the answers.

Source: hub dataset `HannahRoseKirk/prism-alignment`. Paper: Kirk et al. 2024, "The PRISM Alignment
Dataset" (arXiv 2404.16019). Licence: human texts CC-BY-4.0, model texts CC-BY-NC-4.0.

`conversations.jsonl` (8,011; nested) or `utterances.jsonl` (68,371; one response a row), and
`survey.jsonl` (1,500 people, 1,396 with a conversation). In the first turn up to four models
answer, later two samples of the chosen one; `score` is 1 to 100, `if_chosen` marks the response
that the conversation went on with.

A pair is the chosen response of a turn against each other one; the prompt is the conversation so
far with the chosen responses, and `group` is the conversation. Equal texts of a turn are one
response with the mean of their scores. Dropped and counted: equal scores (the source then marks one
at random), a chosen response that scored lower, turns without exactly one chosen text or with an
empty prompt (the source writes "EMPTY STRING"), and what follows a turn that has no chosen
response. `subset` is the conversation type.

The profile is the person's self-description and the traits that they said matter to them, ranked
by the value they gave (`stated_prefs`). `order_stated_prefs`, which public code ranks by, is the
random order of the sliders on the screen.

Variants (`plt.data.splitting.protocols` says how each divides): `prlhf`, `lore`, `plus`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading.conversation import Message, prompt_series
from plt.data.reading.field_map import require
from plt.data.reading.ratings import SAME_TEXT
from plt.data.reading.raw_files import RawTable, find_files, joined_hash, read
from plt.data.remarks import Say, warn
from plt.data.sources.prism_dialogues import (
    Answer,
    Dialogue,
    Prism,
    Turn,
    chosen_of,
    distinct_answers,
)
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

HUB_REPO = "HannahRoseKirk/prism-alignment"
REVISION: str | None = None
FILES = ("conversations.jsonl", "survey.jsonl")
LICENSE = "CC-BY-4.0 (human texts), CC-BY-NC-4.0 (model texts)"
SIZE = "about 100 MB"
CONVERTER_VERSION = 2
EMPTY = "EMPTY STRING"
VARIANTS = (None, "prlhf", "lore", "plus")
N_CONVERSATIONS = 8011
N_USERS = 1396
CHOSEN_LOWER = "chosen scored lower"
NO_CHOSEN = "turn without one chosen response"
EMPTY_PROMPT = "turn with an empty prompt"
AFTER_GAP = "turn behind one without a chosen response"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts PRISM.

    Args:
        raw: A folder with `conversations.jsonl` or `utterances.jsonl`, and `survey.jsonl`.
        variant: None for everything, or a paper's selection and division of it.
        say: Takes a remark when the numbers differ from the published ones.

    Returns:
        Judgements; the variants fill `split` and `user_split`.

    Raises:
        DataError: Files or columns are missing.
        UsageError: No such variant.
    """
    if variant not in VARIANTS:
        raise UsageError(f"prism has no variant {variant!r}", hint="plt ls datasets")
    prism = read_prism(raw)
    talking = len({dialogue.user for dialogue in prism.dialogues})
    if (len(prism.dialogues), talking) != (N_CONVERSATIONS, N_USERS):
        say(
            f"{raw} holds {len(prism.dialogues)} conversations of {talking} people; published are"
            f" {N_CONVERSATIONS} of {N_USERS}"
        )
    prefs = convert(prism)
    if variant is None:
        return prefs
    from plt.data.sources.prism_protocols import divide_prism

    return divide_prism(prefs, prism, variant)


def convert(prism: Prism) -> Preferences:
    """Every pair of every conversation; see the module."""
    profiles = {str(person["user_id"]): profile_of(person) for person in prism.people}
    dropped: Counter[str] = Counter()
    rows = [
        {
            "user_id": dialogue.user,
            "group": dialogue.name,
            "subset": dialogue.kind,
            "profile": profiles.get(dialogue.user),
            **pair,
        }
        for dialogue in prism.dialogues
        for pair in _pairs(dialogue, dropped)
    ]
    if not rows:
        raise DataError(
            "PRISM leaves no pair", problems=[f"{n} dropped: {why}" for why, n in dropped.items()]
        )
    prompts = [row.pop("prompt") for row in rows]
    text = dict.fromkeys(("profile", "source_1", "source_2"), pl.String)
    numbers = dict.fromkeys(("score_1", "score_2", "label"), pl.Float64)
    frame = pl.DataFrame(rows, schema_overrides={**text, **numbers}, infer_schema_length=None)
    meta = Meta(dataset="prism", license=LICENSE, source_hash=prism.source_hash)
    meta = meta.with_dropped(prism.dropped).with_dropped(dropped)
    return build(frame.with_columns(prompt_series(prompts)), meta)


def profile_of(person: Mapping[str, Any]) -> str | None:
    """What a person says of themselves: their own words, then the traits they value, ranked."""
    words = str(person.get("self_description") or "").strip()
    parts = [] if words in ("", EMPTY) else [words]
    ranked = ranked_preferences(person.get("stated_prefs"))
    if ranked:
        parts.append(f"Matters to me in answers, most first: {ranked}.")
    return "\n".join(parts) or None


def ranked_preferences(stated: Mapping[str, Any] | None) -> str:
    """Traits by falling value, `=` between equals; traits without a number are left out."""
    values = {
        name: float(value)
        for name, value in (stated or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    ranked = sorted(values, key=lambda name: (-values[name], name))
    text = ""
    for before, name in zip(["", *ranked], ranked, strict=False):
        link = "" if not before else " = " if values[before] == values[name] else ", "
        text += link + name
    return text


def users(prism: Prism) -> pl.DataFrame:
    """The `users/1` table: profile, and age, gender, education and the like as `attr_*`."""
    names = ("age", "gender", "education", "employment_status", "marital_status",
             "english_proficiency", "study_locale")  # fmt: skip
    return pl.DataFrame(
        {
            "user_id": [str(person["user_id"]) for person in prism.people],
            "profile": [profile_of(person) for person in prism.people],
            **{
                f"attr_{name}": [
                    None if person.get(name) is None else str(person[name])
                    for person in prism.people
                ]
                for name in names
                if any(name in person for person in prism.people)
            },
        },
        schema_overrides={"profile": pl.String},
    )


def read_prism(raw: Path) -> Prism:
    """Reads the survey and the conversations, from either of the two forms they come in."""
    found = {path.name.removesuffix(".gz") for path in raw.rglob("*")} if raw.is_dir() else set()
    nested = "conversations.jsonl" in found or "utterances.jsonl" not in found
    form = "conversations.jsonl" if nested else "utterances.jsonl"
    talk, survey = (read(path) for path in find_files(raw, (form, "survey.jsonl")))
    require(survey, ("user_id",))
    dialogues = list(_from_conversations(talk) if nested else _from_utterances(talk))
    dropped = Counter(talk.dropped)
    dropped.update(survey.dropped)
    return Prism(list(survey.rows()), dialogues, joined_hash([talk, survey]), dropped)


def _from_conversations(table: RawTable) -> Iterator[Dialogue]:
    require(table, ("conversation_id", "user_id", "conversation_history"))
    for i, row in enumerate(table.rows()):
        kind = str(row.get("conversation_type"))
        dialogue = Dialogue(str(row["conversation_id"]), str(row["user_id"]), kind)
        for entry in row["conversation_history"] or ():
            turn = dialogue.turns.setdefault(int(entry["turn"]), Turn())
            if entry["role"] == "user":
                turn.prompt = entry["content"] or ""
            elif entry["role"] == "model":
                turn.answers.append(_answer(entry, entry["content"]))
            else:
                raise DataError(f"{table.name}: {table.where(i)}: the role {entry['role']!r}")
        yield dialogue


def _from_utterances(table: RawTable) -> Iterable[Dialogue]:
    require(
        table,
        ("conversation_id", "user_id", "turn", "user_prompt", "model_response", "if_chosen"),
    )
    dialogues: dict[str, Dialogue] = {}
    for row in table.rows():
        name = str(row["conversation_id"])
        kind = str(row.get("conversation_type"))
        dialogue = dialogues.setdefault(name, Dialogue(name, str(row["user_id"]), kind))
        turn = dialogue.turns.setdefault(int(row["turn"]), Turn())
        turn.prompt = row["user_prompt"] or ""
        turn.answers.append(_answer(row, row["model_response"]))
    return dialogues.values()


def _answer(row: Mapping[str, Any], text: str | None) -> Answer:
    score = row.get("score")
    return Answer(
        text="" if text is None or text.strip() == EMPTY else text,
        model=str(row.get("model_name")),
        score=None if score is None else float(score),
        chosen=bool(row["if_chosen"]),
    )


def _pairs(dialogue: Dialogue, dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    history: list[Message] = []
    for position, number in enumerate(sorted(dialogue.turns)):
        turn = dialogue.turns[number]
        chosen = chosen_of(turn)
        if turn.prompt.strip() in ("", EMPTY):
            dropped[EMPTY_PROMPT] += 1
        elif chosen is None:
            dropped[NO_CHOSEN] += 1
        else:
            prompt = [*history, {"role": "user", "content": turn.prompt}]
            yield from _turn_pairs(prompt, turn.answers, dropped)
            history = [*prompt, {"role": "assistant", "content": chosen.text}]
            continue
        dropped[AFTER_GAP] += len(dialogue.turns) - position - 1
        return


def _turn_pairs(
    prompt: list[Message], answers: Sequence[Answer], dropped: Counter[str]
) -> Iterator[dict[str, Any]]:
    distinct = distinct_answers(answers)
    dropped[SAME_TEXT] += len(answers) - len(distinct)
    chosen = next(answer for answer in distinct if answer.chosen)
    for other in distinct:
        if other.chosen:
            continue
        if chosen.score is not None and other.score is not None and chosen.score <= other.score:
            dropped["score tie" if chosen.score == other.score else CHOSEN_LOWER] += 1
            continue
        yield {
            "prompt": prompt,
            "response_1": chosen.text,
            "response_2": other.text,
            "score_1": chosen.score,
            "score_2": other.score,
            "source_1": chosen.model,
            "source_2": other.model,
            "label": 1.0,
        }
