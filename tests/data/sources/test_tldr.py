import json
from collections import Counter
from pathlib import Path

import pytest

from plt.data.sources import tldr
from plt.errors import DataError, UsageError


def row(worker: str, i: int = 0, **more: object) -> dict[str, object]:
    found: dict[str, object] = {
        "info": {"id": f"t3_{i}", "post": f"post {i}", "title": f"title {i}", "subreddit": "pets"},
        "summaries": [
            {"text": f" long summary {i}", "policy": "sup4", "note": ""},
            {"text": f" short {i}", "policy": "sup4_ppo_rm4" if i == 99 else "sup2", "note": None},
        ],
        "choice": 0, "worker": worker, "batch": "batch3", "split": "train",
        "extra": {"confidence": 8},
    }  # fmt: skip
    return found | more


def load(
    tmp_path: Path, rows: list[dict[str, object]], variant: str | None = None
) -> tldr.Preferences:
    # JSON Lines under a name that ends in .json, as released.
    (tmp_path / "batch3.json").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tldr.load(tmp_path, variant, lambda _: None)


def test_choice_is_the_position_of_the_preferred_summary(tmp_path: Path) -> None:
    prefs = load(tmp_path, [row("w", 1), row("w", 2, choice=1, split="valid1")])
    by_group = {row["group"]: row for row in prefs.wide().iter_rows(named=True)}
    for group, better in (("t3_1", "long summary 1"), ("t3_2", "short 2")):
        found = by_group[group]
        side = "a" if found["response_a"] == better else "b"
        assert found[f"response_{side}"] == better  # The blank in front is gone.
        assert found["label"] == float(side == "a")
    assert by_group["t3_1"]["split"] == "train"
    assert by_group["t3_2"]["split"] == "test"
    assert by_group["t3_1"]["prompt"][0]["content"] == (
        "SUBREDDIT: r/pets\nTITLE: title 1\nPOST: post 1\nTL;DR:"
    )
    assert prefs.meta.split is not None
    assert prefs.meta.split["leaks"] is False


def test_cnn_rows_and_identical_summaries_are_dropped(tmp_path: Path) -> None:
    article = {"id": "c1", "post": None, "title": None, "site": "cnn", "article": "text"}
    same = [{"text": " x", "policy": "sup", "note": None}] * 2
    rows = [row("w"), row("w", 1, info=article), row("w", 2, summaries=same)]
    prefs = load(tmp_path, rows)
    assert prefs.votes.height == 1
    assert prefs.meta.dropped == {"CNN/DM row": 1, "identical responses": 1}


def test_posts_in_both_parts_are_a_leak_that_is_said(tmp_path: Path) -> None:
    prefs = load(tmp_path, [row("w"), row("v", split="valid2")])
    assert prefs.meta.split is not None
    assert prefs.meta.split["leaks"] is True
    assert "1 posts stand in both" in prefs.meta.split["why"]


def test_top5_counts_train_rows_of_every_policy(tmp_path: Path) -> None:
    rows = [row(f"w{k}", i) for k in range(7) for i in range(10 - k)]
    rows += [row("w6", 50 + i, split="valid1") for i in range(20)]
    rows += [row("w0", 99), row("w5", 98, info={"id": "c", "post": None})]
    prefs = load(tmp_path, rows, "top5")
    assert set(prefs.votes["user_id"].cast(str)) == {f"w{k}" for k in range(5)}
    assert prefs.meta.dropped == {"worker outside the top 5": 5 + 4 + 20, "CNN/DM row": 1}
    assert prefs.pairs["prompt"][0][0]["content"].startswith("Summarize the following text: post")
    assert prefs.meta.dataset == "tldr:top5"


def test_length_users_are_those_of_the_published_seed() -> None:
    """Ranks 4, 5 and 6 of the first ten prefer the shorter text, and 14 of the first forty."""
    drawn = tldr.prefers_shorter(76)
    assert [rank for rank, shorter in enumerate(drawn[:10], start=1) if shorter] == [4, 5, 6]
    assert sum(drawn[:40]) == 14
    assert tldr.prefers_shorter(10) == drawn[:10]


def test_length_labels_replace_the_choice(tmp_path: Path) -> None:
    rows = [row(f"w{k:02d}", i, choice=1) for k in range(12) for i in range(14 - k)]
    equal = [{"text": " abc", "policy": "sup"}, {"text": " xyz", "policy": "sup"}]
    rows += [row("w00", 99), row("w00", 60, summaries=equal), row("w11", 61, split="valid1")]
    long = {"id": "t3_70", "post": "x" * 4800, "title": "t", "subreddit": "s"}
    prefs = load(tmp_path, [*rows, row("w00", 70, info=long)], "length-top10")
    assert prefs.meta.dropped == {
        "policy not supervised": 1, "equal length": 1, "longer than 4800 characters": 1,
        "train row of a worker outside the top 10": 4 + 3,
    }  # fmt: skip
    wide = prefs.wide()
    likes_long = Counter()
    for found in wide.iter_rows(named=True):
        winner = found["response_a"] if found["label"] == 1 else found["response_b"]
        likes_long[found["user_id"], winner.startswith("long")] += 1
    assert {user for user, longer in likes_long if not longer and user != "w11"} == {
        "w03", "w04", "w05",
    }  # fmt: skip
    assert {user for user, _ in likes_long if (user, True) in likes_long} >= {"w00", "w09"}
    splits = dict(wide.select("user_id", "user_split").unique().iter_rows())
    assert splits["w09"] == "seen"
    assert splits["w11"] == "unseen"
    assert prefs.meta.truth is not None
    assert prefs.meta.truth["seed"] == 3456


def test_length_is_that_of_the_stored_text(tmp_path: Path) -> None:
    """Blanks around a text, which are not stored, neither win nor break a tie."""
    padded = [{"text": "   abc\n\n", "policy": "sup"}, {"text": "longer", "policy": "sup"}]
    tied = [{"text": " abcdef", "policy": "sup"}, {"text": "uvwxyz", "policy": "sup"}]
    rows = [row("w00", 1, summaries=padded), row("w00", 2, summaries=tied)]
    prefs = load(tmp_path, rows, "length-top10")
    assert prefs.meta.dropped == {"equal length": 1}
    (found,) = prefs.wide().iter_rows(named=True)
    assert tldr.prefers_shorter(1) == [False]
    assert found["response_a" if found["label"] == 1 else "response_b"] == "longer"


def test_bad_rows_and_variants(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no comparisons") as caught:
        load(tmp_path, [row("w"), row("w", choice=2), row("w", summaries=[])])
    assert [p.split(":")[0] for p in caught.value.problems] == ["line 2", "line 3"]
    with pytest.raises(UsageError, match="no variant 'top6'"):
        load(tmp_path, [row("w")], "top6")
    with pytest.raises(DataError, match="no comparison is left"):
        load(tmp_path, [row("w", info={"id": "x", "post": None})])


def test_the_native_row(shared_data: Path) -> None:
    prefs = tldr.load(shared_data / "tldr_sample", None, lambda _: None)
    assert prefs.votes.height == 1
    (found,) = prefs.wide().iter_rows(named=True)
    assert found["group"].startswith("t3_")
    assert {found["source_a"], found["source_b"]} != {None}
    text = (shared_data / "tldr_sample" / "comparisons_1row.jsonl").read_text()
    native = json.loads(text)
    better = native["summaries"][native["choice"]]["text"].strip()
    assert found["response_a" if found["label"] == 1 else "response_b"] == better
