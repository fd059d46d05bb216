"""Pair form and chosen/rejected form, and every way in which labels can be misread."""

import csv
import gzip
import io
import json
from pathlib import Path

import polars as pl
import pytest

from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import write_preferences
from plt.errors import UsageError
from tests.data.sources.generic_rows import PAIR, from_rows, jsonl, liked, refused, silent

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


@pytest.mark.parametrize("codes", [[1, 2], [0, 1, 2], ["1", "2"], [1.0, 2.0]])
def test_integer_codes_need_the_flag(codes: list[object]) -> None:
    error = refused([{**PAIR, "prompt": str(i), "label": c} for i, c in enumerate(codes)])
    assert "are codes" in error.message
    assert error.hint is not None
    assert "--label-values a=1,b=2" in error.hint


def test_signed_codes_need_the_flag_and_keep_their_strength() -> None:
    codes = [-2, 0, 1]
    rows = [{**PAIR, "prompt": str(i), "label": code} for i, code in enumerate(codes)]
    error = refused(rows)
    assert error.hint == "--label-values a=-2..-1,tie=0,b=1 (negative prefers the first)"
    prefs = from_rows(rows, label_values="a=-2..-1,tie=0,b=1")
    assert [row[1:] for row in liked(prefs) if row[3] == 1.0] == [
        ("bad", "good", 1.0),
        ("good", "bad", 1.0),
    ]
    assert sorted(x for x in prefs.votes["strength"] if x is not None) == [0.5, 1.0]


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
        "line 2", "line 5", "line 6",
    ]  # fmt: skip


def test_unknown_label_words_are_named_with_their_rows() -> None:
    error = refused([{**PAIR, "label": "left"}, {**PAIR, "label": "a"}])
    assert error.problems == ["line 1: label is 'left', a word whose meaning is not said"]


def test_rows_without_a_judgement_are_dropped_and_counted() -> None:
    prefs = from_rows([PAIR, {**PAIR, "label": None}, {**PAIR, "label": ""}])
    assert prefs.votes.height == 1
    assert prefs.meta.dropped == {"no label": 2}


def test_pairs_without_a_label_column_are_refused_unless_they_are_meant() -> None:
    row = {name: PAIR[name] for name in ("prompt", "response_1", "response_2")}
    error = refused([{**row, "net_utility": 3, "vote_strength": "x"}])
    assert sorted(error.problems) == [
        "net_utility may say who is better", "vote_strength may say who is better",
    ]  # fmt: skip
    assert error.hint == "--map label=vote_strength, or --unlabelled where no label is meant"
    prefs = from_rows([row], unlabelled=True)
    assert prefs.votes["label"].to_list() == [None]


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


def test_a_row_that_cannot_be_read_is_dropped_with_its_reason() -> None:
    rows = [{**PAIR, "prompt": str(i)} for i in range(20)]
    bad = {**PAIR, "response_2": ["two", "texts"]}
    prefs = from_rows([*rows, bad])
    assert prefs.votes.height == 20
    assert prefs.meta.dropped == {"a list of texts where one is needed": 1}
    error = refused([*rows, bad], strict=True)
    assert error.problems == ["line 21: a list of texts where one is needed"]
    error = refused([*rows, bad, bad])
    assert "2 rows of 22 cannot be read" in error.message
    assert from_rows([{**PAIR, "response_2": ["in a list"]}]).votes.height == 1


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


# Chosen/rejected form (more in tests/data/tables/test_trl.py)


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


def test_a_transcript_that_ends_with_the_human_is_no_answer() -> None:
    rows: list[dict[str, object]] = [
        {side: f"\n\nHuman: q{i}\n\nAssistant: {side}" for side in ("chosen", "rejected")}
        for i in range(20)
    ]
    rows.append({name: f"{text}\n\nHuman: thanks" for name, text in rows[0].items()})
    prefs = from_rows(rows)
    assert prefs.meta.dropped == {"a conversation that ends with the human": 1}


