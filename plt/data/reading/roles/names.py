"""Names of columns that are known to mean something, and how names are compared."""

import re
from collections.abc import Iterable

PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
ALIASES = {
    "prompt": (
        "prompt", "question", "instruction", "query", "input", "context", "messages",
        "conversations", "conversation", "user_prompt", "opening_prompt", "opening_msg", "user",
    ),
    "system": (
        "system", "system_prompt", "custom_system_prompt", "system_message", "sys_prompt",
        "system_instruction", "sys",
    ),
    "history": ("history", "chat_history", "conversation_history", "dialogue_history"),
    "label": ("label", "labels", "choice", "preference", "preferred", "winner"),
    "response": ("response", "completion", "answer", "output", "generation", "model_response"),
    "score": ("score", "rating", "reward", "scores", "ratings"),
    "rank": ("rank",),
    "ranking": ("ranking", "rankings"),
    "source": ("source", "model", "model_name", "system", "generator"),
    "user_id": (
        "user_id", "user", "uid", "annotator", "annotator_id", "worker", "worker_id", "rater",
        "rater_id", "labeler", "labeler_id", "judge", "evaluator",
    ),
    "group": ("group", "conversation_id"),
    "split": ("split",),
    "user_split": ("user_split",),
    "subset": ("subset", "category"),
    "profile": ("profile", "user_profile"),
    "strength": ("strength",),
    "shown_first": ("shown_first",),
    "judged_at": ("judged_at", "timestamp", "tstamp", "submitted_at"),
    "discarded": ("discarded", "skipped", "was_cancelled"),
}  # fmt: skip
CHOSEN_PAIRS = (
    ("chosen", "rejected"), ("chosen_response", "rejected_response"),
    ("preferred_output", "non_preferred_output"), ("preferred", "dispreferred"),
    ("preferred", "rejected"), ("preferred_response", "dispreferred_response"),
    ("preferred_response", "rejected_response"),
    ("preferred_completion", "dispreferred_completion"),
    ("chosen_messages", "rejected_messages"), ("chosen_answer", "rejected_answer"),
    ("chosen_completion", "rejected_completion"), ("response_chosen", "response_rejected"),
    ("chosen_text", "rejected_text"), ("accepted", "rejected"), ("selected", "rejected"),
    ("winner_response", "loser_response"), ("winning_response", "losing_response"),
    ("winner", "loser"), ("win", "lose"), ("better", "worse"),
    ("better_response", "worse_response"),
    ("good_response", "bad_response"), ("good", "bad"), ("positive", "negative"),
    ("output_w", "output_l"), ("y_w", "y_l"), ("response_w", "response_l"),
    ("response", "rejected_response"), ("messages", "rejected_messages"),
    ("messages", "rejected_response"),
)  # fmt: skip
MARKS = (
    ("1", "2"), ("a", "b"), ("A", "B"), ("0", "1"), ("left", "right"), ("first", "second"),
    ("one", "two"), ("x", "y"), ("Left", "Right"), ("First", "Second"),
)  # fmt: skip
ANSWER_STEMS = frozenset(
    {"response", "answer", "completion", "output", "reply", "candidate", "generation", "summary",
     "continuation", "conversation", "option", "message", "text", "translation", "story", "resp",
     "assistant", "model", "ref", "choice"}
)  # fmt: skip
PEOPLE = frozenset(
    {"user", "annotator", "worker", "rater", "judge", "labeler", "labeller", "evaluator",
     "participant", "visitor", "reviewer", "respondent", "person", "voter", "crowdworker", "expert",
     "assessor", "member", "customer", "player", "tester", "grader", "contributor", "turker",
     "coder", "persona", "subject", "client", "account", "labelers", "annotators", "raters",
     "human",
     "citizen", "student", "panelist", "informant", "observer", "prolific", "mturk", "turk",
     "scorer", "assignee", "tagger", "reader", "juror", "critic", "pid", "wid"}
)  # fmt: skip
BY = frozenset(
    {"completed", "rated", "judged", "voted", "labeled", "labelled", "annotated", "created",
     "submitted", "reviewed", "scored", "evaluated", "ranked"}
)  # fmt: skip
NAMING = frozenset(
    {"id", "ids", "name", "uid", "uuid", "guid", "code", "hash", "key", "number", "no", "index",
     "anon", "anonymized", "anonymised", "email", "pseudonym", "handle", "identifier", "num"}
)  # fmt: skip
WEAK_PEOPLE = frozenset({"subject", "client", "account", "human", "key", "person", "expert"})
"""Names that mean people only with `id` or the like behind them."""
PROMPTS = frozenset(
    {"prompt", "question", "instruction", "query", "input", "context", "request", "task", "problem",
     "post", "article", "document", "utterance", "conversation", "conversations", "dialogue",
     "dialog", "history", "messages", "premise", "passage", "issue", "ask", "stem"}
)  # fmt: skip
PLAIN_WORDS = frozenset(
    {"text", "content", "user", "the", "raw", "full", "body", "original", "opening", "initial",
     "first", "last", "str", "string", "description", "msg", "message", "my", "source", "human"}
)  # fmt: skip
JUDGING = frozenset(
    {"winner", "winning", "won", "wins", "prefer", "preferred", "prefers", "preference", "better",
     "best", "chosen", "choice", "selected", "selection", "vote", "voted", "verdict", "judgement",
     "judgment", "label", "prob", "probability", "pick", "picked", "favorite", "favourite",
     "decision", "pref", "outcome", "result"}
)  # fmt: skip
RATING = frozenset({"score", "rating", "reward", "utility", "strength", "rank", "ranking", "votes",
                    "responses", "grade", "points"})  # fmt: skip
