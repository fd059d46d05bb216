"""The three forms of anybody's file, and every way in which one can be misread."""

import csv
import gzip
import io
import json
import time
from pathlib import Path

import polars as pl
import pytest

from plt.data.preferences import Preferences, write_preferences
from plt.data.sources.generic import GenericOptions, convert
from plt.errors import DataError, UsageError

PAIR = {"prompt": "q", "response_1": "good", "response_2": "bad", "label": 1.0}


def silent(text: str) -> None:
    del text


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def from_rows(rows: list[dict[str, object]], *maps: str, **flags: object) -> Preferences:
    return convert(jsonl(rows), GenericOptions.parse(maps, **flags), silent)  # type: ignore[arg-type]


def liked(prefs: Preferences) -> list[tuple[str | None, str, str, float | None]]:
    """(user, preferred, other, its label) of every judgement, in an order of its own."""
    rows = []
    for row in prefs.wide().iter_rows(named=True):
        a, b, label = row["response_a"], row["response_b"], row["label"]
        if label is not None and label < 0.5:
            a, b, label = b, a, 1 - label
        rows.append((row["user_id"], a, b, None if label is None else round(label, 6)))
    return sorted(rows, key=str)


def refused(rows: list[dict[str, object]], *maps: str, **flags: object) -> DataError:
    with pytest.raises(DataError) as caught:
        from_rows(rows, *maps, **flags)
    return caught.value


# Pair form


def test_pair_form_with_every_optional_column() -> None:
    row = {
        **PAIR, "worker": 7, "group": "g", "split": "validation", "user_split": "unseen",
        "subset": "s", "profile": "p", "score_1": 5, "score_2": "2.5", "model_1": "m",
        "model_2": "n",
    }  # fmt: skip
    prefs = from_rows([row])
    wide = prefs.wide().row(0, named=True)
    assert liked(prefs) == [("7", "good", "bad", 1.0)]
    assert [wide[name] for name in ("group", "split", "user_split", "subset", "profile")] == [
        "g", "val", "unseen", "s", "p",
    ]  # fmt: skip
    side = "a" if wide["response_a"] == "good" else "b"
    other = "b" if side == "a" else "a"
    assert (wide[f"score_{side}"], wide[f"score_{other}"]) == (5.0, 2.5)
    assert (wide[f"source_{side}"], wide[f"source_{other}"]) == ("m", "n")
    assert wide["prompt"] == [{"role": "user", "content": "q"}]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("a", ("good", 1.0)), ("B", ("bad", 1.0)), ("tie", ("good", 0.5)), (0.75, ("good", 0.75)),
        (0.25, ("bad", 0.75)), ("0.5", ("good", 0.5)), ("response_2", ("bad", 1.0)),
    ],
)  # fmt: skip
def test_labels_that_need_no_flag(label: object, expected: tuple[str, float]) -> None:
    (row,) = liked(from_rows([{**PAIR, "label": label}]))
    if expected[1] == 0.5:
        assert row[3] == 0.5
    else:
        assert (row[1], row[3]) == expected


def test_label_values_name_the_words() -> None:
    rows = [
        {**PAIR, "prompt": str(i), "label": word} for i, word in enumerate(["left", "right", "="])
    ]
    prefs = from_rows(rows, label_values="a=left,b=right,tie==")
    assert [row[1:] for row in liked(prefs) if row[3] == 1] == [
        ("bad", "good", 1.0),
        ("good", "bad", 1.0),
    ]
    assert prefs.votes["label"].sort().to_list().count(0.5) == 1


@pytest.mark.parametrize("codes", [[1, 2], [0, 1, 2], ["1", "2"], [1.0, 2.0], [-1, 0, 1]])
def test_integer_codes_need_the_flag(codes: list[object]) -> None:
    error = refused([{**PAIR, "prompt": str(i), "label": c} for i, c in enumerate(codes)])
    assert "are codes" in error.message
    assert error.hint is not None
    assert "--label-values a=1,b=2" in error.hint


def test_integer_codes_with_the_flag() -> None:
    rows = [{**PAIR, "prompt": str(i), "label": code} for i, code in enumerate([1, 2, 0])]
    prefs = from_rows(rows, label_values="a=1,b=2,tie=0")
    assert sorted(row[3] for row in liked(prefs) if row[3]) == [0.5, 1.0, 1.0]
    assert {row[1] for row in liked(prefs) if row[3] == 1} == {"good", "bad"}


def test_a_zero_one_column_that_is_named_like_a_position_is_refused() -> None:
    row = {**PAIR, "choice": 1}
    del row["label"]
    error = refused([row])
    assert "position" in error.message
    assert liked(from_rows([row], label_values="a=0,b=1"))[0][1] == "bad"
    assert liked(from_rows([row], label_values="a=1,b=0"))[0][1] == "good"


