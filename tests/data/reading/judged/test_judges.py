from plt.data.reading.bad_rows import BadRows
from plt.data.reading.judged.judges import DISCARDED, Cells, judgements, ratings_at
from plt.data.reading.raw_files import RawTable


def table(**columns: list[object]) -> RawTable:
    return RawTable("x", columns, len(next(iter(columns.values()))), "")


def cells(found: RawTable, source: str, **sources: str) -> tuple[Cells, dict[str, int], list[str]]:
    said: list[str] = []
    answer, dropped = judgements(found, sources, source, said.append, BadRows(found))
    return answer, dropped, said


def test_judgements_name_their_users() -> None:
    found = table(a=["x", "y"], b=["z", None], rated=[{"u": 1, "v": None}, None])
    plain, _, _ = cells(found, "a")
    assert (plain.rows, plain.users, plain.values) == ([0, 1], None, ["x", "y"])
    several, _, said = cells(found, "a,b")
    assert several.rows == [0, 0, 1, 1]
    assert several.users == ["a", "b", "a", "b"]
    assert several.values == ["x", "z", "y", None]
    assert "one user" in said[0]
    by_key, _, _ = cells(found, "rated")
    assert (by_key.rows, by_key.users, by_key.values) == ([0], ["u"], [1])
    starred = table(r_1_j=[1], r_2_j=[2], r_1_k=[3], r_2_k=[4])
    rated = ratings_at(starred, "r_*_j,r_*_k", star="2")
    assert (rated.users, rated.values) == (["j", "k"], [2, 4])


def test_judges_in_lists_are_exploded_in_step() -> None:
    judged = [
        [{"by": 1, "says": "a", "skip": False}, {"by": 2.0, "says": "b", "skip": True}],
        None,
        [{"by": "3", "says": "tie", "skip": None}],
    ]
    found, dropped, said = cells(
        table(j=judged), "j.*.says", user_id="j.*.by", discarded="j.*.skip"
    )
    assert (found.rows, found.users, found.values) == ([0, 2], ["1", "3"], ["a", "tie"])
    assert dropped == {DISCARDED: 1}
    assert said == []


def test_lists_of_objects_as_objects_of_lists_and_as_lists_side_by_side() -> None:
    columns = table(j=[{"by": ["u", "v"], "says": ["a", "b"]}])
    found, _, _ = cells(columns, "j.*.says", user_id="j.*.by")
    assert (found.rows, found.users, found.values) == ([0, 0], ["u", "v"], ["a", "b"])
    aside = table(says=[["a", "b"], []], by=[["u", "v"], None])
    found, _, _ = cells(aside, "says", user_id="by")
    assert (found.rows, found.users, found.values) == ([0, 0], ["u", "v"], ["a", "b"])


def test_a_position_is_nobody() -> None:
    judged = table(j=[[{"s": 1}, {"s": 0}]])
    found, _, said = cells(judged, "j.*.s")
    assert (found.users, found.values) == (None, [1, 0])
    assert "nobody" in said[0]
    found, _, said = cells(judged, "j.0.s,j.1.s")
    assert found.users == [None, None]
    assert "nobody" in said[0]


def test_columns_of_judges_beside_columns_of_labels() -> None:
    found = table(l1=["a"], l2=["b"], w1=["ann"], w2=["bob"])
    read, _, _ = cells(found, "l1,l2", user_id="w1,w2")
    assert (read.users, read.values) == (["ann", "bob"], ["a", "b"])
    starred, _, _ = cells(found, "l*", user_id="w*")
    assert (starred.users, starred.values) == (["ann", "bob"], ["a", "b"])
