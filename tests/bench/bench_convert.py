"""100,000 rows of JSON Lines to a table, against reading them with Python's own reader alone."""

import json
import time

import pytest

from plt.data.sources.generic import GenericOptions, convert

ROWS = 100_000
TEXT = "some words of an answer " * 12


def _seconds(work: object) -> float:
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


def _pairs(i: int) -> dict[str, object]:
    return {"prompt": f"p{i}", "response_a": f"{TEXT}{i}", "response_b": "no", "user_id": i % 99,
            "winner": "model_a" if i % 2 else "tie"}  # fmt: skip


def _messages(i: int) -> dict[str, object]:
    answers = [[{"role": "assistant", "content": text}] for text in (f"{TEXT}{i}", "no")]
    asked = [{"role": "user", "content": f"p{i}"}]
    return {"prompt": asked, "chosen": answers[0], "rejected": answers[1], "user_id": i % 99}


@pytest.mark.bench
@pytest.mark.parametrize(("row", "limit"), [(_pairs, 5.0), (_messages, 7.5)])
def test_a_hundred_thousand_rows(row: object, limit: float) -> None:
    data = "".join(json.dumps(row(i)) + "\n" for i in range(ROWS)).encode()  # type: ignore[operator]
    alone = _seconds(lambda: [json.loads(line) for line in data.splitlines()])
    seconds = _seconds(lambda: convert(data, GenericOptions.parse(), lambda text: None))
    print(f"{seconds:.2f} s of CPU, {seconds / alone:.1f} times reading the lines alone")
    assert seconds < limit
