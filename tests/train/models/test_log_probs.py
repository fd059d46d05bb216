import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from plt.errors import ArtifactError
from plt.train.models.backbone import load_language_model
from plt.train.models.log_probs import (
    Answer,
    AnswerBatch,
    answer_batch,
    encode_answers,
    encode_prompt,
    length_batches,
    response_log_probs,
)
from plt.train.models.source import resolve_model
from tests.train.tiny_models import save_tiny, tiny_tokenizer
from tests.train.tiny_policies import answers_of, said, tiny_source

NOTHING = torch.zeros(2, 0, 32)


def by_hand(model, ids, begins):
    """Sum of log softmax of the response's tokens, of one text without padding."""
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0].double()
    follows = torch.log_softmax(logits, dim=-1)[:-1].gather(1, ids[1:, None])[:, 0]
    return float(follows[begins - 1 :].sum())


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gemma2", "opt", "bloom"])
def test_log_probs_are_those_of_the_softmax_of_the_logits(model_type, tmp_path):
    """Gemma 2 caps its logits, GPT-2 and OPT learn positions, Bloom has none."""
    source = tiny_source(tmp_path / model_type, model_type)
    model = load_language_model(source, torch.float32)
    _, answers = answers_of(source, *said(3))
    batch = answer_batch(answers)
    with torch.no_grad():
        found = response_log_probs(model, batch, torch.zeros(6, 0, 32), 1)
    expected = [by_hand(model, torch.tensor(a.ids).long(), a.begins) for a in answers]
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n_soft", [0, 1, 10])
@pytest.mark.parametrize("left", [0, 1, 3, 7])
def test_padding_on_any_side_changes_nothing(n_soft, left, tmp_path):
    """O-10."""
    source = tiny_source(tmp_path / "m")
    model = load_language_model(source, torch.float32)
    _, answers = answers_of(source, *said(1))
    soft = torch.randn(2, n_soft, 32, generator=torch.Generator().manual_seed(0))
    batch = answer_batch(answers)
    padded = AnswerBatch(
        *(pad(part, (left, 2)) for part in (batch.tokens, batch.mask, batch.response))
    )
    with torch.no_grad():
        expected = response_log_probs(model, batch, soft, 1)
        found = response_log_probs(model, padded, soft, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)


def test_soft_tokens_that_are_words_are_the_text_with_these_words(tmp_path):
    source = tiny_source(tmp_path / "m")
    model = load_language_model(source, torch.float32)
    _, (answer, _) = answers_of(source, *said(1))
    ids = torch.tensor(answer.ids).long()
    without = Answer(np.delete(answer.ids, [1, 2, 3]), answer.begins - 3)
    soft = model.get_input_embeddings()(ids[None, 1:4]).detach()
    with torch.no_grad():
        found = response_log_probs(model, answer_batch([without]), soft, 1)
    assert float(found) == pytest.approx(by_hand(model, ids, answer.begins), rel=1e-5)


def test_the_hook_that_skips_prompts_is_gone_afterwards(tmp_path):
    source = tiny_source(tmp_path / "m")
    model = load_language_model(source, torch.float32)
    _, answers = answers_of(source, *said(1))
    before = model(input_ids=torch.arange(5, 12)[None]).logits
    with torch.no_grad():
        response_log_probs(model, answer_batch(answers), NOTHING, 1)
    assert torch.equal(model(input_ids=torch.arange(5, 12)[None]).logits, before)


def test_the_end_marker_counts_and_what_a_template_puts_behind_does_not(tmp_path):
    source = tiny_source(tmp_path / "m")
    encoder, answers = answers_of(source, *said(1))
    for answer, text in zip(answers, said(1)[1], strict=True):
        told = encoder.tokenizer.decode(answer.ids[answer.begins :])
        assert told == f"{text}<|im_end|>"
        assert answer.n_response == len(text) + 1
    plain = resolve_model(str(save_tiny(tmp_path / "plain", chat_template=None)))
    encoder, answers = answers_of(plain, *said(1))
    assert encoder.tokenizer.decode(answers[0].ids[answers[0].begins :]) == " It is tea.<|im_end|>"


@pytest.mark.parametrize("prompt", [[], [{"role": "user", "content": "Hi <|im_end|>"}]])
def test_a_prompt_is_what_stands_before_its_responses(prompt, tmp_path):
    source = tiny_source(tmp_path / "m")
    encoder, answers = answers_of(source, [prompt, prompt], ["Yes.", "No, never."])
    for answer in answers:
        assert answer.ids[: answer.begins].tolist() == encode_prompt(encoder, prompt)
    assert encoder.tokenizer.decode(encode_prompt(encoder, prompt)).endswith("assistant\n")


def test_length_batches_have_every_row_once_the_longest_first():
    rows = np.array([4, 1, 3, 0])
    parts = [part.tolist() for part in length_batches([5, 9, 0, 9, 7], rows, 3)]
    assert parts == [[1, 3, 4], [0]]


def test_batches_can_have_lengths_of_a_grid():
    rows = [Answer(np.arange(1, 6, dtype=np.int32), 3), Answer(np.array([1], np.int32), 1)]
    batch = answer_batch(rows, 4)
    assert batch.tokens.shape == (2, 8)
    assert batch.response[0].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert int(batch.response[1].sum()) == 0


def test_an_encoder_is_no_policy(tmp_path):
    source = resolve_model(str(save_tiny(tmp_path / "m", "bert", causal=False)))
    with pytest.raises(ArtifactError, match="writes no text"):
        load_language_model(source, torch.float32)


def test_a_model_without_a_head_is_refused(tmp_path):
    from tests.train.tiny_models import tiny_body

    tiny_body("gpt_neox").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ArtifactError, match="would"):
        load_language_model(resolve_model(str(tmp_path)), torch.float32)


def test_control_tokens_in_a_response_do_not_end_it(tmp_path):
    source = tiny_source(tmp_path / "m")
    encoder, _ = answers_of(source, *said(1))
    (answer,) = encode_answers(encoder, [[]], ["Yes<|im_end|> and more"])
    assert "and more" in encoder.tokenizer.decode(answer.ids)
