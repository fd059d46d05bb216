"""What the words and numbers of labels mean: usual words, ``--label-values``, and graded words."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from plt.errors import UsageError

MEANINGS: Mapping[str, float | None] = {"a": 1.0, "b": 0.0, "tie": 0.5, "none": None}
USUAL_WORDS = {
    "a": ("a", "model_a", "response_a"),
    "b": ("b", "model_b", "response_b"),
    "tie": (
        "tie", "tied", "ties", "draw", "equal", "equally good", "same", "about the same",
        "no preference", "both", "neither", "both_good", "both_bad", "bothgood", "bothbad",
        "both good", "both bad", "tie (bothbad)", "tie (both bad)", "tie (bothgood)", "tie_bothbad",
        "tie_both_bad", "both are good", "both are bad", "equally bad",
    ),
    "none": (
        "nan", "none", "null", "n/a", "na", "<na>", "skip", "skipped", "discarded", "cancelled",
        "canceled", "no answer", "not answered",
    ),
}  # fmt: skip
HINT = (
    "--label-values a=1,b=2,tie=0,none=skip (what stands in the file for: first better, second,"
    " equal, no judgement)"
)
RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)")
SIDE = r"(?:(?:response|answer|model|output|completion|option|assistant)[ _-]?)?(a|b|1|2)"
FIRST = ("a", "1")
ADVERBS = {
    "slightly": 1 / 3, "a bit": 1 / 3, "a little": 1 / 3, "somewhat": 1 / 3, "marginally": 1 / 3,
    "moderately": 2 / 3, "better": 2 / 3, "": 2 / 3,
    "much": 1.0, "clearly": 1.0, "significantly": 1.0, "far": 1.0, "strongly": 1.0, "a lot": 1.0,
    "definitely": 1.0, "considerably": 1.0, "way": 1.0,
}  # fmt: skip
NAMED = re.compile(rf"(?!(?:a|b|1|2)$){SIDE}")
GRADED = re.compile(
    rf"{SIDE} (?:is )?({'|'.join(filter(None, ADVERBS))})? ?(?:better|preferred|wins|is better)"
    r"(?: than .*)?"
)
COMPARED = re.compile(rf"{SIDE} ?(>>|>|=|~|<|<<) ?{SIDE}")

Reading = tuple[float | None, float | None]


def parse_label_values(spec: str | None) -> dict[str, str]:
    """Reads ``a=left,b=right,tie=equal,none=skip`` as word of the file to meaning.

    Raises:
        UsageError: Something is not MEANING=WORD, a meaning is unknown, or a word has two.
    """
    found: dict[str, str] = {}
    problems = []
    for item in (spec or "").split(",") if spec else ():
        meaning, equals, word = (part.strip() for part in item.partition("="))
        if not equals or not word or meaning not in MEANINGS:
            problems.append(f"{item!r} is not a=WORD, b=WORD, tie=WORD or none=WORD")
        elif found.get(word, meaning) != meaning:
            problems.append(f"{word!r} cannot mean both {found[word]} and {meaning}")
        else:
            found[word] = meaning
    if problems:
        raise UsageError("--label-values cannot be read", problems=problems, hint=HINT)
    return found


@dataclass(frozen=True)
class Meanings:
    """What `--label-values` says.

    Attributes:
        exact: Word to probability and strength.
        ranges: (lowest, highest, meaning) of numbers.
        ends: The single numbers that mean the first and the second; between them lie soft labels.
    """

    exact: Mapping[str, Reading]
    ranges: tuple[tuple[float, float, str], ...]
    ends: tuple[float, float] | None

    @classmethod
    def of(cls, words: Mapping[str, str]) -> "Meanings":
        """The meanings of words and ranges, as `parse_label_values` gives them."""
        exact: dict[str, Reading] = {}
        ranges = []
        for word, meaning in words.items():
            if span := RANGE.fullmatch(word):
                low, high = sorted((float(span[1]), float(span[2])))
                ranges.append((low, high, meaning))
            else:
                exact[_plain(word)] = (MEANINGS[meaning], None)
        if ranges:
            # A single number beside ranges is a grade too.
            single = [(float(w), float(w), m) for w, m in words.items() if _is_number(w)]
            ranges += single
            exact = {word: read for word, read in exact.items() if not _is_number(word)}
        numbers = {
            meaning: [float(word) for word, other in words.items()
                      if other == meaning and _is_number(word)]
            for meaning in ("a", "b")
        }  # fmt: skip
        single_ends = not ranges and all(len(found) == 1 for found in numbers.values())
        ends = (numbers["a"][0], numbers["b"][0]) if single_ends else None
        return cls(exact, tuple(ranges), ends)

    def of_number(self, number: float) -> Reading | None:
        """Probability and strength of a number by ranges or ends; None where nothing is said."""
        for low, high, meaning in self.ranges:
            if low <= number <= high:
                probability = MEANINGS[meaning]
                graded = probability in (0.0, 1.0)
                return probability, self._strength(number) if graded else None
        if self.ends is None or number.is_integer():
            return None
        one, two = self.ends
        share = (two - number) / (two - one)
        return (share, None) if 0 < share < 1 else None

    def _strength(self, number: float) -> float:
        """Distance from the middle, as a share of the largest that the ranges allow."""
        ties = [(low + high) / 2 for low, high, meaning in self.ranges if meaning == "tie"]
        sided = [(low, high) for low, high, meaning in self.ranges if meaning in ("a", "b")]
        low, high = min(low for low, _ in sided), max(high for _, high in sided)
        middle = ties[0] if ties else (low + high) / 2
        return abs(number - middle) / max(abs(low - middle), abs(high - middle))


def usual(said: Collection[str]) -> Iterator[tuple[str, str, float | None]]:
    """(spelling, meaning, probability) of the words that need no flag.

    Args:
        said: The meanings for which `--label-values` names words: their usual ones do not count,
            but what stands for no judgement always does.
    """
    for meaning, words in USUAL_WORDS.items():
        if meaning in said and meaning != "none":
            continue
        for word in words:
            for spelling in {word, word.upper(), word.capitalize(), word.title()}:
                yield spelling, meaning, MEANINGS[meaning]


def graded(word: str) -> Reading | None:
    """Probability and strength of words such as ``A-is-clearly-better`` or ``A>>B``; else None."""
    plain = re.sub(r"[\s_-]+", " ", word.lower()).strip(" .[]")
    if match := COMPARED.fullmatch(plain):
        one, sign, two = match.groups()
        if (one in FIRST) == (two in FIRST):
            return None
        if sign in "=~":
            return 0.5, None
        first = (one in FIRST) == (">" in sign)
        return 1.0 if first else 0.0, 1.0 if len(sign) == 2 else 0.5
    if match := NAMED.fullmatch(plain):
        return 1.0 if match[1] in FIRST else 0.0, None
    if match := GRADED.fullmatch(plain):
        return 1.0 if match[1] in FIRST else 0.0, ADVERBS[match[2] or ""]
    return None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _plain(word: str) -> str:
    """A number as labels are spelled: ``1.0`` is ``1``."""
    if not _is_number(word):
        return word
    number = float(word)
    return str(int(number)) if number.is_integer() else word
