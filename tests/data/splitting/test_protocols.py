from pathlib import Path

import polars as pl
import pytest

from plt.data.sources import prism, prism_protocols
from plt.data.sources.prism_dialogues import Answer, Dialogue, Prism, Turn
from plt.data.sources.prism_protocols import lore_users, prlhf_users
from plt.data.splitting.protocols import apply_protocol
from plt.data.splitting.splits import SplitPlan, split
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed
from tests.data.sources.prism_files import conversation, person, turn, write


def silent(text: str) -> None:
    del text


def ids_only(path: Path) -> Prism:
    """PRISM's real people and conversations with texts of our own."""
    ids = pl.read_csv(path).with_columns(
        pl.col("user_id").str.strip_prefix("user").cast(pl.Int64).alias("u"),
        pl.col("conversation_id").str.strip_prefix("c").cast(pl.Int64).alias("c"),
    )
    answers = [Answer("x", "m", 9.0, True), Answer("y", "n", 1.0, False)]
    too_long = [Answer("x" * 2400, "m", 9.0, True), Answer("y", "n", 1.0, False)]
    dialogues = [
        # Two conversations of the published files have no turn that is short enough.
        Dialogue(c, u, "", {0: Turn("q", too_long if c in ("c2536", "c4146") else answers)})
        for c, u in ids.sort("c").select("conversation_id", "user_id").iter_rows()
    ]
    people = [{"user_id": u} for u in ids.sort("u")["user_id"].unique(maintain_order=True)]
    return Prism(people, dialogues, "", {})


def test_prlhf_has_its_published_numbers_of_users(shared_data: Path) -> None:
    folder = shared_data / "prism_ids_only"
    whole = ids_only(folder / "local_clusters_opening_prompt_0-05.csv")
    assert (len(whole.people), len(whole.dialogues)) == (1396, 8011)
    users, parts = prlhf_users(whole)
    assert list(users.values()).count("seen") == 1234
    assert list(users.values()).count("unseen") == 162
    assert len(parts) == 8009
    seen = {d.name for d in whole.dialogues if users[d.user] == "seen"} & set(parts)
    unseen = set(parts) - seen
    assert {parts[name] for name in unseen} == {"test"}
    assert 0.8 < sum(parts[name] == "train" for name in seen) / len(seen) < 0.9


def test_lore_keeps_users_with_more_than_five_conversations(shared_data: Path) -> None:
    folder = shared_data / "prism_ids_only"
    whole = ids_only(folder / "local_clusters_opening_prompt_0-05.csv")
    users, parts = lore_users(whole)
    talks = prism_protocols._conversations(whole, None)
    assert set(users) == {user for user, names in talks.items() if len(names) > 5}
    for user in list(users)[:50]:
        trained = sum(parts[name] == "train" for name in talks[user])
        assert trained == len(talks[user]) // 2


def talk(name: str, user: str, *, long: bool = False) -> dict[str, object]:
    answer = "x" * 2400 if long else f"good {name}"
    return conversation(name, user, turn(0, f"q {name}", (answer, 9, True), ("bad", 1, False)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    people = [person(f"user{i}") for i in range(30)]
    talks = [talk(f"c{i}-{k}", f"user{i}", long=k == 6) for i in range(30) for k in range(7)]
    lonely = [talk("c98", "user98"), talk("c99", "user99")]
    people += [person("user98"), person("user99"), person("silent", num_completed_conversations=0)]
    return write(tmp_path, people, [*talks, *lonely])


def test_prism_prlhf(folder: Path) -> None:
    prefs = prism.load(folder, "prlhf", silent)
    assert prefs.meta.dataset == "prism:prlhf"
    assert prefs.meta.dropped == {"longer than 2300 characters": 30}
    assert prefs.votes["split"].null_count() == prefs.votes["user_split"].null_count() == 0
    by_user = prefs.votes.group_by("user_id", "user_split").agg(pl.col("split").unique())
    for _, kind, parts in by_user.iter_rows():
        assert set(parts) <= ({"train", "test"} if kind == "seen" else {"test"})
    lonely = by_user.filter(pl.col("user_id").is_in(["user98", "user99"]))
    assert lonely["user_split"].to_list() == ["unseen", "unseen"]
    assert prefs.meta.split is not None
    assert prefs.meta.split["protocol"] == "prlhf"
    assert prefs.meta.split["leaks"] is False


def test_prism_lore_and_plus(folder: Path) -> None:
    lore = prism.load(folder, "lore", silent)
    assert lore.meta.dropped == {"user with too few conversations": 2}
    per_user = lore.votes.group_by("user_id").agg((pl.col("split") == "train").sum())
    assert set(per_user["split"]) == {3}
    assert set(lore.votes["user_split"]) == {"seen", "unseen"}
    plus = prism.load(folder, "plus", silent)
    held = plus.votes.group_by("user_id", "user_split").agg((pl.col("split") == "test").sum())
    assert dict(held.group_by("user_split").agg(pl.col("split").unique()).iter_rows()) == {
        "seen": [1], "unseen": [1],
    }  # fmt: skip
    assert plus.votes.filter(pl.col("user_id") == "user98")["user_split"].to_list() == ["unseen"]


def test_psoups_rows_leak_and_say_so() -> None:
    prefs = apply_protocol(crossed(6, 50), "psoups")
    assert (prefs.votes["split"] == "test").sum() == 30
    assert prefs.meta.split is not None
    assert prefs.meta.split["leaks"] is True
    parts = prefs.votes.group_by("pair_id").agg(pl.col("split").n_unique())
    straddling = (parts["split"] == 2).sum()
    assert f"{straddling} pairs stand in both" in prefs.meta.split["why"]
    again = apply_protocol(crossed(6, 50), "psoups")
    assert again.votes.equals(prefs.votes)


def test_pref_divides_users_and_pairs() -> None:
    prefs = apply_protocol(crossed(20, 40), "pref")
    cells = dict(
        ((str(split), str(user)), n)
        for split, user, n in prefs.votes.group_by("split", "user_split").len().iter_rows()
    )
    assert cells == {
        ("train", "seen"): 32 * 16, ("test", "seen"): 8 * 16, ("train", "unseen"): 32 * 4,
        ("test", "unseen"): 8 * 4,
    }  # fmt: skip
    assert (prefs.votes.group_by("pair_id").agg(pl.col("split").n_unique())["split"] == 1).all()
    assert (
        prefs.votes.group_by("user_id").agg(pl.col("user_split").n_unique())["user_split"] == 1
    ).all()


def test_source_split_needs_one_and_says_what_straddles() -> None:
    with pytest.raises(DataError, match="names no split"):
        apply_protocol(crossed(4, 5), "source")
    divided = split(crossed(4, 60), SplitPlan(by="group"))
    kept = apply_protocol(divided, "source")
    assert kept.votes.equals(divided.votes)
    assert kept.meta.split is not None
    assert (kept.meta.split["leaks"], kept.meta.split["unit"]) == (False, "group")


def test_unknown_and_survey_protocols() -> None:
    with pytest.raises(UsageError, match="known are psoups, pref, source, prism:prlhf"):
        apply_protocol(crossed(2, 2), "p-soups")
    with pytest.raises(UsageError, match="needs PRISM's survey") as caught:
        apply_protocol(crossed(2, 2), "prlhf")
    assert caught.value.hint == "plt dataset-convert prism:prlhf RAW -o prism-prlhf.parquet"
