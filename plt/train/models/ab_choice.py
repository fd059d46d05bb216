"""A language model that chooses between two responses, by what it would write next: A or B."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from plt.errors import FailedError
from plt.train.method import Compute, FloatArray
from plt.train.models.backbone import last_real, load_language_model, load_tokenizer, pad_batch
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import Ids, TextEncoder, neutralise, refuse_roles, text_encoder
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.processes import mine, summed

OPTIONS = ("A", "B")
# The marks between the texts of a question; a text that contains one does not end there.
MARKS = re.compile(r"</?(?:system|user|assistant|a|b|answer)\s*/?>", re.IGNORECASE)
GAP = "..."
# Tokens that are kept free, since pieces that are joined may split otherwise than alone.
SPARE = 8

Spans: TypeAlias = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Choice:
    """Two responses side by side.

    Attributes:
        prompt: The conversation that both answer.
        a: What stands under A.
        b: What stands under B.
        answer: Which one was preferred, in an example; None asks.
    """

    prompt: Sequence[Mapping[str, str]]
    a: str
    b: str
    answer: Literal["A", "B"] | None = None


@dataclass(frozen=True, eq=False)
class OptionJudge:
    """Log-odds of the next token: A against B. Nothing is generated, so nothing is parsed.

    Made by `load_judge`. A question is one user's turn, written in the model's chat template, or
    as paragraphs where it has none. Control tokens inside texts are broken
    (`plt.train.models.text_encoder`), and so are the marks that separate them.

    Attributes:
        source: The model.
        model: Its transformers form.
        encoder: How a question becomes token ids.
        cue: Tokens around a question: begin and end markers, turns, the cue to answer.
        skip: Tokens that both options share behind the cue, such as a blank.
        options: Token ids of A and B.
        device: Where it computes.
    """

    source: ModelSource
    model: Any = field(repr=False)
    encoder: TextEncoder = field(repr=False)
    cue: int
    skip: int
    options: tuple[int, int]
    device: torch.device

    def ask(
        self, instruction: str, shown: Sequence[Sequence[Choice]], compute: Compute
    ) -> FloatArray:
        """Log-odds (n,) of A against B in the last choice of each sequence.

        Args:
            instruction: What is asked; stands before and is not cut.
            shown: n sequences of choices, the examples before the one that is asked about. Where
                one does not fit the window, its longest texts lose their middles first.
            compute: As `log_odds`.
        """
        texts = [[_texts(choice) for choice in choices] for choices in shown]
        questions = [_written(instruction, *one) for one in zip(shown, texts, strict=True)]
        room = self.encoder.max_length - self.cue
        # No tokenizer makes more tokens than a text has bytes.
        long = [i for i, question in enumerate(questions) if len(question.encode()) > room]
        spans = self._spans({text for i in long for parts in texts[i] for text in parts} | {GAP})
        for i in long:
            bare = _written(instruction, shown[i], [[""] * len(parts) for parts in texts[i]])
            (scaffold,) = self._spans([bare]).values()
            fitted = _fitted(texts[i], spans, room - len(scaffold))
            questions[i] = _written(instruction, shown[i], fitted)
        return self.log_odds(questions, compute)

    def log_odds(self, questions: Sequence[str], compute: Compute) -> FloatArray:
        """Log P(A) - log P(B) as the beginning of an answer to each of n questions.

        Equal questions are read once. Passes are made of questions of like length in an order that
        their content decides, so that the order of `questions` changes no bit.

        Args:
            questions: What a user says.
            compute: Batch size; device and dtype are those of `load_judge`.

        Returns:
            Shape (n,).

        Raises:
            FailedError: A log-odds is no number.
        """
        distinct = sorted(set(questions))
        ids = self._ids(distinct)
        order = sorted(range(len(distinct)), key=lambda i: (-len(ids[i]), distinct[i]))
        found = np.zeros(len(distinct))
        for number, start in enumerate(range(0, len(order), compute.batch_size)):
            batch = order[start : start + compute.batch_size]
            if mine(number):
                found[batch] = self._read([ids[i] for i in batch])
        found = summed(found, compute.device)
        if not np.isfinite(found).all():
            raise FailedError(
                f"{self.source.name} gave options no finite log-odds, in {self.model.dtype}",
                hint="--dtype float32",
            )
        place = {question: i for i, question in enumerate(distinct)}
        return found[[place[question] for question in questions]]

    def _ids(self, questions: Sequence[str]) -> list[Ids]:
        """Token ids up to where the options part."""
        prompts = [[{"role": "user", "content": question}] for question in questions]
        rows, begins = self.encoder.encode_responses(prompts, [OPTIONS[0]] * len(questions))
        return [row[: begin + self.skip] for row, begin in zip(rows, begins, strict=True)]

    def _read(self, ids: Sequence[Ids]) -> FloatArray:
        tokens, mask = (tensor.to(self.device) for tensor in pad_batch(ids))
        rows, last = torch.arange(len(ids), device=self.device), last_real(mask)
        # The vocabulary is looked at behind the last token only; what a model does to its logits
        # afterwards (scale, cap) it does itself.
        hook = self.model.get_output_embeddings().register_forward_pre_hook(
            lambda _, states: (states[0][rows, last][:, None],)
        )
        try:
            with torch.inference_mode():
                logits = self.model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        finally:
            hook.remove()
        scores = logits[:, 0, list(self.options)].double().cpu().numpy()
        found: FloatArray = scores[:, 0] - scores[:, 1]
        return found

    def _spans(self, texts: Iterable[str]) -> dict[str, Spans]:
        """Where in each distinct text its tokens stand."""
        distinct = sorted(set(texts))
        found = self.encoder.tokenizer(
            distinct, add_special_tokens=False, return_offsets_mapping=True
        )
        return dict(zip(distinct, found["offset_mapping"], strict=True))


def load_judge(model: str, compute: Compute, max_length: int | None = None) -> OptionJudge:
    """Loads a causal language model that judges; the last one loaded is kept.

    Args:
        model: As `plt.train.models.source.resolve_model`.
        compute: Device and dtype.
        max_length: Tokens of a question at most; None is the model's own, at most 1,024.

    Raises:
        ArtifactError: There is no such model, or it is no causal language model.
    """
    device, dtype = resolve_device(compute.device), resolve_dtype(compute.dtype)
    return _load(resolve_model(model), device, dtype, max_length)


@lru_cache(maxsize=1)
def _load(
    source: ModelSource, device: torch.device, dtype: torch.dtype, max_length: int | None
) -> OptionJudge:
    model = load_language_model(source, dtype).to(device)
    encoder = text_encoder(
        load_tokenizer(source), causal=True, max_length=max_length or source.max_length
    )
    asked = [[{"role": "user", "content": "?"}]] * len(OPTIONS)
    (a, b), begins = encoder.encode_responses(asked, OPTIONS)
    first, second = a[begins[0] :], b[begins[1] :]
    skip = next((i for i, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), None)
    if skip is None:
        raise FailedError(f"the tokenizer of {source.name} does not tell A from B")
    options = int(first[skip]), int(second[skip])
    return OptionJudge(source, model, encoder, len(a) + SPARE, skip, options, device)


def largest_share(sizes: Sequence[int], room: int) -> int:
    """The largest k for which min(size, k), summed over all sizes, is at most `room`; at least 1.

    Example: sizes 2, 10, 10 in a room of 14 give 6.
    """
    left, waiting = room, sorted(sizes)
    for done, size in enumerate(waiting):
        if size * (len(waiting) - done) > left:
            return max(1, left // (len(waiting) - done))
        left -= size
    return max(1, *sizes)


def _texts(choice: Choice) -> list[str]:
    """The turns and the responses, none of which holds a mark or a lone surrogate."""
    refuse_roles(choice.prompt)
    texts = [*(turn["content"] for turn in choice.prompt), choice.a, choice.b]
    return [neutralise(text, MARKS) for text in texts]


def _fitted(
    texts: Sequence[Sequence[str]], spans: Mapping[str, Spans], room: int
) -> list[list[str]]:
    """The texts, the longest of them without their middles so that `room` tokens hold all."""
    share = largest_share([len(spans[text]) for parts in texts for text in parts], room)
    keep = max(1, share - len(spans[GAP]))
    return [
        [text if len(spans[text]) <= share else _cut(text, spans[text], keep) for text in parts]
        for parts in texts
    ]


def _cut(text: str, spans: Spans, keep: int) -> str:
    """The beginning and the end of a text, `keep` of its tokens together."""
    tail = (keep + 1) // 2
    head = spans[keep - tail - 1][1] if keep > tail else 0
    return text[:head] + GAP + text[spans[-tail][0] :]


def _written(instruction: str, choices: Sequence[Choice], texts: Sequence[Sequence[str]]) -> str:
    lines = [instruction]
    for choice, parts in zip(choices, texts, strict=True):
        marks = [*(turn["role"] for turn in choice.prompt), "a", "b"]
        lines += [f"<{mark}>{part}</{mark}>" for mark, part in zip(marks, parts, strict=True)]
        if choice.answer is not None:
            lines.append(f"<answer>{choice.answer}</answer>")
    return "\n".join(lines)
