"""A judge behind a URL: any OpenAI-compatible endpoint, both orders, nothing guessed. No torch."""

import re
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from plt.errors import ArtifactError
from plt.train.judges.chat_client import ChatClient, Reply
from plt.train.judges.judge import Reading
from plt.train.judges.questions import Question, ask_both_orders, better
from plt.train.method import Progress, silent
from plt.train.models.text_encoder import Message

REFUSED = "refused"
NONSENSE = "the answer is neither A, B nor tie"
CUT_OFF = "the answer was cut off"
MAX_FAILURES_IN_A_ROW = 10
_ANSWER = re.compile(r"\W*(?:(?:the\s+)?(?:better\s+)?answer\W*(?:is\W*)?)?(A|B|tie)\W*", re.I)
_THOUGHTS = re.compile(r"<think>.*?</think>", re.S)
_REFUSAL = re.compile(
    r"\b(?:sorry|cannot|can['’]t|won['’]t|unable to|not able to|must decline)\b", re.I
)


@dataclass
class Spent:
    """What judging took.

    Attributes:
        asked: Questions that were sent and answered in this run.
        cached: Questions answered earlier.
        failed: Questions without an answer.
        n_tokens_in: Tokens read in this run, as the endpoint counts; answers without a count are
            not in it.
        n_tokens_out: Tokens written in this run.
        uncounted: Answers of this run whose tokens the endpoint did not count.
    """

    asked: int = 0
    cached: int = 0
    failed: int = 0
    n_tokens_in: int = 0
    n_tokens_out: int = 0
    uncounted: int = 0

    def add(self, reply: Reply) -> None:
        """Counts one reply."""
        if reply.cached:
            self.cached += 1
            return
        if reply.failed:
            self.failed += 1
            return
        self.asked += 1
        if reply.n_tokens_in is None or reply.n_tokens_out is None:
            self.uncounted += 1
        else:
            self.n_tokens_in += reply.n_tokens_in
            self.n_tokens_out += reply.n_tokens_out

    def cost(self, price_in: float | None, price_out: float | None) -> float | None:
        """Price of this run from prices per million tokens.

        Null without both prices, or when tokens of an answer were not counted.
        """
        if price_in is None or price_out is None or self.uncounted:
            return None
        return (self.n_tokens_in * price_in + self.n_tokens_out * price_out) / 1e6


@dataclass(frozen=True)
class ApiJudge:
    """Asks a chat endpoint which answer is better.

    Attributes:
        client: Where to ask.
        profiles: What persons say of themselves, which the judge is told.
        parallel: Questions under way at a time.
        progress: Called as answers come.
        spent: What it took, counted while it reads.
    """

    client: ChatClient
    profiles: Mapping[str, str]
    parallel: int = 4
    progress: Progress = silent
    spent: Spent = field(default_factory=Spent)

    @property
    def name(self) -> str:
        """Model and host."""
        return f"{self.client.endpoint.model}@{self.client.endpoint.host}"

    def unanswered(self, contests: pl.DataFrame) -> int:
        """How many distinct questions about these contests would be sent."""
        texts = {question.text for question in self._questions(contests)}
        return sum(self.client.kept(_messages(text)) is None for text in texts)

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """Two readings a contest.

        Raises:
            UsageError: The endpoint refuses key, model or address.
            ArtifactError: It cannot be reached, or fails `MAX_FAILURES_IN_A_ROW` times in a row.
        """
        questions = self._questions(contests)
        replies = self._ask(list(dict.fromkeys(question.text for question in questions)))
        found: list[list[Reading]] = [[] for _ in range(contests.height)]
        for question in questions:
            reply = replies[question.text]
            answer, reason = parse_answer(reply)
            verdict = None if answer is None else better(answer, question.order)
            counts = reply.n_tokens_in, reply.n_tokens_out
            found[question.contest].append(Reading(question.order, verdict, reason, None, *counts))
        return found

    def _questions(self, contests: pl.DataFrame) -> list[Question]:
        different = contests.filter(pl.col("response_1") != pl.col("response_2"))
        return ask_both_orders(different, self.profiles, ties=True)

    def _ask(self, texts: list[str]) -> dict[str, Reply]:
        replies: dict[str, Reply] = {}
        failures = 0
        pool = ThreadPoolExecutor(self.parallel)
        try:
            asked: dict[Future[Reply], str] = {
                pool.submit(self.client.ask, _messages(text)): text for text in texts
            }
            for future in as_completed(asked):
                reply = future.result()
                replies[asked[future]] = reply
                self.spent.add(reply)
                self.progress("judging", len(replies), len(texts))
                failures = failures + 1 if reply.failed else 0
                if failures >= MAX_FAILURES_IN_A_ROW:
                    raise ArtifactError(
                        f"{self.client.endpoint.host} gave no answer {failures} times in a row:"
                        f" {reply.reason}",
                        hint="type the same line again: finished judgements are kept",
                    )
        except BaseException:
            # Also when the person interrupts: nobody waits for a server that asked for patience.
            self.client.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return replies


def parse_answer(reply: Reply) -> tuple[Literal["A", "B", "tie"] | None, str | None]:
    """The answer that a reply gives, or None and why; never a guess from a longer text."""
    if reply.text is None:
        return None, reply.reason
    found = _ANSWER.fullmatch(_THOUGHTS.sub("", reply.text).strip())
    if found is None:
        if reply.finish == "length":
            return None, CUT_OFF
        return None, REFUSED if _REFUSAL.search(reply.text) else NONSENSE
    said = found[1].upper()
    return ("A" if said == "A" else "B" if said == "B" else "tie"), None


def _messages(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]