def test_labels_outside_the_unit_interval_and_nan_name_every_row() -> None:
    labels = [0.5, 1.7, float("nan"), 0.2, -0.1, 2]
    rows = [{**PAIR, "prompt": str(i), "label": label} for i, label in enumerate(labels)]
    error = refused(rows)
    assert [problem.split(":")[0] for problem in error.problems] == [
        "line 2", "line 3", "line 5", "line 6",
    ]  # fmt: skip
    assert "NaN" in error.problems[1]


def test_unknown_label_words_are_named_with_their_rows() -> None:
    error = refused([{**PAIR, "label": "left"}, {**PAIR, "label": "a"}])
    assert error.problems == ["line 1: label is 'left', a word whose meaning is not said"]


def test_rows_without_a_judgement_are_dropped_and_counted() -> None:
    prefs = from_rows([PAIR, {**PAIR, "label": None}, {**PAIR, "label": ""}])
    assert prefs.votes.height == 1
    assert prefs.meta.dropped == {"no label": 2}


def test_pairs_without_a_label_column_are_kept_for_scoring_and_that_is_said() -> None:
    said: list[str] = []
    row = {name: PAIR[name] for name in ("prompt", "response_1", "response_2")}
    prefs = convert(jsonl([row]), GenericOptions.parse(), said.append)
    assert prefs.votes["label"].to_list() == [None]
    assert any("without judgements" in text for text in said)


def test_several_label_columns_are_several_users() -> None:
    row = {"prompt": "q", "response1": "x", "response2": "y", "ann1": 1, "ann2": 2, "ann3": 0}
    prefs = from_rows([row], "label=ann1,ann2,ann3", label_values="a=1,b=2,tie=0")
    users = {row[0]: row for row in liked(prefs)}
    assert users["ann1"][1] == "x"
    assert users["ann2"][1] == "y"
    assert users["ann3"][3] == 0.5
    with pytest.raises(UsageError, match="users are named twice"):
        from_rows([row], "label=ann1,ann2", "user_id=ann3", label_values="a=1,b=2,tie=0")


def test_labels_in_a_dict_are_named_by_their_keys() -> None:
    row = {**PAIR, "label": {"u1": "a", "u2": "b", "u3": None}}
    assert [row[:2] for row in liked(from_rows([row]))] == [("u1", "good"), ("u2", "bad")]


def test_constants_paths_and_joined_prompts() -> None:
    row = {
        "instruction": "do", "input": "this", "summaries": [{"text": "x"}, {"text": "y"}],
        "info": {"who": 12}, "pick": "a",
    }  # fmt: skip
    prefs = from_rows(
        [row, {**row, "input": ""}],
        "response_a=summaries.0.text", "response_b=summaries.1.text", "label=pick",
        "user_id=info.who", "subset==fixed, with = and comma",
    )  # fmt: skip
    assert liked(prefs) == [("12", "x", "y", 1.0)] * 2
    prompts = {row["prompt"][0]["content"] for row in prefs.pairs.iter_rows(named=True)}
    assert prompts == {"do\n\nthis", "do"}
    assert prefs.votes["subset"].unique().to_list() == ["fixed, with = and comma"]


def test_an_auto_detected_split_of_other_names_is_left_out_and_said() -> None:
    said: list[str] = []
    row = {**PAIR, "split": "valid1"}
    prefs = convert(jsonl([row]), GenericOptions.parse(), said.append)
    assert prefs.votes["split"].to_list() == [None]
    assert any("valid1" in text for text in said)
    assert "valid1" in refused([row], "split=split").message


def test_missing_columns_are_all_named_with_the_nearest() -> None:
    error = refused([{"promt": "q", "respons_1": "x", "label": 1}])
    assert [problem.split(":")[0] for problem in error.problems] == [
        "prompt", "response_1", "response_2",
    ]  # fmt: skip
    assert "nearest: promt" in error.problems[0]
    assert "(found: promt, respons_1, label)" in error.problems[2]
    mapped = refused([PAIR], "prompt=questoin", "label=lable")
    assert len(mapped.problems) == 2
    assert "nearest: label" in mapped.problems[1]