RANKS = frozenset({"rank", "ranks", "ranking", "place", "position", "placement"})
ABOUT = frozenset(
    {"id", "ids", "source", "model", "models", "dataset", "subset", "category", "split", "lang",
     "language", "type", "tag", "tags", "domain", "date", "time", "timestamp", "hash", "url",
     "license", "licence", "index", "idx", "version", "name", "score", "scores", "rating",
     "ratings",
     "rank", "reward", "label", "labels", "reason", "reasons", "reasoning", "rationale",
     "explanation", "critique", "feedback", "comment", "comments", "justification", "note", "notes",
     "turn", "turns", "round", "safe", "safety", "confidence", "difficulty", "topic", "country",
     "gender", "age", "profile", "attributes", "metadata", "meta", "principle", "status", "at",
     "generator", "tokens", "length", "uuid", "education", "ethnicity", "annotations", "order",
     "winner", "preference", "preferred", "judge", "strength", "statement", "elaboration", "title",
     "narrative", "tools", "schema", "cluster", "toxicity", "moderation", "locale", "row"}
)  # fmt: skip
"""Parts of names of columns that tell of a choice and are no part of it."""
OPINIONS = frozenset(
    {"reason", "reasons", "reasoning", "rationale", "explanation", "critique", "feedback",
     "comment", "comments", "justification", "note", "notes", "profile", "narrative", "principle",
     "statement", "elaboration", "id", "ids", "hash", "url", "model", "models", "generator",
     "metadata", "meta", "annotations", "evidence", "thought", "thoughts", "cot", "analysis",
     "dataset", "license", "confidence", "date", "time", "timestamp", "at", "tools", "name",
     "judge", "reference", "gold"}
)  # fmt: skip
"""Those of them that may be long texts."""


ITEMS = frozenset(
    {"prompt", "question", "conversation", "conv", "comparison", "task", "pair", "message", "item",
     "row", "sample", "example", "response", "chat", "post", "doc", "document", "session", "record",
     "dialog", "dialogue", "turn", "instance", "model", "generation", "completion", "answer",
     "external", "server", "battle", "match", "batch", "run", "thread", "comment", "segment"}
)  # fmt: skip
"""What ids name that are no people."""


def parts(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: ``bestResponse_id`` is best, response, id."""
    return tuple(part.lower() for part in PARTS.findall(name.rsplit(".", 1)[-1]))


def is_person(name: str) -> bool:
    """Whether a column is called after the people who judged: ``participant_id``, ``rated_by``."""
    words = parts(name)
    if words[-1:] == ("by",) and set(words[:-1]) & BY:
        return True
    if words in (("who",), ("worker",)):
        return True
    core = [word for word in words if word not in NAMING]
    if not core or not set(core) <= PEOPLE:
        return False
    return not set(core) <= WEAK_PEOPLE or len(core) < len(words)


def is_prompt(name: str) -> bool:
    """Whether a column is called like what stands before an answer: ``user_query``."""
    words = set(parts(name))
    return bool(words & PROMPTS) and words <= PROMPTS | PLAIN_WORDS


def is_about(name: str) -> bool:
    """Whether a column tells of a choice (ids, models, reasons) and is no part of it."""
    return bool(set(parts(name)) & ABOUT)


def is_judgement(name: str) -> bool:
    """Whether a column is called like a judgement of who is better."""
    return bool(set(parts(name)) & JUDGING)


def marked(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """(first, second, what they share) of names that differ in one mark: ``answer_a, answer_b``.

    Args:
        names: Names of columns.

    Returns:
        In the order of the names; what they share is the name with ``*`` for the mark.
    """
    known, found = list(names), []
    for name in known:
        for one, two in MARKS:
            for place in _places(name, one):
                other = name[:place] + two + name[place + len(one) :]
                if other != name and other in known:
                    stem = name[:place] + "*" + name[place + len(one) :]
                    found.append((name, other, stem))
    return found


def _places(name: str, mark: str) -> list[int]:
    """Where a mark stands as a part of its own."""
    if len(mark) == 1 and mark.isalpha():
        pattern = rf"(?<![A-Za-z]){mark}(?![A-Za-z])"
        if mark.isupper():
            pattern = rf"(?<![A-Z]){mark}(?![A-Za-z])"
    elif mark.isdigit():
        pattern = rf"(?<!\d){mark}(?!\d)"
    else:
        pattern = rf"(?<![A-Za-z]){mark}(?![a-z])"
    return [match.start() for match in re.finditer(pattern, name)]
