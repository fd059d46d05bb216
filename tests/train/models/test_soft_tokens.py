import pytest
import torch
from torch.nn.functional import pad

from plt.train.models.soft_tokens import insert_soft_tokens, soft_states
from plt.train.models.source import ARCHITECTURES
from tests.train.tiny_models import tiny_body

COMMON = ("llama", "gpt2", "bert")


def random_ids(n, length, seed=0):
    return torch.randint(5, 250, (n, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def read(body, ids, soft, left=0, right=0, value=0):
    """States (n, L, d) of rows without padding of their own."""
    tokens = pad(ids, (left, right), value=value)
    mask = pad(torch.ones_like(ids), (left, right))
    states, aligned = soft_states(body, tokens, mask, soft, 1)
    assert aligned.sum() == mask.sum()
    return states[:, : ids.shape[1]]


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_soft_tokens_that_are_words_are_the_text_with_these_words(model_type):
    """RM-05 (c), O-10: every listed architecture, absolute positions and encoders included."""
    body = tiny_body(model_type)
    ids = random_ids(2, 20)
    whole = torch.ones_like(ids)
    with torch.no_grad():
        expected = body(input_ids=ids, attention_mask=whole).last_hidden_state
        soft = body.get_input_embeddings()(ids[:, 1:5])
    found = read(body, torch.cat([ids[:, :1], ids[:, 5:]], 1), soft, left=3, right=2)
    expected = torch.cat([expected[:, :1], expected[:, 5:]], 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_soft", [0, 1, 10])
@pytest.mark.parametrize("model_type", COMMON)
def test_padding_changes_nothing(model_type, n_soft):
    """RM-05 (f), O-10: left pads 0 to 7, of any value, with the rest on the right."""
    body, ids = tiny_body(model_type), random_ids(3, 12)
    soft = torch.randn(3, n_soft, 32, generator=torch.Generator().manual_seed(1))
    plain = read(body, ids, soft)
    for left in range(8):
        found = read(body, ids, soft, left, 7 - left, value=3)
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)
    alone = torch.cat([read(body, ids[i : i + 1], soft[i : i + 1], left=i) for i in range(3)])
    torch.testing.assert_close(alone, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", COMMON)
def test_nobodys_soft_tokens_are_the_model_as_it_is(model_type):
    body, ids = tiny_body(model_type), random_ids(3, 12)
    with torch.no_grad():
        expected = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert torch.equal(read(body, ids, torch.zeros(3, 0, 32)), expected)


@pytest.mark.parametrize("model_type", COMMON)
def test_another_persons_tokens_change_the_states(model_type):
    """Stock models swallow an unknown `user_id` without a word; soft tokens must not be lost."""
    body, ids = tiny_body(model_type), random_ids(1, 12)
    soft = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(1))
    one, two = (read(body, ids, soft[i : i + 1])[0, -1] for i in (0, 1))
    assert (one - two).abs().max() > 1e-3


def test_rows_are_begin_token_soft_tokens_text_padding():
    embedding = tiny_body("gpt2").get_input_embeddings()
    tokens, mask = torch.tensor([[7, 8, 9], [7, 8, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    soft = torch.full((2, 2, 32), 0.5)
    inputs = insert_soft_tokens(embedding, tokens, mask, soft, 1)
    assert inputs.mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert inputs.positions.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 0]]
    assert torch.equal(inputs.embeds[:, 1:3], soft)
    assert torch.equal(inputs.narrowed(inputs.embeds), embedding(tokens))
    assert inputs.widened(tokens, -100).tolist() == [[7, -100, -100, 8, 9], [7, -100, -100, 8, 0]]


def test_gradients_reach_the_soft_tokens():
    body, ids = tiny_body("llama"), random_ids(2, 6)
    soft = torch.randn(2, 3, 32, requires_grad=True)
    states, _ = soft_states(body, ids, torch.ones_like(ids), soft, 1)
    states[:, -1].sum().backward()
    assert (soft.grad.abs().sum(dim=2) > 0).all()
