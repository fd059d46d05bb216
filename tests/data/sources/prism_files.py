"""Small PRISM folders in the native schema."""

import json
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def person(user: str, **more: Any) -> Entry:
    return {
        "user_id": user, "survey_only": False, "num_completed_conversations": 6,
        "self_description": f"I am {user}.", "system_string": "Be kind.",
        "age": "25-34 years old", "gender": "Female",
        "stated_prefs": {"values": 10, "creativity": 90, "fluency": 90, "factuality": 100,
                         "diversity": None, "other": 0, "other_text": None},
        "order_stated_prefs": {"values": 1, "creativity": 2, "fluency": 3, "factuality": 9},
        **more,
    }  # fmt: skip


def turn(number: int, prompt: str, *answers: tuple[str, float | None, bool]) -> list[Entry]:
    """One turn of `conversation_history`; an answer is text, score, if_chosen."""
    said: Entry = {"turn": number, "role": "user", "content": prompt}
    return [said] + [
        {
            "turn": number, "role": "model", "content": text, "model_name": f"model {i}",
            "model_provider": "p", "score": score, "if_chosen": chosen, "within_turn_id": i,
        }
        for i, (text, score, chosen) in enumerate(answers)
    ]  # fmt: skip


def conversation(name: str, user: str, *turns: list[Entry]) -> Entry:
    return {
        "conversation_id": name, "user_id": user, "conversation_type": "unguided",
        "opening_prompt": turns[0][0]["content"], "conversation_turns": len(turns),
        "conversation_history": [entry for part in turns for entry in part],
        "open_feedback": "", "included_in_balanced_subset": True,
    }  # fmt: skip


def utterances(conversations: list[Entry]) -> list[Entry]:
    """The same conversations in the long form."""
    rows = []
    for talk in conversations:
        prompts = {
            e["turn"]: e["content"] for e in talk["conversation_history"] if e["role"] == "user"
        }
        for entry in talk["conversation_history"]:
            if entry["role"] == "model":
                rows.append(
                    {
                        "utterance_id": f"ut{len(rows)}",
                        **{k: talk[k] for k in ("conversation_id", "user_id", "conversation_type")},
                        "turn": entry["turn"], "within_turn_id": entry["within_turn_id"],
                        "user_prompt": prompts[entry["turn"]], "model_response": entry["content"],
                        **{k: entry[k] for k in ("model_name", "score", "if_chosen")},
                    }
                )  # fmt: skip
    return rows


def write(
    folder: Path, people: list[Entry], conversations: list[Entry], *, long: bool = False
) -> Path:
    folder.mkdir(exist_ok=True)
    talk = utterances(conversations) if long else conversations
    name = "utterances.jsonl" if long else "conversations.jsonl"
    for file, rows in (("survey.jsonl", people), (name, talk)):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
