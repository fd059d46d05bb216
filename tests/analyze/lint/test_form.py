"""Leaks of form are found and named; people who like what goes with a form are not accused."""

import numpy as np
import pytest

from plt.analyze.lint import Finding, lint
from plt.data.tables.preferences import Preferences
from tests.analyze.lint.populations import Edit, Form, Readers, Utility, table


def of_form(prefs: Preferences, seed: int = 0) -> list[Finding]:
    return [found for found in lint(prefs, seed=seed).findings if found.check == "format"]


def bare(text: str) -> str:
    return text.strip(' .!?:)"\n')


LEAKS: dict[str, tuple[Edit, float, str]] = {
    "rejected is the text of a list": (lambda c, r: (c, str([r])), 1.0, "wrapped in [' ... ']"),
    "rejected is in brackets": (lambda c, r: (c, f"[{r}]"), 1.0, "wrapped in [ ... ]"),
    "blank behind chosen, one in eight": (
        lambda c, r: (c.strip() + " ", r.strip()), 0.12, "with a space at the end",
    ),
    "line break behind chosen": (
        lambda c, r: (c.strip() + "\n", r.strip()), 1.0, "with a line break at the end",
    ),
    "line break before rejected": (
        lambda c, r: (c.strip(), "\n" + r.strip()), 1.0, "with a line break in front",
    ),
    "end token on one side": (
        lambda c, r: (c, r + "<|endoftext|>"), 0.3, "with a control token",
    ),
    "role header left on one side": (
        lambda c, r: (f"Assistant: {c}", r), 0.5, "with 'Assistant:' in front",
    ),
    "label left on one side": (
        lambda c, r: (f"Final answer: {c}", r), 0.5, "with 'Final answer:' in front",
    ),
    "different quotes": (
        lambda c, r: (c.replace("'", "’"), r.replace("’", "'")), 1.0, "with curly quotes",
    ),
    "chosen always has its period": (
        lambda c, r: (bare(c) + ".", bare(r)), 1.0, "with a letter or digit at the end",
    ),
    "line breaks in letters": (
        lambda c, r: (c + "\nso", r + "\\nso"), 1.0, "with escapes such as \\n in letters",
    ),
    "carriage returns": (lambda c, r: (c + "\nso", r + "\r\nso"), 1.0, "with carriage returns"),
    "mojibake": (
        lambda c, r: (c, (r + "é").encode().decode("cp1252")), 1.0, "with mojibake",
    ),
    "numbered": (lambda c, r: (f"1) {bare(c)}", f"2) {bare(r)}"), 1.0, "with '1' in front"),
    "byte order mark": (lambda c, r: (c, "\ufeff" + r), 1.0, "with invisible characters"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_every_leak_of_form_is_found_and_named(leak: str) -> None:
    edit, edited, named = LEAKS[leak]
    prefs = table(Readers(prompts=60, judgements=60, edit=edit, edited=edited))
    found = of_form(prefs)
    assert found, leak
    told = [rule["form"] for one in found for rule in one.details["rules"]]
    told += [form for one in found for form in one.details["same_judgements"]]
    assert named in told
    assert all(one.figures["auc"].low > 0.6 for one in found)  # type: ignore[operator]
    assert all(one.hint and one.examples for one in found)


class TestTheBracketLeak:
    """Every rejected text went through str() of a list, as happened in a published pipeline."""

    prefs = table(Readers(edit=lambda chosen, rejected: (chosen, str([rejected]))))

    def test_it_is_one_finding_that_names_the_bracket(self) -> None:
        (found,) = of_form(self.prefs)
        assert "wrapped in [" in found.what
        assert found.rows == found.share * len(self.prefs.votes) == len(self.prefs.votes)
        assert found.figures["auc"].value == 1.0

    def test_the_example_is_a_pair_of_the_table_and_shows_the_bracket(self) -> None:
        (found,) = of_form(self.prefs)
        for example in found.examples:
            assert example.pair_id in self.prefs.pairs["pair_id"]
            assert example.text[1:].startswith("[")

    def test_one_prompt_with_many_answers_is_enough(self) -> None:
        prefs = table(
            Readers(prompts=1, answers=80, judgements=80, edit=lambda c, r: (c, str([r])))
        )
        assert "wrapped in [" in of_form(prefs)[0].what

    def test_data_without_users_is_enough(self) -> None:
        votes = self.prefs.votes.with_columns(user_id=None)
        (found,) = of_form(Preferences(votes, self.prefs.pairs, self.prefs.meta))
        assert found.figures["auc"].target == "groups"


def test_two_leaks_are_two_findings_and_neither_hides_the_other() -> None:
    def edit(chosen: str, rejected: str) -> tuple[str, str]:
        if len(chosen) % 2:
            return chosen, f"[{rejected}]"
        return chosen.strip() + " ", rejected.strip()

    found = of_form(table(Readers(prompts=60, judgements=60, edit=edit)))
    families = [one.details["family"] for one in found]
    assert families[:2] == ["wrapping", "whitespace"]


def test_a_leak_in_under_one_per_cent_of_the_rows_is_no_finding() -> None:
    readers = Readers(
        users=20, prompts=300, judgements=200, edit=lambda c, r: (c + "~", r), edited=0.008
    )
    report = lint(table(readers))
    assert report.clean
    (note,) = [one for one in report.notes if one.check == "format"]
    assert "goes with the label" in note.what
    assert 0 < note.share < 0.01  # type: ignore[operator]


def length(factor: float) -> Utility:
    return lambda text, user: factor * float(np.log(len(text.split())))


def mixed_length(text: str, user: int) -> float:
    return length(3.0)(text, user) * (1 if user % 10 < 7 else -1)


def closed_when_long(text: str, answer: int) -> str:
    return bare(text) + ("." if len(text.split()) > 15 else "")


def listed_when_long(text: str, answer: int) -> str:
    return f"- {bare(text)}\n" if len(text.split()) > 20 else bare(text)


@pytest.mark.parametrize("taste", [length(1.0), length(3.0), mixed_length])
@pytest.mark.parametrize("form", [closed_when_long, listed_when_long])
def test_who_likes_long_answers_is_not_accused_of_liking_their_form(
    taste: Utility, form: Form
) -> None:
    """Form follows from length here, so it predicts the label, but no better than length does."""
    readers = Readers(users=20, prompts=100, judgements=100, taste=taste, form=form)
    assert of_form(table(readers)) == []


def blank_of_model_0(text: str, answer: int) -> str:
    return text.strip() + (" " if answer == 0 else "")


def test_the_form_of_a_preferred_model_is_not_accused_where_the_model_is_known() -> None:
    readers = Readers(
        users=20,
        prompts=80,
        judgements=80,
        taste=lambda text, user: 1.5 * text.endswith(" "),
        form=blank_of_model_0,
    )
    assert of_form(table(readers, sources=3)) == []
    (unexplained,) = of_form(table(readers))
    assert "with a space at the end" in unexplained.what


def test_a_side_that_wins_is_a_finding() -> None:
    prefs = table(Readers())
    votes = prefs.votes.with_columns(label=1.0)
    found = of_form(Preferences(votes, prefs.pairs, prefs.meta))
    assert any("response_a wins" in one.what for one in found)
    assert not any("side" in one.what for one in of_form(prefs))


def test_few_rows_prove_nothing() -> None:
    prefs = table(Readers(users=2, prompts=6, judgements=4, edit=lambda c, r: (c, f"[{r}]")))
    report = lint(prefs)
    assert of_form(prefs) == []
    assert any(note.check == "format" for note in report.notes)
