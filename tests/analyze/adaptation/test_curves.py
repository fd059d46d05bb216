"""Learning curves of margins that are given, against figures worked out otherwise."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from plt.analyze.adaptation.answers import is_adapted
from plt.analyze.adaptation.claims import claims
from plt.analyze.adaptation.curves import adaptation
from plt.analyze.adaptation.measure import measure_adapted
from plt.analyze.adaptation.plot import MARK, plot_adaptation
from plt.analyze.intervals.uncertainty import mean_interval
from plt.cli.pages.adaptation import adaptation_blocks, adaptation_json
from plt.cli.shell.streams import Table
from plt.errors import DataError
from tests.analyze.adaptation.adapted_tables import Margins, entry

USERS, QUESTIONS = 30, 20


def labels(seed: int = 0) -> Margins:
    return np.random.default_rng(seed).integers(0, 2, (USERS, QUESTIONS)).astype(float)


def margins(label: Margins, strength: float, draws: int, seed: int) -> Margins:
    """Noise, plus as much of the truth as is asked for."""
    noise = np.random.default_rng(seed).normal(size=(draws, *label.shape))
    return noise + strength * (2 * label - 1)


def test_figures_are_means_over_draws_within_people() -> None:
    label = labels()
    label[3, :5] = 0.5  # ties are left out
    generic, after = margins(label, 0.2, 1, 1), margins(label, 1.0, 4, 2)
    found = adaptation([entry("a", label, {0: generic, 5: after})])
    sided = label != 0.5
    right = ((after > 0) == (label > 0.5)).mean(axis=0)
    by_user = np.array([r[s].mean() for r, s in zip(right, sided, strict=True)])
    point = found.curves[0].at(5)
    assert point is not None
    assert point.figures.accuracy.value == pytest.approx(by_user.mean(), abs=1e-12)
    areas = [roc_auc_score(label[sided] > 0.5, draw[sided]) for draw in after]
    assert point.figures.auc.value == pytest.approx(np.mean(areas), abs=1e-12)
    signed = np.where(label > 0.5, after, -after)
    loss = np.logaddexp(0, -signed).mean(axis=0)
    losses = [each[s].mean() for each, s in zip(loss, sided, strict=True)]
    assert point.figures.log_loss.value == pytest.approx(np.mean(losses), abs=1e-12)
    promised = (1 / (1 + np.exp(-np.abs(after)))).mean(axis=0) - right
    excess = [each[s].mean() for each, s in zip(promised, sided, strict=True)]
    assert point.figures.overconfidence.value == pytest.approx(np.mean(excess), abs=1e-12)
    before = ((generic[0] > 0) == (label > 0.5)).astype(float)
    gain = [(r - b)[s].mean() for r, b, s in zip(right, before, sided, strict=True)]
    assert point.own is not None
    assert point.own.interval.value == pytest.approx(np.mean(gain), abs=1e-12)
    assert found.n_ties == 5
    assert found.n_judgements == label.size - 5


def test_more_draws_are_no_more_people() -> None:
    """The same scores a hundred times over leave every interval where it was."""
    label = labels()
    generic, after = margins(label, 0.2, 1, 1), margins(label, 0.5, 1, 2)
    once = adaptation([entry("a", label, {0: generic, 5: after})]).curves[0].at(5)
    often = adaptation([entry("a", label, {0: generic, 5: np.repeat(after, 100, axis=0)})])
    again = often.curves[0].at(5)
    assert once is not None
    assert again is not None
    for name in ("accuracy", "auc", "log_loss", "overconfidence"):
        one, other = getattr(once.figures, name), getattr(again.figures, name)
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=1e-9)


def test_people_with_too_few_answers_count_at_no_run_and_are_compared_with_themselves() -> None:
    label = labels()
    generic = margins(label, 0.2, 1, 1)
    after, other = margins(label, 1.0, 2, 2), margins(label, 1.0, 2, 3)
    after[:, 10:] = np.nan
    found = adaptation(
        [entry("a", label, {0: generic, 5: after}), entry("b", label, {0: generic, 5: other})]
    )
    for curve in found.curves:
        point = curve.at(5)
        assert point is not None
        assert point.n_users == 10
        own = (generic[0, :10] > 0) == (label[:10] > 0.5)
        assert point.generic.accuracy.value == pytest.approx(own.mean(), abs=1e-12)


def test_a_run_that_learns_nothing_is_a_line_over_the_people_of_each_size() -> None:
    label = labels()
    generic, after = margins(label, 0.2, 1, 1), margins(label, 1.0, 2, 2)
    after[:, :12] = np.nan
    found = adaptation(
        [
            entry("a", label, {0: generic, 5: after}),
            entry("bradley-terry", label, {0: generic}, personal=False),
        ]
    )
    assert [curve.name for curve in found.curves] == ["bradley-terry", "a"]
    vanilla, learner = (curve.at(5) for curve in found.curves)
    assert vanilla is not None
    assert learner is not None
    assert vanilla.own is None
    expected = ((generic[0, 12:] > 0) == (label[12:] > 0.5)).mean()
    assert vanilla.figures.accuracy.value == pytest.approx(expected, abs=1e-12)
    assert found.vanilla == "bradley-terry"
    assert learner.over_vanilla is not None
    assert learner.own is not None
    assert learner.over_vanilla.interval.value == learner.own.interval.value


@pytest.mark.parametrize("personal", [True, None])
def test_a_run_that_was_shown_no_answers_has_no_figure_after_some(personal: bool | None) -> None:
    """Nobody has measured what it would learn: it is no line, and not said to learn nothing."""
    label = labels()
    shown = entry("a", label, {0: margins(label, 0.2, 1, 1), 5: margins(label, 1.0, 2, 2)})
    unshown = entry("b", label, {0: margins(label, 0.2, 1, 3)}, personal=personal)
    for found in (adaptation([shown, unshown]), adaptation([unshown])):
        curve = next(each for each in found.curves if each.name == "b")
        assert [point.size for point in curve.points] == [0]
        assert not curve.flat
        said = [text for text in claims(found) if text.startswith("b ")]
        assert said == ["b has no scores after any answers: what it learns is not known here."]
        assert plot_adaptation(found, "svg")
    titles = [each.title for each in adaptation_blocks(found) if isinstance(each, Table)]
    assert not [title for title in titles if title and "gain" in title]


def test_no_gain_of_more_than_a_hundred_points_is_called_visible() -> None:
    """One person and four questions: accuracy cannot rise by as much as could have been seen."""
    label = np.array([[1.0, 0.0, 1.0, 0.0]])
    generic = np.array([[[1.0, 1.0, -1.0, 1.0]]])
    after = np.array([[[1.0, -1.0, -1.0, -1.0]], [[-1.0, -1.0, -1.0, 1.0]]])
    found = adaptation([entry("a", label, {0: generic, 5: after})])
    point = found.curves[0].at(5)
    assert point is not None
    assert point.power is not None
    assert point.power.smallest > 1
    assert claims(found)[0] == (
        "a: no detectable gain over its own generic user after 5, where no gain is large enough to"
        " be seen after 5."
    )


def test_footnotes_are_said_with_the_runs_that_they_are_of() -> None:
    label = labels()
    tables: dict[int | None, Margins] = {0: margins(label, 0.2, 1, 1), 5: margins(label, 1.0, 2, 2)}
    one, two = (entry(name, label, tables, footnote="they share responses") for name in "ab")
    other = entry("c", label, tables)
    assert claims(adaptation([one, two]))[-1] == "Footnote: they share responses."
    assert claims(adaptation([one, two, other]))[-1] == "Footnote: a, b: they share responses."
    assert not [text for text in claims(adaptation([other])) if "Footnote" in text]


def test_every_loss_is_said_and_what_is_open_says_what_could_have_been_seen() -> None:
    label = labels()
    generic = margins(label, 0.5, 1, 1)
    worse, same = -generic.repeat(2, axis=0), generic.repeat(2, axis=0)
    loud = 4 * generic.repeat(2, axis=0)  # the same answers, far too sure of them
    found = adaptation(
        [
            entry("worse", label, {0: generic, 5: worse}),
            entry("same", label, {0: generic, 5: same}),
            entry("loud", label, {0: generic, 5: loud}),
            entry("open", label, {0: generic, 5: margins(label, 0.5, 2, 7)}),
        ]
    )
    said = claims(found)
    of = {name: [s for s in said if s.startswith(name)] for name in
          ("worse", "same", "loud", "open")}  # fmt: skip
    assert any("is worse than its own generic user: accuracy after 5 (" in s and
               "points, beyond chance)" in s and "AUC after 5" in s and "log loss after 5" in s
               for s in of["worse"])  # fmt: skip
    assert any("users harmed" in s for s in of["worse"])
    assert of["same"] == ["same gives the same answers as its own generic user after 5."]
    assert any("is worse than its own generic user: log loss after 5 (+" in s for s in of["loud"])
    assert not any("accuracy after" in s for s in of["loud"])
    assert any("no detectable gain" in s and "in 80 % of cases" in s for s in of["open"])


def test_three_people_on_few_prompts_say_that_nothing_can_be_concluded() -> None:
    label = labels()[:3, :3]
    generic = margins(label, 0.2, 1, 1)
    found = adaptation([entry("a", label, {0: generic, 5: margins(label, 2.0, 3, 2)})])
    assert any("Nothing can be concluded about a after 5" in s for s in claims(found))


def test_a_real_gain_is_claimed_and_the_users_part_of_it_measured() -> None:
    label = labels()
    generic, after = margins(label, 0.0, 1, 1), margins(label, 2.0, 3, 2)
    wrong = margins(label, 0.0, 3, 5)
    found = adaptation([entry("a", label, {0: generic, 10: after}, {10: wrong})])
    point = found.curves[0].at(10)
    assert point is not None
    right, sham = ((m > 0) == (label > 0.5) for m in (after, wrong))
    assert point.part is not None
    assert point.part.interval.value == pytest.approx(right.mean() - sham.mean(), abs=1e-12)
    assert any("better than its own generic user beyond chance after 10" in s
               for s in claims(found))  # fmt: skip


def test_gains_of_a_family_are_wider_than_alone() -> None:
    label = labels()
    generic = margins(label, 0.2, 1, 1)
    runs = [entry(f"m{i}", label, {0: generic, 5: margins(label, 0.4, 2, 10 + i)}) for i in
            range(6)]  # fmt: skip
    alone = adaptation(runs[:1]).curves[0].at(5)
    family = adaptation(runs).curves[0].at(5)
    assert alone is not None
    assert family is not None
    assert alone.own is not None
    assert family.own is not None
    assert family.own.interval == alone.own.interval
    assert family.own.low < alone.own.low  # type: ignore[operator]
    values = ((margins(label, 0.4, 2, 10) > 0) == (label > 0.5)).mean(axis=0) - (
        (generic[0] > 0) == (label > 0.5)
    )
    users, groups = np.divmod(np.arange(label.size), QUESTIONS)
    expected = mean_interval(values.ravel(), users, groups, average="user", bounds=(-1.0, 1.0))
    assert (alone.own.low, alone.own.high) == pytest.approx((expected.low, expected.high))


def test_all_answers_are_a_bound_and_the_metrics_table_keeps_it_apart() -> None:
    label = labels()
    generic = margins(label, 0.2, 1, 1)
    made = entry("individual", label, {0: generic, 5: margins(label, 0.4, 2, 2),
                                       None: margins(label, 3.0, 1, 3)})  # fmt: skip
    found = adaptation([made])
    assert found.sizes == (0, 5, "all answers")
    first = next(block for block in adaptation_blocks(found) if isinstance(block, Table))
    bound, curve = first.rows
    assert bound[0] == "individual, all answers of 30 people"
    assert bound[1] == bound[2]
    assert curve[1] != curve[2]
    table = measure_adapted(made)
    accuracy = table.filter(pl.col("metric") == "accuracy", pl.col("control").is_null())
    assert accuracy["n_shots"].to_list() == [0, 5, None]
    assert accuracy["variant"].to_list() == [None, None, "all answers"]
    at_5 = found.curves[0].at(5)
    assert at_5 is not None
    assert accuracy["value"][1] == at_5.figures.accuracy.value
    assert accuracy["n_users"].to_list() == [USERS] * 3


def test_seeds_that_differ_are_said() -> None:
    label = labels()
    generic, after = margins(label, 0.2, 1, 1), margins(label, 1.0, 1, 2)
    found = adaptation(
        [entry("a", label, {0: generic, 5: after}),
         entry("b", label, {0: generic, 5: after}, seed=1)]
    )  # fmt: skip
    assert (
        "The runs drew their shots from the seeds 0 and 1: they were not shown the same answers."
        in claims(found)
    )


def test_tables_that_contradict_or_share_nothing_are_refused() -> None:
    label = labels()
    generic = margins(label, 0.2, 1, 1)
    one = entry("a", label, {0: generic})
    with pytest.raises(DataError, match="disagree about a label"):
        adaptation([one, entry("b", 1 - label, {0: generic})])
    with pytest.raises(DataError, match="no scores without answers"):
        adaptation([entry("a", label, {5: generic})])
    with pytest.raises(DataError, match="share no judgement with a side"):
        adaptation([entry("a", np.full_like(label, 0.5), {0: generic})])


def test_all_of_one_side_has_no_area_and_everything_else() -> None:
    label = np.ones((USERS, QUESTIONS))
    found = adaptation([entry("a", label, {0: margins(label, 0.2, 1, 1),
                                           5: margins(label, 1.0, 2, 2)})])  # fmt: skip
    point = found.curves[0].at(5)
    assert point is not None
    assert point.figures.auc.value is None
    assert point.figures.auc.reason == "every judgement has one side"
    assert point.figures.accuracy.value is not None
    assert adaptation_json(found)["curves"][0]["points"][1]["auc"]["value"] is None


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_figure_is_the_same_bytes_and_known_again(kind: str) -> None:
    label = labels()
    generic = margins(label, 0.2, 1, 1)
    found = adaptation(
        [entry("bradley-terry", label, {0: generic}),
         entry("individual", label, {0: generic, 5: margins(label, 0.4, 2, 2),
                                     None: margins(label, 3.0, 1, 3)}),
         entry("_a $x$ <b>", label, {0: generic, 5: margins(label, 1.0, 2, 4)})]
    )  # fmt: skip
    drawn = plot_adaptation(found, kind)
    assert drawn == plot_adaptation(found, kind)
    assert MARK in drawn[:2000]
    if kind == "svg":
        text = drawn.decode()
        assert "individual, all answers" in text
        assert "_a $x$ &lt;b&gt;" in text


def test_adapted_tables_are_told_from_others() -> None:
    label = labels()
    made = entry("a", label, {0: margins(label, 0.2, 1, 1)})
    assert is_adapted(made)
    plain = made.scores.with_columns(n_shots=pl.lit(None, pl.UInt32), draw=pl.lit(None, pl.UInt16))
    assert not is_adapted(type(made)("a", "a", "r", plain))
