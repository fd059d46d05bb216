"""Batched decoding against transformers' own, one row at a time; and what chooses a token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plt.errors import UsageError
from plt.train.writing.decoding import choose, decode, left_padded, row_seed
from plt.train.writing.sampling import Sampling, Start
from tests.train.tiny_models import language_model

ENDS = {3}
LENGTHS = (9, 2, 14, 5)


def starts(model: Any, n_soft: int) -> list[Start]:
    generator = torch.Generator().manual_seed(1)
    d = model.get_input_embeddings().weight.shape[1]
    found = []
    for i, length in enumerate(LENGTHS):
        ids = [1, *torch.randint(4, 200, (length,), generator=generator).tolist()]
        soft = torch.randn(n_soft, d, generator=generator) if n_soft else None
        found.append(Start(ids, soft, row_seed(0, i)))
    return found


def one_by_one(model: Any, start: Start, n: int) -> list[int]:
    """The likeliest continuation, by transformers' own generation, of an unpadded row."""
    embeds, mask = left_padded(model.get_input_embeddings(), [start], 1)
    found: list[int] = model.generate(
        inputs_embeds=embeds, attention_mask=mask, max_new_tokens=n, do_sample=False,
        eos_token_id=sorted(ENDS), pad_token_id=0,
    )[0].tolist()  # fmt: skip
    return found[: found.index(3)] if 3 in found else found


@pytest.mark.parametrize(
    ("model_type", "n_soft"),
    [("llama", 0), ("llama", 3), ("gpt2", 3), ("gptj", 3), ("bloom", 3), ("opt", 3), ("gemma2", 3)],
)
def test_greedy_texts_are_those_of_transformers_one_at_a_time(model_type: str, n_soft: int) -> None:
    model = language_model(model_type)
    rows = starts(model, n_soft)
    sampling = Sampling(greedy=True, max_new_tokens=12)
    found = decode(model, rows, 1, ENDS, sampling, 4, lambda n: None)
    assert [each.ids for each in found] == [one_by_one(model, start, 12) for start in rows]
    assert len({tuple(each.ids) for each in found}) > 2


def next_logits(model: Any, start: Start, written: list[int]) -> torch.Tensor:
    """(n + 1, V): of each token of a text and of what follows, alone, in one pass, no cache."""
    embeds, _ = left_padded(model.get_input_embeddings(), [start], 1)
    told = model.get_input_embeddings()(torch.tensor([written], dtype=torch.long))
    with torch.no_grad():
        logits = model(inputs_embeds=torch.cat([embeds, told], dim=1)).logits[0]
    return logits[len(start) - 1 :]


def possible(logits: torch.Tensor, sampling: Sampling, draw: float, slack: float) -> set[int]:
    """The tokens that may be chosen where logits and probabilities are known up to `slack`.

    Each token has its place in the cumulative distribution, and is chosen by the draws that fall
    into it. Places move with the slack; under top-p, which sorts, tokens that are equally likely
    within it may stand in either order.
    """
    if sampling.greedy:
        return set(torch.nonzero(logits >= logits.max() - slack).ravel().tolist())
    p = torch.softmax(logits / sampling.temperature, dim=0)
    behind = torch.ones(len(p), len(p)).tril(-1).bool()  # at [k, j]: j stands before k
    surely = maybe = behind
    if sampling.top_p < 1:
        surely = logits[None] > logits[:, None] + slack
        maybe = (logits[None] >= logits[:, None] - slack) & ~torch.eye(len(p)).bool()
    begins, ends = (surely * p).sum(dim=1) - slack, (maybe * p).sum(dim=1) + p + slack
    totals = [float(p[begins < sampling.top_p].sum()), float(p[ends - p < sampling.top_p].sum())]
    within = (begins <= draw * max(totals)) & (ends >= draw * min(totals))
    return set(torch.nonzero(within & (begins < sampling.top_p)).ravel().tolist())


WAYS = [Sampling(), Sampling(greedy=True), Sampling(0.7, 0.9)]


@pytest.mark.parametrize("sampling", WAYS)
def test_the_batch_size_changes_no_text_but_by_rounding(sampling: Sampling) -> None:
    """In float64 a text parts about never, so that whatever else the company changed would show."""
    model = language_model("llama").double()
    rows = starts(model, 2)
    texts = [decode(model, rows, 1, ENDS, sampling, size, lambda n: None) for size in (1, 2, 4)]
    assert texts[0] == texts[1] == texts[2]
    backwards = decode(model, rows[::-1], 1, ENDS, sampling, 3, lambda n: None)
    assert backwards[::-1] == texts[0]