def test_wrong_flags_are_all_named() -> None:
    with pytest.raises(UsageError) as caught:
        GenericOptions.parse(["prompt", "promt=x", "label=a", "label=b"])
    assert len(caught.value.problems) == 3
    assert "nearest: prompt" in caught.value.problems[1]
    for flags in (
        {"label_values": "left=a"}, {"label_values": "a=x,b=x"}, {"pairs": "some"},
        {"pairs": "random:0"}, {"tie_below": 0.0}, {"tie_below": float("nan")},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            GenericOptions.parse((), **flags)  # type: ignore[arg-type]


def test_texts_that_are_lists_are_refused_with_their_rows() -> None:
    error = refused([PAIR, {**PAIR, "response_2": ["in a list"]}])
    assert error.problems == ["line 2: response_2: a text is needed, not a list of 1"]


def test_hostile_texts_are_stored_as_they_are() -> None:
    hostile = "nul \x00 \x1b[31m <|im_start|> [bold] \u202e"
    prefs = from_rows([{**PAIR, "response_1": hostile}, {**PAIR, "response_2": "x" * 200_000}])
    texts = set(prefs.pairs["response_a"]) | set(prefs.pairs["response_b"])
    assert {hostile, "x" * 200_000} <= texts


def test_invalid_unicode_is_dropped_and_counted() -> None:
    data = jsonl([PAIR]) + jsonl([PAIR]).replace(b"good", b"\\udc80")
    prefs = convert(data, GenericOptions.parse(), silent)
    assert prefs.votes.height == 1
    assert prefs.meta.dropped == {"invalid unicode": 1}


def test_nothing_left_is_an_error_that_counts() -> None:
    error = refused([{**PAIR, "response_2": "good"}])
    assert "leaves no pair" in error.message
    assert error.problems == ["1 dropped: identical responses"]


def test_the_same_rows_in_every_file_format_make_the_same_table(tmp_path: Path) -> None:
    rows = [{**PAIR, "prompt": f"p{i}", "label": i % 2, "user_id": f"u{i % 3}"} for i in range(9)]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "x.parquet")
    files = {
        "x.jsonl": jsonl(rows),
        "x.json": json.dumps({"data": rows}).encode(),
        "x.csv": lines.getvalue().encode(),
        "x.parquet": (tmp_path / "x.parquet").read_bytes(),
    }
    tables = [convert(data, GenericOptions.parse(), silent).wide() for data in files.values()]
    tables += [
        convert(gzip.compress(d), GenericOptions.parse(), silent).wide() for d in files.values()
    ]
    assert all(table.equals(tables[0]) for table in tables)


# Rating form

RATED = {
    "prompt": "q",
    "responses": ["x", "y", "z"],
    "scores": [3, 1, 3],
    "models": ["mx", "my", "mz"],
    "user": "u",
}


def test_wide_lists_of_scores() -> None:
    prefs = from_rows([RATED])
    assert liked(prefs) == [("u", "x", "y", 1.0), ("u", "z", "y", 1.0)]
    assert prefs.meta.dropped == {"score tie": 1}
    row = prefs.wide().filter(pl.col("response_a").is_in(["x"]) | (pl.col("response_b") == "x"))
    found = row.row(0, named=True)
    side = "a" if found["response_a"] == "x" else "b"
    assert (found[f"score_{side}"], found[f"source_{side}"]) == (3.0, "mx")


def test_tie_below_makes_ties_instead() -> None:
    prefs = from_rows([{**RATED, "scores": [3, 2.6, 1]}], tie_below=0.5)
    assert sorted(row[3] or 0 for row in liked(prefs)) == [0.5, 1.0, 1.0]
    assert prefs.meta.dropped == {}


def test_best_worst_is_one_pair() -> None:
    prefs = from_rows([{**RATED, "scores": [2, 1, 3]}], pairs="best-worst")
    assert liked(prefs) == [("u", "z", "y", 1.0)]


def test_random_pairs_do_not_depend_on_the_order_of_rows() -> None:
    rows = [
        {
            **RATED,
            "user": f"u{i}",
            "responses": list("abcdefgh"),
            "scores": [i, 2, 3, 4, 5, 6, 7, 8],
        }
        for i in range(10, 16)
    ]
    rows = [{name: row[name] for name in row if name != "models"} for row in rows]
    forward = from_rows(rows, pairs="random:3")
    assert forward.votes.height == 18
    assert liked(from_rows(rows[::-1], pairs="random:3")) == liked(forward)
    assert liked(from_rows(rows, pairs="random:3", seed=1)) != liked(forward)


def test_numbered_columns_and_one_user_a_judge() -> None:
    row = {
        "prompt": "q", "response_1": "x", "response_2": "y", "response_10": "z",
        "response_1_model": "m1", "response_2_model": "m2", "response_10_model": "m10",
        "response_1_rm_a": 1, "response_2_rm_a": 2, "response_10_rm_a": None,
        "response_1_rm_b": 5, "response_2_rm_b": 4, "response_10_rm_b": 3,
    }  # fmt: skip
    prefs = from_rows(
        [row], "response=response_*", "source=response_*_model",
        "score=response_*_rm_a,response_*_rm_b",
    )  # fmt: skip
    assert liked(prefs) == [
        ("rm_a", "y", "x", 1.0), ("rm_b", "x", "y", 1.0), ("rm_b", "x", "z", 1.0),
        ("rm_b", "y", "z", 1.0),
    ]  # fmt: skip
    assert prefs.meta.dropped == {"no score": 1}
    assert set(prefs.votes["source_a"]) | set(prefs.votes["source_b"]) == {"m1", "m2", "m10"}


