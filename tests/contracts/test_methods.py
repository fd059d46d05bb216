"""What every registered method must do; the flags of its card choose which contracts apply."""

import gc
import tempfile
import time
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.train.judgements import distinct_texts, support_view, training_view
from plt.train.method import Compute, FloatArray, MarginScorer, Method, MethodCard, TrainContext
from plt.train.registry import METHODS, config_dict, load_class, make_method, method_card
from plt.train.runs.fit_and_score import Fitted, fit_and_score
from plt.train.runs.scoring import Label, score_pairs
from tests.contracts.population import (
    N_USERS,
    PAIRS_A_USER,
    SPLIT,
    newcomer,
    population,
    population_of,
    seen,
)
from tests.contracts.smaller import smaller, write_model

PERSONAL = [name for name, card in METHODS.items() if card.personal and card.trains]
BLIND = [name for name, card in METHODS.items() if not card.personal]
KEY = ["user_id", "pair_id", "occurrence", "scored_as", "control"]
TOLERANCE = 1e-5
LIMIT = 3.0
"""Seconds of CPU that a method may take for 12 users x 20 pairs."""
LONG = ("sft", "p-ipo")
"""Policies whose machinery `dpo` and `p-dpo` use too: in the slow tier."""


def tiered(names: Iterable[str]) -> list[object]:
    """Parameters, those of `LONG` in the slow tier."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in names]


EVERY = pytest.mark.parametrize("name", tiered(METHODS))
SMALL_MODEL: dict[str, Path] = {}


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """One feature cache for all methods: each text is embedded once."""
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def people(name: str) -> Preferences:
    return population_of(name)


@pytest.fixture(scope="module")
def fitted(compute: Compute, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fitted]:
    """Every method fitted once; they are never changed."""
    work = tmp_path_factory.mktemp("work")

    class Fits(dict[str, Fitted]):
        def __missing__(self, name: str) -> Fitted:
            self[name] = run(name, population_of(name), compute, work)
            return self[name]

    return Fits()


@pytest.fixture(scope="module", autouse=True)
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What policies begin from, written before any test forbids to write."""
    SMALL_MODEL["path"] = write_model(tmp_path_factory.mktemp("small") / "model")
    return SMALL_MODEL["path"]


def run(name: str, prefs: Preferences, compute: Compute, work: Path, seed: int = 0) -> Fitted:
    ctx = TrainContext(seed, work, compute)
    method = make_method(name, smaller(name, SMALL_MODEL["path"]))
    return fit_and_score(prefs, method, ctx, Label("run", name, seed), card=METHODS[name])