def test_messages_beside_a_prompt_are_the_turns_before_it() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    row = {"messages": talk, "prompt": "q", "chosen": "x", "rejected": "y"}
    (pair,) = from_rows([row]).pairs.iter_rows(named=True)
    assert [turn["content"] for turn in pair["prompt"]] == ["a", "b", "q"]
    whole = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}]
    (pair,) = from_rows([{**row, "messages": whole}]).pairs.iter_rows(named=True)
    assert [turn["content"] for turn in pair["prompt"]] == ["q"]


def test_judges_in_a_list_are_found_by_their_keys() -> None:
    judged = [{"annotator_id": "u", "preference": "a"}, {"annotator_id": "v", "preference": "b"}]
    row = {"prompt": "q", "response_a": "x", "response_b": "y", "annotations": judged}
    assert liked(from_rows([row])) == [("u", "x", "y", 1.0), ("v", "y", "x", 1.0)]


def test_rows_that_differ_in_a_text_that_nobody_reads_are_told() -> None:
    said: list[str] = []
    row = {
        "prompt": "q",
        "chosen": "x",
        "rejected": "y",
        "scenario_text": "a long scene by the sea",
    }
    other = {**row, "chosen": "y", "rejected": "x", "scenario_text": "a long scene in the hills"}
    convert(jsonl([row, other]), GenericOptions.parse(), said.append)
    assert any("1 pairs stand under several texts of scenario_text" in text for text in said)


@pytest.mark.parametrize("name", ["stimulus", "scene", "situation", "text", "brief", "topic_text"])
def test_a_prompt_of_another_name_is_never_thrown_away(name: str) -> None:
    rows = [{name: f"P{i}", "chosen": f"so good {i}", "rejected": f"so bad {i}"} for i in range(3)]
    error = refused(rows)
    assert error.hint == f"--map prompt={name}, or --map prompt== where the answers begin with it"
    assert from_rows(rows, f"prompt={name}").votes.height == 3


@pytest.mark.parametrize(
    "name",
    [
        "participant_id",
        "completed_by",
        "visitor_id",
        "workerId",
        "reviewer_name",
        "rated_by",
        "pid",
    ],
)
def test_people_of_other_names_are_people(name: str) -> None:
    rows = [{**PAIR, "prompt": f"P{i}", name: f"x{i % 2}"} for i in range(4)]
    assert from_rows(rows).votes["user_id"].n_unique() == 2


def test_an_id_that_may_be_a_person_must_be_said() -> None:
    rows = [{**PAIR, "prompt": f"P{i}", "cohort_id": f"x{i % 2}"} for i in range(4)]
    assert refused(rows).hint == "--map user_id=cohort_id, or --map user_id== where nobody is named"
    assert from_rows(rows, "user_id==").votes["user_id"].null_count() == 4


@pytest.mark.parametrize("name", ["rank", "place", "final_ranking", "position"])
def test_a_rank_mapped_as_a_score_is_refused(name: str) -> None:
    rows = [
        {"user_id": "u", "prompt": "P", "response": text, name: place}
        for place, text in enumerate(["best", "mid", "worst"], start=1)
    ]
    assert refused(rows, "response=response", f"score={name}").hint == f"--map rank={name}"
    prefs = from_rows(rows, "response=response", f"rank={name}")
    assert {row[1:3] for row in liked(prefs)} == {
        ("best", "mid"), ("best", "worst"), ("mid", "worst"),
    }  # fmt: skip


@pytest.mark.parametrize(("label", "place"), [(1, "first"), (0, "second")])
def test_a_label_that_never_changes_is_told(label: int, place: str) -> None:
    rows = [{**PAIR, "prompt": f"q {i}", "label": label} for i in range(25)]
    heard: list[str] = []
    convert(jsonl(rows), GenericOptions(dataset="d"), heard.append)
    told = [each for each in heard if "as the data came is preferred" in each]
    assert len(told) == 1
    assert f"in 100 % of 25 judgements the response that stands {place}" in told[0]
    mixed = [{**row, "label": i % 2} for i, row in enumerate(rows)]
    for fewer in (rows[:19], mixed):
        heard.clear()
        convert(jsonl(fewer), GenericOptions(dataset="d"), heard.append)
        assert not [each for each in heard if "as the data came" in each]
