"""log pi(y | x): what a language model gives a response, its end marker included.

Prompt tokens, soft tokens and padding are not counted. Rows are aligned first, so that padding on
any side changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from trl.trainer.utils import add_fused_lm_head

from plt.train.method import IntArray
from plt.train.models.backbone import align, pad_batch
from plt.train.models.soft_tokens import insert_soft_tokens
from plt.train.models.text_encoder import Ids, TextEncoder

IGNORED = -100
LENGTH_MULTIPLE = 16
SPARE = 8
UNCUT = 10**9
FUSED = "_plt_fused_head"


@dataclass(frozen=True)
class Answer:
    """A prompt and a response as a model reads them.

    Attributes:
        ids: (L,) token ids.
        begins: The column of the response's first token.
    """

    ids: Ids
    begins: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_response(self) -> int:
        """Tokens of the response, its end marker included."""
        return len(self.ids) - self.begins


@dataclass(frozen=True)
class AnswerBatch:
    """n answers, padded on the right.

    Attributes:
        tokens: (n, L) token ids.
        mask: (n, L), 1 on real tokens.
        response: (n, L), 1 on tokens of the response.
    """

    tokens: Tensor
    mask: Tensor
    response: Tensor

    def to(self, device: torch.device) -> "AnswerBatch":
        """The same on another device."""
        return AnswerBatch(self.tokens.to(device), self.mask.to(device), self.response.to(device))


def encode_answers(
    encoder: TextEncoder, prompts: Sequence[Sequence[Mapping[str, str]]], responses: Sequence[str]
) -> list[Answer]:
    """Token ids of n texts, which end with the response's end marker.

    What a chat template writes behind the end marker (a line feed, mostly) is no choice of the
    policy's, and generation never gets there: it is cut off.
    """
    end = encoder.tokenizer.eos_token_id
    rows, begins = encoder.encode_responses(prompts, responses)
    answers = []
    for ids, begin in zip(rows, begins.tolist(), strict=True):
        ends = np.flatnonzero(ids[begin:] == end)
        answers.append(Answer(ids[: begin + ends[-1] + 1] if len(ends) else ids, begin))
    return answers


def cut_note(
    encoder: TextEncoder,
    prompts: Sequence[Sequence[Mapping[str, str]]],
    responses: Sequence[str],
    answers: Sequence[Answer],
) -> tuple[str, ...]:
    """What must be said of texts that are longer than `max_length`; nothing where none is.

    Args:
        encoder: How they are written.
        prompts: n conversations.
        responses: n responses.
        answers: What `encode_answers` made of them.
    """
    # The few tokens behind an end marker are gone from answers that fill the window.
    full = [i for i, each in enumerate(answers) if len(each) + SPARE >= encoder.max_length]
    whole = replace(encoder, max_length=UNCUT)
    rows, _ = whole.encode_responses([prompts[i] for i in full], [responses[i] for i in full])
    n_cut = sum(len(row) > encoder.max_length for row in rows)
    if not n_cut:
        return ()
    said = (
        f"{n_cut:,} of {len(answers):,} texts are longer than {encoder.max_length} tokens and lose"
        " their middle (--max-length)"
    )
    most = "; what is learnt is not what people judged" if 2 * n_cut >= len(answers) else ""
    return (said + most,)


def encode_prompt(encoder: TextEncoder, prompt: Sequence[Mapping[str, str]]) -> list[int]:
    """Token ids up to where a response begins."""
    rows, begins = encoder.encode_responses([prompt], [""])
    found: list[int] = rows[0][: begins[0]].tolist()
    return found


def answer_batch(answers: Sequence[Answer], multiple: int = 1) -> AnswerBatch:
    """Answers as tensors, whose length is a multiple of `multiple`."""
    tokens, mask = pad_batch([answer.ids for answer in answers])
    extra = -tokens.shape[1] % multiple
    if extra:
        tokens, mask = (torch.nn.functional.pad(part, (0, extra)) for part in (tokens, mask))
    begins = torch.tensor([answer.begins for answer in answers])
    columns = torch.arange(tokens.shape[1])
    return AnswerBatch(tokens, mask, mask * (columns >= begins[:, None]))


def length_batches(sizes: Sequence[int], rows: IntArray, batch_size: int) -> Iterator[IntArray]:
    """Parts of `rows` of like length, the longest first; ties stand in the order of `rows`."""
    order = rows[np.argsort([-sizes[row] for row in rows], kind="stable")]
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def response_log_probs(model: Any, batch: AnswerBatch, soft: Tensor, at: int) -> Tensor:
    """Log pi(y | x), summed over the tokens of each response.

    Args:
        model: A causal language model, adapters on it included. It gets TRL's fused head if it
            lacks that, which changes nothing else that it does.
        batch: n answers, padded on any side.
        soft: (n, T_u, d) soft tokens; with T_u = 0 the model is called as if nobody had heard of
            them.
        at: Tokens that stay in front of the soft ones: the begin token, where there is one.

    Returns:
        (n,); 0 for a response without a token.
    """
    labels = batch.tokens.masked_fill(batch.response == 0, IGNORED)
    labels, _ = align(labels, batch.mask)
    tokens, mask = align(batch.tokens, batch.mask)
    given = {"input_ids": tokens, "attention_mask": mask}
    if soft.shape[1]:
        inputs = insert_soft_tokens(model.get_input_embeddings(), tokens, mask, soft, at)
        given = inputs.arguments(model.config.model_type)
        labels = inputs.widened(labels, IGNORED)
    following = labels[:, 1:]
    counted = following != IGNORED
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not getattr(core, FUSED, False):
        add_fused_lm_head(core)
        setattr(core, FUSED, True)
    with only_states(core, counted):
        found = model(**given, shift_labels=following[counted][None], fused_lm_head=True).log_probs
    sums: Tensor = found.new_zeros(len(labels))
    return sums.index_add(0, counted.nonzero()[:, 0], found[0])


@contextmanager
def only_states(core: Any, counted: Tensor) -> Iterator[None]:
    """Within, the body gives the (1, k, d) states before the k tokens that count, and no others.

    The head over the vocabulary, which costs more than the body of a small model, then skips
    prompts and padding on every device; TRL's own skips them under Triton only.
    """

    def keep(_: Any, __: Any, outputs: Any) -> Any:
        outputs.last_hidden_state = outputs.last_hidden_state[:, :-1][counted][None]
        return outputs

    hook = core.base_model.register_forward_hook(keep)
    try:
        yield
    finally:
        hook.remove()