@pytest.mark.parametrize("sampling", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_every_token_is_the_one_on_which_its_rows_own_draw_falls(
    size: int, sampling: Sampling
) -> None:
    """In float32 too, in any company, within rounding; where it falls is read in float64."""
    model = language_model("llama")
    rows = starts(model, 2)
    found = decode(model, rows, 1, ENDS, sampling, size, lambda n: None)
    exact = model.double()
    sizes = []
    for start, text in zip(rows, found, strict=True):
        draws = np.random.default_rng(start.seed).random(sampling.max_new_tokens + 1)
        chosen = [*text.ids, *ENDS] if text.ended else text.ids
        logits = next_logits(exact, start, text.ids)
        for token, z, draw in zip(chosen, logits, draws, strict=False):
            candidates = possible(z, sampling, float(draw), slack=1e-4)
            assert token in candidates
            sizes.append(len(candidates))
    assert np.mean(np.array(sizes) == 1) > 0.9


def test_another_seed_draws_another_text() -> None:
    model = language_model("llama")
    one, other = (Start([1, 5, 6], None, row_seed(seed)) for seed in (0, 1))
    first, second = decode(model, [one, other], 1, ENDS, Sampling(), 2, lambda n: None)
    assert first != second


@pytest.mark.parametrize("shortest", [0, 3])
def test_a_model_that_ends_at_once_writes_nothing_but_what_it_must(shortest: int) -> None:
    """The bias of GPT-J's head makes the end token certain."""
    model = language_model("gptj")
    with torch.no_grad():
        model.lm_head.bias[3] = 1e4
    sampling = Sampling(max_new_tokens=5, min_new_tokens=shortest)
    found = decode(model, starts(model, 0), 1, ENDS, sampling, 2, lambda n: None)
    assert [(len(each.ids), each.ended) for each in found] == [(shortest, True)] * 4


def test_a_model_that_never_ends_is_stopped_and_said_so() -> None:
    model = language_model("gptj")
    with torch.no_grad():
        model.lm_head.bias[3] = -1e4
    found = decode(model, starts(model, 0), 1, ENDS, Sampling(max_new_tokens=5), 2, lambda n: None)
    assert [(len(each.ids), each.ended) for each in found] == [(5, False)] * 4


def test_a_text_that_ends_with_its_last_token_has_ended() -> None:
    """Certain to end where five tokens stand: at most five are allowed, and the sixth says so."""
    model = language_model("gptj")
    with torch.no_grad():
        model.lm_head.bias[3] = 1e4
    sampling = Sampling(max_new_tokens=5, min_new_tokens=5)
    found = decode(model, starts(model, 0), 1, ENDS, sampling, 2, lambda n: None)
    assert [(len(each.ids), each.ended) for each in found] == [(5, True)] * 4


def test_draws_follow_the_softmax() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    draws = (np.arange(1000) + 0.5) / 1000
    tokens = choose(logits.expand(1000, 4), Sampling(), draws)
    assert torch.bincount(tokens).tolist() == [100, 200, 300, 400]
    squared = choose(logits.expand(1000, 4), Sampling(temperature=0.5), draws)
    shares = torch.bincount(squared, minlength=4) / 1000
    assert shares.tolist() == pytest.approx([1 / 30, 4 / 30, 9 / 30, 16 / 30], abs=2e-3)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, {3}), (0.41, {2, 3}), (0.75, {1, 2, 3})])
def test_top_p_keeps_the_smallest_set(top_p: float, kept: set[int]) -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    draws = np.linspace(0, 1, 500, endpoint=False)
    assert set(choose(logits.expand(500, 4), Sampling(top_p=top_p), draws).tolist()) == kept


def test_impossible_tokens_are_never_drawn() -> None:
    logits = torch.tensor([[0.0, float("-inf"), 0.0, float("-inf")]]).expand(3, 4)
    assert choose(logits, Sampling(), np.array([0.0, 0.5, 1 - 1e-12])).tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0},
     {"min_new_tokens": 9, "max_new_tokens": 8}],
)  # fmt: skip
def test_impossible_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        Sampling(**options)


def test_row_seeds_are_names_of_content() -> None:
    assert row_seed(0, "p", None, 1) == row_seed(0, "p", None, 1)
    assert len({row_seed(0, "p", u, s) for u in (None, "u", "None") for s in (0, 1)}) == 6


def test_nothing_is_written_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = language_model("llama")
    decode(model, starts(model, 0), 1, ENDS, Sampling(max_new_tokens=2), 4, lambda n: None)
    assert list(tmp_path.iterdir()) == []
