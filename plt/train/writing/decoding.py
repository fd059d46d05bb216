"""Many continuations at once: left-padded embeddings, a cache of keys and values, seeds by row.

Who stands beside a row decides nothing of what it becomes: positions follow the mask, and every
row draws from random numbers of its own. But a forward pass sums in another order for another
batch, and so the last bits of the logits move. Where a draw falls within them of the border between
two tokens, the text goes on otherwise from there: of 256 texts of 128 tokens by tiny models none to
two did in float32, and more do in 16 bits. Rounding the logits would mend nothing: it moves fewer
of them, and those further. With the same batches a line that is typed again ends with the same
bits.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.errors import FailedError
from plt.train.models.soft_tokens import OWN_POSITIONS

if TYPE_CHECKING:
    from plt.train.writing.text_store import TextStore
from plt.train.writing.sampling import Continuation, Sampling, Start


def decode(
    model: Any,
    starts: Sequence[Start],
    at: int,
    ends: Collection[int],
    sampling: Sampling,
    batch_size: int,
    progress: Callable[[int], None],
    kept: "TextStore | None" = None,
) -> list[Continuation]:
    """Continues every start, in batches of like length.

    Batches follow from the starts alone, not from what is kept already, so that an interrupted call
    that is repeated ends with the bits of an uninterrupted one.

    Args:
        model: A causal language model of transformers, in evaluation mode.
        starts: n prompts.
        at: Tokens of a prompt in front of the soft tokens: the begin token, where there is one.
        ends: Ids that end a text.
        sampling: How tokens are chosen.
        batch_size: Rows a forward pass.
        progress: Called with the number of texts that are done.
        kept: Where finished batches are kept and found again; None keeps nothing.

    Returns:
        n continuations, in the order of `starts`.

    Raises:
        FailedError: The logits are no numbers.
    """
    order = sorted(range(len(starts)), key=lambda i: -len(starts[i]))
    found: dict[int, Continuation] = {}
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        batch = [starts[i] for i in rows]
        texts = kept.find(batch) if kept is not None else None
        if texts is None:
            texts = _decode_batch(model, batch, at, ends, sampling)
            if kept is not None:
                kept.add(batch, texts)
        found |= dict(zip(rows, texts, strict=True))
        progress(len(found))
    return [found[i] for i in range(len(starts))]


def row_seed(*parts: object) -> int:
    """128 bits that name a row by its content, so that it draws the same in any company."""
    import hashlib
    import json

    text = json.dumps(parts, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def _decode_batch(
    model: Any, starts: Sequence[Start], at: int, ends: Collection[int], sampling: Sampling
) -> list[Continuation]:
    device = model.get_input_embeddings().weight.device
    draws = _uniform_draws(starts, sampling)
    stop = torch.tensor(sorted(ends), dtype=torch.long, device=device)
    written: list[list[int]] = [[] for _ in starts]
    ended = [False] * len(starts)
    alive = list(range(len(starts)))  # the rows that the batch holds now
    with torch.inference_mode(), _last_logits_only(model):
        embeds, mask = left_padded(model.get_input_embeddings(), starts, at)
        given: dict[str, Tensor] = {"inputs_embeds": embeds}
        cache = None
        # One step more than tokens: the last one only says whether the text ends there.
        for step in range(sampling.max_new_tokens + 1):
            logits, cache = _step(model, given, mask, cache)
            if step < sampling.min_new_tokens:
                logits[:, stop] = float("-inf")
            if sampling.guide is not None:
                users = [starts[i].user for i in alive]
                logits = sampling.guide.guided(model, logits, cache, mask, users)
            chosen = choose(logits, sampling, draws[alive, step])
            over = torch.isin(chosen, stop).tolist()
            for row, token, end in zip(alive, chosen.tolist(), over, strict=True):
                ended[row] = end
                if not end and len(written[row]) < sampling.max_new_tokens:
                    written[row].append(token)
            kept = [i for i, end in enumerate(over) if not end]
            if not kept or step == sampling.max_new_tokens:
                break
            if len(kept) < len(alive):
                index = torch.tensor(kept, device=device)
                cache.batch_select_indices(index)
                mask, chosen = mask[index], chosen[index]
                alive = [alive[i] for i in kept]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            given = {"input_ids": chosen[:, None]}
    return [Continuation(ids, end) for ids, end in zip(written, ended, strict=True)]


def left_padded(embedding: Any, starts: Sequence[Start], at: int) -> tuple[Tensor, Tensor]:
    """Embeddings (n, L, d) that end together, with soft tokens behind the first `at`, and masks.

    Padding is zeros in front, which the mask hides; no padding token is needed.
    """
    device, length = embedding.weight.device, max(len(start) for start in starts)
    rows = []
    mask = torch.zeros(len(starts), length, dtype=torch.long, device=device)
    for i, start in enumerate(starts):
        words = embedding(torch.tensor([list(start.ids)], dtype=torch.long, device=device))[0]
        if start.soft is not None:
            soft = start.soft.to(device, words.dtype)
            words = torch.cat([words[:at], soft, words[at:]])
        rows.append(torch.nn.functional.pad(words, (0, 0, length - len(words), 0)))
        mask[i, length - len(words) :] = 1
    return torch.stack(rows), mask


def choose(logits: Tensor, sampling: Sampling, draws: NDArray[np.float64]) -> Tensor:
    """One token a row.

    Args:
        logits: (n, V), float32.
        sampling: How.
        draws: (n,) numbers in [0, 1): the place in the cumulative distribution.

    Returns:
        (n,) ids. Under `greedy` the likeliest, the smallest id of several.
    """
    if sampling.greedy:
        return logits.argmax(dim=1)
    probabilities = torch.softmax(logits / sampling.temperature, dim=1)
    order = None
    if sampling.top_p < 1:
        probabilities, order = probabilities.sort(dim=1, descending=True, stable=True)
        before = probabilities.cumsum(dim=1) - probabilities
        probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    total = probabilities.cumsum(dim=1)
    place = torch.from_numpy(draws.astype(np.float32)).to(total.device)[:, None] * total[:, -1:]
    index = torch.searchsorted(total, place, right=True)
    # Rounding may put the place at the very end, where tokens of probability 0 stand.
    possible = (probabilities > 0).cumsum(dim=1).argmax(dim=1, keepdim=True)
    index = torch.minimum(index, possible)
    return (index if order is None else order.gather(1, index))[:, 0]


def _step(model: Any, given: dict[str, Tensor], mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
    """Logits (n, V) of the next token, and the cache that now holds `given` too."""
    out = model(**step_arguments(model, given, mask, cache))
    logits = out.logits[:, -1].float()
    if not torch.isfinite(logits).all():
        raise FailedError(
            f"the language model gave logits that are no numbers, in {out.logits.dtype}",
            hint="--dtype float32",
        )
    return logits, out.past_key_values


def step_arguments(
    model: Any, given: dict[str, Tensor], mask: Tensor, cache: Any
) -> dict[str, Any]:
    """What a language model or its body is called with.

    Args:
        model: It says how it counts positions.
        given: Ids (n, l) or embeddings (n, l, d) that the cache does not hold.
        mask: (n, L), 1 on real tokens; its last l columns are those of `given`.
        cache: Of what stands before; None is nothing.
    """
    n = next(iter(given.values())).shape[1]
    arguments = {**given, "attention_mask": mask, "use_cache": True, "past_key_values": cache}
    if model.config.model_type not in OWN_POSITIONS:
        arguments["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -n:]
    return arguments


@contextmanager
def _last_logits_only(model: Any) -> Any:
    """The vocabulary is looked at behind the last token only, whatever the architecture."""
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _, states: (states[0][:, -1:],)
    )
    try:
        yield
    finally:
        hook.remove()


def _uniform_draws(starts: Sequence[Start], sampling: Sampling) -> NDArray[np.float64]:
    """(n, steps) numbers in [0, 1), each row from its own seed."""
    steps = sampling.max_new_tokens + 1
    if sampling.greedy:
        return np.zeros((len(starts), steps))
    return np.stack([np.random.default_rng(start.seed).random(steps) for start in starts])
