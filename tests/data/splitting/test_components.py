"""Connected components are those that a search finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.splitting.components import linked

EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(EDGES)
def test_components_are_those_of_a_search(edges: list[tuple[int, int]]) -> None:
    left, right = (np.array([edge[side] for edge in edges], dtype=np.int64) for side in (0, 1))
    found = linked(left, right, 10)
    for start in range(10):
        reached, lefts = {start}, set[int]()
        while True:
            lefts |= {one for one, other in edges if other in reached}
            more = reached | {other for one, other in edges if one in lefts}
            if more == reached:
                break
            reached = more
        assert {node for node in range(10) if found[node] == found[start]} == reached
        if lefts:
            assert found[start] == min(lefts)