def margins(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(*KEY, "margin").sort(KEY)


def own(method: Method, name: str, prefs: Preferences) -> FloatArray:
    frame = score_pairs(method, prefs, Label("run", name, 0)).frame
    return margins(frame)["margin"].to_numpy()


def assert_close(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.drop("margin").equals(expected.drop("margin"))
    # Margins of policies are differences of log-probabilities of whole texts, far above 1.
    scale = max(1.0, float(np.abs(expected["margin"].to_numpy()).max()))
    assert np.allclose(found["margin"], expected["margin"], rtol=0, atol=TOLERANCE * scale)


def accuracy(frame: pl.DataFrame) -> float:
    """Strict accuracy on test rows that are no ties."""
    rows = frame.filter((pl.col("split") == "test") & (pl.col("label") != 0.5))
    right = (rows["margin"] > 0) == (rows["label"] > 0.5)
    return float((right & (rows["margin"] != 0)).mean())


def shuffled(prefs: Preferences) -> Preferences:
    return replace(
        prefs,
        votes=prefs.votes.sample(fraction=1, shuffle=True, seed=1),
        pairs=prefs.pairs.sample(fraction=1, shuffle=True, seed=2),
    )


@EVERY
def test_card_tells_the_truth(name: str, fitted: dict[str, Fitted], people: Preferences) -> None:
    card: MethodCard = method_card(name)
    method = fitted[name].method
    assert isinstance(method, load_class(card.target))
    assert isinstance(method.config, load_class(card.config))
    assert isinstance(method, MarginScorer) == (card.scores == "margin")
    assert len(seen(people)) == N_USERS
    assert list(method.users) == (seen(people) if card.personal else [])
    assert card.summary
    assert card.paper


@EVERY
def test_config_round_trip(name: str) -> None:
    method = make_method(name, {})
    written = config_dict(method)
    toml = "\n".join(
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in written.items()
    )
    assert make_method(name, tomllib.loads(toml)).config == method.config
    as_typed = {key: str(value) for key, value in written.items()}
    assert make_method(name, as_typed).config == method.config


@EVERY
def test_load_gives_back_what_save_wrote(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    method = fitted[name].method
    method.save(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".jinja", ".txt"}
    again = type(method).load(tmp_path, compute)
    assert again.config == method.config
    assert list(again.users) == list(method.users)
    assert list(again.notes) == list(method.notes)
    assert np.array_equal(own(again, name, people), own(method, name, people))


@EVERY
def test_same_seed_same_margins_in_bounded_time(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    """The lesser time of two runs: neighbours on the machine are no cost of the method."""
    first = fitted[name].scores.frame
    seconds = []
    for turn in range(2):
        # Trainers collect garbage: what other tests left behind is not theirs to look through.
        gc.freeze()
        start = time.process_time()
        again = run(name, people, compute, tmp_path / str(turn))
        seconds.append(time.process_time() - start)
        gc.unfreeze()
        assert margins(again.scores.frame).equals(margins(first))
        if seconds[-1] < LIMIT:
            break
    assert min(seconds) < LIMIT


@EVERY
def test_order_of_the_file_changes_nothing(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    again = run(name, shuffled(people), compute, tmp_path)
    assert margins(again.scores.frame).equals(margins(fitted[name].scores.frame))


@EVERY
def test_rows_and_batches_score_alike(
    name: str, fitted: dict[str, Fitted], people: Preferences, tmp_path: Path
) -> None:
    method = fitted[name].method
    label = Label("run", name, 0)
    expected = score_pairs(method, people, label).frame
    mixed = score_pairs(method, shuffled(people), label).frame
    assert_close(margins(mixed), margins(expected))
    one = pl.col("user_id") == seen(people)[3]
    of_one = people.filter(one)
    part = score_pairs(method, of_one, label).frame
    assert part.height == PAIRS_A_USER
    assert_close(margins(part), margins(expected.filter(one)))
    if method_card(name).backbone == "none":
        return
    method.save(tmp_path)
    # Without a cache every text is embedded again, three at a time.
    small = type(method).load(tmp_path, Compute(device="cpu", batch_size=3))
    assert_close(margins(score_pairs(small, of_one, label).frame), margins(part))


@EVERY
def test_swapping_the_responses_negates_the_margin(
    name: str, fitted: dict[str, Fitted], people: Preferences
) -> None:
    method = fitted[name].method
    texts, a, b = distinct_texts(people.pairs)
    users = [None, seen(people)[0], seen(people)[7], "stranger"] * len(a)
    a, b = np.repeat(a, 4), np.repeat(b, 4)
    if isinstance(method, MarginScorer):
        forth, back = method.margin(texts, a, b, users), method.margin(texts, b, a, users)
    else:
        forth = method.reward(texts, a, users) - method.reward(texts, b, users)
        back = method.reward(texts, b, users) - method.reward(texts, a, users)
    assert np.array_equal(forth, -back)


@EVERY
def test_unknown_user_gets_the_population(
    name: str, fitted: dict[str, Fitted], people: Preferences
) -> None:
    method = fitted[name].method
    nobody = dict.fromkeys([None, *people.votes["user_id"].cast(pl.String).unique()])
    label = Label("run", name, 0)
    everybody = score_pairs(method, people, label, scored_as=nobody).frame
    assert everybody["scored_as"].null_count() == everybody.height
    assert everybody["margin"].is_finite().all()
    one_margin = everybody.group_by("pair_id").agg(pl.col("margin").n_unique())
    assert one_margin["margin"].max() == 1
    strangers = people.votes.with_columns(pl.concat_str(pl.lit("new "), "user_id").alias("user_id"))
    new = score_pairs(method, replace(people, votes=strangers), label).frame
    assert new["margin"].equals(everybody["margin"])


@EVERY
def test_somebody_whose_name_is_empty_is_not_nobody(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    """A name is data: the population's reward is what it was before that person was known."""
    label = Label("run", name, 0)
    nobody = dict.fromkeys([None, *people.votes["user_id"].cast(pl.String).unique()])
    unseen = people.filter(pl.col("user_split") == "unseen")
    if method_card(name).reads_truth:
        return
    renamed = unseen.votes.with_columns(user_id=pl.lit("").cast(unseen.votes.schema["user_id"]))
    adapted = fitted[name].method.adapt(
        support_view(replace(unseen, votes=renamed)), TrainContext(0, tmp_path, compute)
    )
    before, after = (
        score_pairs(method, people, label, scored_as=nobody).frame
        for method in (fitted[name].method, adapted)
    )
    assert after["margin"].equals(before["margin"])


@EVERY
def test_adapt_is_pure_and_leaves_others_bit_identical(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    method = fitted[name].method
    label = Label("run", name, 0)
    before = score_pairs(method, people, label).frame
    unseen = people.filter(pl.col("user_split") == "unseen")
    adapted = method.adapt(support_view(unseen), TrainContext(0, tmp_path, compute))
    assert score_pairs(method, people, label).frame.equals(before)
    after = score_pairs(adapted, people, label).frame
    others = (pl.col("user_id") != newcomer(people)).fill_null(True)
    # Asked alone, to the bit; beside the newcomer they stand in other batches, which round.
    alone = people.filter(others)
    assert score_pairs(adapted, alone, label).frame.equals(score_pairs(method, alone, label).frame)
    assert_close(margins(after.filter(others)), margins(before.filter(others)))
    if method_card(name).personal:
        assert list(adapted.users) == sorted([*method.users, newcomer(people)])
        mine = after.filter(~others)
        assert not mine["margin"].equals(before.filter(~others)["margin"])
        if method_card(name).trains:
            rows = mine.filter(pl.col("label") != 0.5)
            assert ((rows["margin"] > 0) == (rows["label"] > 0.5)).mean() >= 0.8


@pytest.mark.parametrize("name", tiered(name for name, card in METHODS.items() if card.personal))
def test_newcomers_come_behind_those_who_are_known(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    """One whose name sorts first, then one known already: nobody's place changes."""
    if method_card(name).reads_truth:
        pytest.skip("it knows people by the names that the simulator gave them")
    method = fitted[name].method
    unseen = people.filter(pl.col("user_split") == "unseen")
    votes = unseen.votes.with_columns(user_id=pl.lit("a newcomer"))
    ctx = TrainContext(0, tmp_path, compute)
    adapted = method.adapt(support_view(replace(unseen, votes=votes)), ctx)
    assert list(adapted.users) == [*method.users, "a newcomer"]
    label = Label("run", name, 0)
    alone = people.filter(pl.col("user_split") != "unseen")
    found, expected = (score_pairs(each, alone, label).frame for each in (adapted, method))
    assert_close(margins(found), margins(expected))
    again = adapted.adapt(support_view(replace(unseen, votes=votes)), ctx)
    assert list(again.users) == list(adapted.users)


@EVERY
def test_nothing_but_training_rows_reaches_the_fit(
    name: str, fitted: dict[str, Fitted], people: Preferences, compute: Compute, tmp_path: Path
) -> None:
    untouchable = (pl.col("split") == "test") | (pl.col("user_split") == "unseen")
    flipped = people.votes.with_columns(
        label=pl.when(untouchable).then(1 - pl.col("label")).otherwise("label"),
        score_a=pl.col("score_b"),
        source_a=pl.col("source_b"),
        hindsight=pl.col("label"),
    )
    again = run(name, replace(people, votes=flipped), compute, tmp_path)
    assert margins(again.scores.frame).equals(margins(fitted[name].scores.frame))


def test_training_view_hides_what_gives_labels_away() -> None:
    people = population()
    view = training_view(people)
    assert set(view.votes["split"].unique()) == {"train", "val"}
    assert view.votes["user_split"].unique().to_list() == ["seen"]
    for column in ("score_a", "score_b", "source_a", "source_b"):
        assert view.votes[column].null_count() == view.votes.height
    assert set(view.pairs["pair_id"]) == set(view.votes["pair_id"])


@pytest.mark.parametrize("name", tiered(PERSONAL))
def test_personal_methods_find_what_was_planted(name: str, fitted: dict[str, Fitted]) -> None:
    frame = fitted[name].scores.frame
    right = accuracy(frame.filter(pl.col("control").is_null()))
    wrong = accuracy(frame.filter(pl.col("control") == "wrong-user"))
    assert right >= 0.8
    assert wrong <= right - 0.25
    sham = frame.filter(pl.col("control") == "wrong-user")
    assert (sham["scored_as"] != sham["user_id"]).all()


@pytest.mark.parametrize("name", tiered(BLIND))
def test_user_blind_methods_stay_below_the_own_vote_ceiling(
    name: str, fitted: dict[str, Fitted], people: Preferences
) -> None:
    """On training rows, where overfitting would show, as well as on the others."""
    frame = score_pairs(fitted[name].method, people, Label("run", name, 0)).frame
    rows = frame.filter(pl.col("label") != 0.5).with_columns(
        right=((pl.col("margin") > 0) & (pl.col("label") > 0.5))
        | ((pl.col("margin") < 0) & (pl.col("label") < 0.5)),
        votes_a=pl.col("label") > 0.5,
    )
    by_pair = rows.group_by("pair_id", "split").agg(
        right=pl.col("right").mean(),
        ceiling=pl.max_horizontal(pl.col("votes_a").mean(), 1 - pl.col("votes_a").mean()),
    )
    assert by_pair.height == len(people.pairs) == len(SPLIT)
    for part in (by_pair, *by_pair.partition_by("split")):
        assert part["right"].mean() <= part["ceiling"].mean() + 1e-12


@EVERY
def test_scores_and_dropped_are_all_judgements(
    name: str, fitted: dict[str, Fitted], people: Preferences
) -> None:
    scores = fitted[name].scores
    own_rows = scores.frame.filter(pl.col("control").is_null())
    assert own_rows.height + sum(scores.dropped.values()) == people.votes.height
    assert people.votes.height == (N_USERS + 1) * PAIRS_A_USER
    assert scores.frame.select(KEY).is_duplicated().sum() == 0
    has_control = (scores.frame["control"] == "wrong-user").any()
    assert has_control == method_card(name).personal
    said = any("no wrong-user control" in note for note in fitted[name].notes)
    assert said != has_control


@EVERY
def test_quiet_and_tidy(
    name: str,
    people: Preferences,
    compute: Compute,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for variable, folder in (("HOME", "home"), ("TMPDIR", "tmp"), ("PLT_CACHE", "cache")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "work").mkdir()
    run(name, people, compute, tmp_path / "work")
    # An embedded model that is made when it is first asked for is kept in the person's cache.
    allowed = {tmp_path / "work", tmp_path / "cache" / "models"}
    outside = [
        path for path in tmp_path.rglob("*") if path.is_file() and allowed.isdisjoint(path.parents)
    ]
    assert outside == []
    assert capfd.readouterr().out == ""