def test_scores_by_user_in_objects() -> None:
    entries = [
        {"system": "s1", "text": "x", "scores": {"r1": -1, "r2": 0}},
        {"system": "s2", "text": "y", "scores": {"r1": 0, "r2": -5.5}},
    ]
    prefs = from_rows([{"prompt": "q", "responses": entries}])
    assert liked(prefs) == [("r1", "y", "x", 1.0), ("r2", "x", "y", 1.0)]


def test_long_form_pairs_the_responses_of_one_user_to_one_prompt() -> None:
    rows = [
        {"prompt": p, "response": r, "score": s, "user_id": u}
        for p, r, s, u in [
            ("q", "x", 1, "u"), ("other", "x", 9, "u"), ("q", "y", 2, "u"), ("q", "x", 5, "v"),
            ("q", "z", 4, "v"), ("q", "w", 3, None),
        ]
    ]  # fmt: skip
    assert liked(from_rows(rows)) == [("u", "y", "x", 1.0), ("v", "x", "z", 1.0)]


def test_scores_that_are_no_numbers_are_named_with_their_rows() -> None:
    error = refused([{**RATED, "scores": [1, "good", float("nan")]}])
    assert error.problems == ["line 1: scores.*: 'good' is not a number"]
    row = {"prompt": "q", "response": "x", "user_id": "u"}
    error = refused([{**row, "score": float("nan")}, {**row, "score": "inf"}, {**row, "score": 1}])
    assert [problem.split(":")[0] for problem in error.problems] == ["line 1", "line 2"]


def test_too_many_pairs_are_refused_with_the_hint() -> None:
    rows = [{"prompt": "q", "response": str(i), "score": i} for i in range(3_200)]
    error = refused(rows)
    assert "5,118,400 pairs; the limit is 5,000,000" in error.message
    assert error.hint == "--pairs random:40"
    assert from_rows(rows, pairs="random:40").votes.height == 40


# Chosen/rejected form (more in tests/data/test_trl_view.py)


def test_chosen_form_with_scores_and_models() -> None:
    row = {
        "prompt": "q", "chosen": "x", "rejected": "y", "score_chosen": 4, "score_rejected": 1,
        "chosen_model": "m", "rejected_model": "n",
    }  # fmt: skip
    found = from_rows([row]).wide().row(0, named=True)
    side, other = ("a", "b") if found["response_a"] == "x" else ("b", "a")
    assert (found[f"score_{side}"], found[f"source_{other}"]) == (4.0, "n")
    assert found["label"] == (1.0 if side == "a" else 0.0)


def test_profile_and_group_by_map() -> None:
    prefs = from_rows([{**PAIR, "c": "c1", "about": "likes tea"}], "group=c", "profile=about")
    assert prefs.votes.select("group", "profile").row(0) == ("c1", "likes tea")


def test_a_preferences_table_comes_back_as_itself(tmp_path: Path) -> None:
    rows = [
        {**PAIR, "prompt": f"p{i}", "label": i % 2, "user_id": f"u{i % 3}", "score_1": i,
         "score_2": 1, "model_1": "m", "model_2": "n", "profile": "x", "split": "train"}
        for i in range(9)
    ]  # fmt: skip
    prefs = from_rows(rows)
    write_preferences(prefs, tmp_path / "x.parquet")
    back = convert(tmp_path / "x.parquet", GenericOptions.parse(), silent)
    assert back.wide().equals(prefs.wide())


# Real files


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
    assert prefs.meta.dropped == {"score tie": 3306, "identical responses": 154}
    assert prefs.votes.height == 14_040 - 3306 - 154
    assert (prefs.votes["user_id"].n_unique(), prefs.votes["group"].n_unique()) == (10, 104)
    tied = convert(path, GenericOptions.parse(tie_below=0.05), silent)
    assert tied.votes.height == 14_040 - 507
    assert (tied.votes["label"] == 0.5).sum() == 3306 - (507 - 154)


def test_alpacaeval(shared_data: Path) -> None:
    score = "score=response_*_gpt4_vs_davinci003,response_*_gpt4turbo_vs_gpt4turbo"
    options = GenericOptions.parse(["response=response_*", "source=response_*_model", score])
    prefs = convert(shared_data / "alpacaeval_multi" / "eight_models.jsonl.gz", options, silent)
    # 805 prompts, 28 pairs, 2 judges; 3 missing scores take 7 pairs each.
    assert prefs.votes.height + sum(prefs.meta.dropped.values()) - 3 == 805 * 28 * 2 - 21
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
