"""What every figure of a report is, in words: what `plt explain` and the page say."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from plt.analyze.registry import METRICS
from plt.errors import UsageError


@dataclass(frozen=True)
class FigureCard:
    """A figure in words.

    Attributes:
        name: Its name, in tables for programs and behind ``plt explain``.
        column: The heading of its column for people; equal to `name` where it has none.
        what: What it is, in one or two sentences.
        read: How to read it, and what it does not say.
        paper: Where it is defined.
        higher_is_better: Direction; None where there is none.
    """

    name: str
    column: str
    what: str
    read: str
    paper: str = "-"
    higher_is_better: bool | None = None


_READ: Mapping[str, tuple[str, str]] = {
    "accuracy": (
        "accuracy by user",
        "0.5 is a coin. By user, every person counts the same; pooled, every judgement does. The"
        " own-vote majority line is the most that a model blind to users can reach, pooled.",
    ),
    "worst_user_accuracy": (
        "worst user",
        "The smallest of many noisy figures is low by chance alone: read its interval, which takes"
        " that into account, before calling anybody badly served.",
    ),
    "worst_decile_accuracy": (
        "worst tenth",
        "Noise is taken out before the tenth is chosen, so it does not fall with the number of"
        " users; about these users only.",
    ),
    "minority_accuracy": (
        "minority users",
        "Whether a gain on average is paid by those who think otherwise. Null where training rows"
        " name nobody.",
    ),
    "log_loss": (
        "log loss",
        "Counts confidence: a model that is right and unsure, or wrong and sure, loses. Lower is"
        " better, 0.693 is a coin.",
    ),
    "auc": (
        "AUC",
        "Whether larger margins are safer ones, over judgements of all users together.",
    ),
}
_MORE = (
    FigureCard(
        "gain", "gain (points)",
        "Accuracy of a run minus that of the baseline, on the same judgements, in percentage"
        " points, averaged over users.",
        "The interval holds together with those of all runs of the table: with 95 % none of them"
        " is wrong. One that includes 0 is no proof of no gain; the smallest gain that the table"
        " could have seen stands below it.",
        "Hothorn, Bretz and Westfall 2008", True,
    ),
    FigureCard(
        "own_minus_wrong_user", "own minus wrong user",
        "Accuracy when each person is scored as themselves minus accuracy when they are scored as"
        " another person, on the same judgements.",
        "The part of a gain that is the user's. A gain is called personal only where this is above"
        " 0 beyond chance.",
        "-", True,
    ),
    FigureCard(
        "gain_with_wrong_user", "gain with wrong user",
        "What the run has over the baseline when each person is scored as another person.",
        "What stays is not the user's: it comes from seeing more data, or a better model.",
    ),
    FigureCard(
        "gain_with_shuffled_ids", "gain with shuffled ids",
        "What the same method has over the baseline when it is fitted with judgements dealt out"
        " among the users at random.",
        "What stays comes from the form of the method, not from knowing who answered.",
    ),
    FigureCard(
        "own_minus_shuffled_ids", "own minus shuffled ids",
        "Accuracy of a run minus that of the same method fitted on shuffled ids.",
        "A second control beside own minus wrong user: both must lie above 0.",
        "-", True,
    ),
    FigureCard(
        "p", "p (adjusted)",
        "The probability of a difference at least as large in some run of the table, if no run"
        " differed from the baseline.",
        "Below 0.05 in about one table of twenty where nothing differs, however many runs it has."
        " It is not the probability that there is no gain.",
        "Hothorn, Bretz and Westfall 2008",
    ),
    FigureCard(
        "harmed", "users harmed",
        "How many users lose more than 2 points against the baseline, by exact tests.",
        "Those who are named are wrong in about one of ten (false discovery rate 10 %); 'at least'"
        " is a number that holds with 95 %. With few prompts a person nobody can be named alone,"
        " so 0 does not mean that nobody is harmed.",
        "Benjamini and Hochberg 1995; Holm 1979", False,
    ),
    FigureCard(
        "undecided", "undecided",
        "Share of judgements whose margin is smaller than 1e-6 in size, each counted half right.",
        "A model that says nothing is right half of the time by this count.",
    ),
    FigureCard(
        "power", "smallest gain seen",
        "The smallest gain that this table would call beyond chance in 80 % of cases.",
        "Stands beside every 'no detectable gain', with the users or prompts that it would take to"
        " see the gain measured here; that plan is no surer than the gain.",
    ),
    FigureCard(
        "parameters", "parameters",
        "Numbers that the run keeps: heads, factors, adapters, tables of users.",
        "A frozen backbone is not counted: it is shared by all runs.",
    ),
    FigureCard(
        "tokens", "tokens",
        "Tokens that went through the backbone for the run, where it wrote that down.",
        "Texts whose features were cached already cost nothing and are not counted.",
    ),
    FigureCard(
        "seconds", "time",
        "Seconds from the start to the end of the run, waiting included.",
        "On the machine that made it: compare only runs of one machine.",
    ),
    FigureCard(
        "peak_memory_mib", "peak memory",
        "Resident memory of the process that made the run, at its peak.",
        "Runs that one process made one after another share the peak of the largest before them.",
    ),
    FigureCard(
        "looks", "looks",
        "How many finished runs were measured on these test rows, in the folders of these runs.",
        "The best of many looks is too good by chance. A lower bound: runs that were deleted or lie"
        " elsewhere are not seen.",
    ),
    FigureCard(
        "test_rows", "test rows",
        "SHA-256 of who judged which pair how, of the exact rows that were compared.",
        "Two reports with the same hash are about the same judgements.",
    ),
)  # fmt: skip


def glossary() -> dict[str, FigureCard]:
    """Name to card of every figure: those of the registry first, then those of comparisons."""
    cards = {}
    for name, card in METRICS.items():
        column, read = _READ.get(name, (name, ""))
        what = f"{card.summary[:1].upper()}{card.summary[1:]}."
        cards[name] = FigureCard(name, column, what, read, card.paper, card.higher_is_better)
    return cards | {card.name: card for card in _MORE}


def explain(name: str) -> FigureCard:
    """The card of a figure, by its name or the heading of its column.

    Raises:
        UsageError: No figure is called so; the nearest names are said.
    """
    cards = glossary()
    wanted = _plain(name)
    for card in cards.values():
        if wanted in (_plain(card.name), _plain(card.column)):
            return card
    names = [*cards, *(card.column for card in cards.values())]
    near = difflib.get_close_matches(wanted, [_plain(each) for each in names], n=1, cutoff=0.5)
    alike = [c for c in cards.values() if near and near[0] in (_plain(c.name), _plain(c.column))]
    known = alike[0] if alike else None
    suggestion = "" if known is None else f"; did you mean '{known.name}'?"
    raise UsageError(
        f"there is no figure '{name}'{suggestion}",
        problems=[f"known are {', '.join(cards)}"],
        hint=f"plt explain {'gain' if known is None else known.name}",
    )


def _plain(name: str) -> str:
    """A name without what people spell differently."""
    kept = "".join(char if char.isalnum() else " " for char in name.lower())
    return " ".join(kept.split())
