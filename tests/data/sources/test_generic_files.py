"""`generic` on real files, on any file, and on a large one."""

import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.reading.ratings import SAME_TEXT
from plt.data.sources.generic import GenericOptions, convert
from plt.errors import PltError
from tests.data.sources.generic_rows import PAIR, from_rows, jsonl, silent


def test_pandalm(shared_data: Path) -> None:
    maps = ["label=annotator1,annotator2,annotator3"]
    options = GenericOptions.parse(maps, "a=1,b=2,tie=0")
    prefs = convert(shared_data / "pandalm" / "testset-v1.json", options, silent)
    # 999 pairs by 3 annotators; 54 pairs have an empty response.
    assert prefs.votes.height == 999 * 3 - 162
    assert prefs.meta.dropped == {"empty response": 162}
    assert prefs.votes["user_id"].n_unique() == 3
    assert (prefs.votes["label"] == 0.5).sum() == 320
    flat = convert(shared_data / "pandalm" / "flat.jsonl.gz", GenericOptions.parse(), silent)
    key = ["user_id", "pair_id", "label"]
    names = pl.col("user_id").cast(pl.String)
    one, two = (p.votes.select(key).with_columns(names).sort(key) for p in (prefs, flat))
    assert one.equals(two)


def test_wmt(shared_data: Path) -> None:
    path = shared_data / "wmt_mqm_sxs" / "ende.jsonl.gz"
    prefs = convert(path, GenericOptions.parse(), silent)
    # 104 segments, 3 raters each, 10 systems of which some wrote the same: 10,461 pairs of texts.
    assert prefs.meta.dropped == {SAME_TEXT: 423, "score tie": 1873}
    assert prefs.votes.height == 10_461 - 1873
    assert (prefs.votes["user_id"].n_unique(), prefs.votes["group"].n_unique()) == (10, 104)
    tied = convert(path, GenericOptions.parse(tie_below=0.05), silent)
    assert tied.votes.height == 10_461
    assert (tied.votes["label"] == 0.5).sum() == 1873


def test_alpacaeval(shared_data: Path) -> None:
    score = "score=response_*_gpt4_vs_davinci003,response_*_gpt4turbo_vs_gpt4turbo"
    options = GenericOptions.parse(["response=response_*", "source=response_*_model", score])
    prefs = convert(shared_data / "alpacaeval_multi" / "eight_models.jsonl.gz", options, silent)
    # 805 prompts, 8 responses, 2 judges, 3 scores missing: 44,221 pairs of different texts.
    assert prefs.meta.dropped == {"no score": 3, SAME_TEXT: 128, "score tie": 14_894}
    assert prefs.votes.height == 44_221 - 14_894
    assert set(prefs.votes["user_id"].unique()) == {"gpt4_vs_davinci003", "gpt4turbo_vs_gpt4turbo"}


def test_vpl_users_are_the_objectives(shared_data: Path) -> None:
    path = shared_data / "vpl_relabeled_hh" / "both_test.jsonl.gz"
    prefs = convert(path, GenericOptions.parse(["user_id=objective"]), silent)
    assert prefs.votes.height == 4043 - 8
    by_user = dict(prefs.votes["user_id"].value_counts().iter_rows())
    assert {str(user): n for user, n in by_user.items()} == {"helpful": 2153, "harmless": 1882}


def test_hh(shared_data: Path) -> None:
    path = shared_data / "hh_rlhf" / "harmless-base_test.jsonl.gz"
    prefs = convert(path, GenericOptions.parse(), silent)
    assert prefs.votes.height == 2312 - 9
    assert prefs.meta.dropped == {"prompts differ": 5, "empty response": 4}
    assert prefs.votes["user_id"].null_count() == prefs.votes.height


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds() -> None:
    text = "some words of an answer " * 12
    rows = [
        {**PAIR, "prompt": f"p{i}", "response_1": f"{text}{i}", "user_id": i % 99, "label": i % 2}
        for i in range(100_000)
    ]
    data = jsonl(rows)
    start = time.process_time()
    prefs = convert(data, GenericOptions.parse(), silent)
    assert prefs.votes.height == 100_000
    # Work, not wall time: 5 s on one idle core, with room for a machine that is busy.
    assert time.process_time() - start < 15


# Whatever the file holds, a person gets a table or one explained error.

SHORT = st.sampled_from(["x", "y", "", "  ", "\n\nHuman: q\n\nAssistant: a", "the same 1"])
NUMBER = st.sampled_from([0, 1, 0.5, 2, 3.5, "1", None])
ANY = SHORT | NUMBER | st.lists(SHORT | NUMBER, max_size=3) | st.dictionaries(SHORT, NUMBER)
CELLS = {
    "prompt": SHORT, "chosen": SHORT, "rejected": SHORT | st.lists(SHORT), "response_1": SHORT,
    "response_2": SHORT, "label": NUMBER | st.sampled_from(["a", "b", "tie"]), "response": SHORT,
    "responses": st.lists(SHORT, max_size=3), "scores": st.lists(NUMBER, max_size=4),
    "score": NUMBER | st.dictionaries(SHORT, NUMBER), "user_id": SHORT | NUMBER, "odd": ANY,
}  # fmt: skip
FORMS = st.sampled_from(
    [
        ("prompt", "response_1", "response_2", "label"), ("chosen", "rejected"),
        ("prompt", "chosen", "rejected"), ("prompt", "responses", "scores"),
        ("prompt", "response", "score", "user_id"), ("odd", "prompt", "chosen"),
    ]
)  # fmt: skip
FILES = FORMS.flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries({name: CELLS[name] for name in names}), min_size=1, max_size=5
    )
)


@settings(max_examples=120, deadline=None)
@given(
    FILES,
    st.sampled_from([(), ("prompt==hi",), ("rejected=odd",), ("score=scores,score",)]),
    st.sampled_from([None, "a=1,b=2,tie=0"]),
    st.sampled_from(["all", "best-worst", "random:1"]),
)
def test_any_file_is_a_table_or_one_explained_error(
    rows: list[dict[str, object]], maps: tuple[str, ...], words: str | None, pairs: str
) -> None:
    try:
        prefs = from_rows(rows, *maps, label_values=words, pairs=pairs)
    except PltError:
        return
    assert prefs.votes.height > 0
    assert prefs.votes["label"].drop_nulls().is_between(0, 1).all()
