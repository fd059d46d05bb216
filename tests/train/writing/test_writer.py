"""Texts as persons, as nobody and of the reference, on a real model with real soft tokens."""

from pathlib import Path

import pytest

from plt.errors import ArtifactError, DataError, UsageError
from plt.train.method import Compute
from plt.train.writing.sampling import Sampling
from plt.train.writing.writer import (
    Task,
    end_tokens,
    load_model_writer,
    longer_than_read,
    write_texts,
)
from tests.data.made_tables import user_turn
from tests.train.soft_writer import soft_writer
from tests.train.tiny_models import save_tiny

PROMPTS = [user_turn("x" * n) for n in (3, 40, 11)]
DRAWN = Sampling(max_new_tokens=16)


def test_who_writes_changes_the_text_and_the_company_does_not() -> None:
    """In float64, where no text parts by rounding (`tests.train.writing.test_decoding`)."""
    writer = soft_writer(["u", "v"])
    writer.language_model().double()
    tasks = [Task(p, user, s) for p in range(3) for user in (None, "u", "v") for s in range(2)]
    texts = dict(zip(tasks, write_texts(writer, PROMPTS, tasks, DRAWN, 0, Compute()), strict=True))
    assert len({text.response for text in texts.values()}) == len(tasks)
    for some in (tasks[:1], tasks[7:9], tasks[::-1]):
        again = write_texts(writer, PROMPTS, some, DRAWN, 0, Compute(batch_size=2))
        assert again == [texts[task] for task in some]
    other = write_texts(writer, PROMPTS, tasks, DRAWN, 1, Compute())
    assert other != list(texts.values())


def test_the_reference_is_the_model_without_soft_tokens() -> None:
    writer = soft_writer(["u"])
    bare = load_model_writer("builtin:tiny", Compute())
    reference = [Task(p, None, reference=True) for p in range(3)]
    plain = [Task(p) for p in range(3)]
    found = write_texts(writer, PROMPTS, [*plain, *reference], DRAWN, 0, Compute())
    assert found[3:] == write_texts(bare, PROMPTS, plain, DRAWN, 0, Compute())
    assert found[3:] != found[:3]


def test_without_soft_tokens_everybody_is_the_model() -> None:
    writer = soft_writer(["u"], n_tokens=0)
    bare = load_model_writer("builtin:tiny", Compute())
    greedy = Sampling(greedy=True, max_new_tokens=8)
    as_user = write_texts(writer, PROMPTS, [Task(p, "u") for p in range(3)], greedy, 0, Compute())
    assert as_user == write_texts(bare, PROMPTS, [Task(p) for p in range(3)], greedy, 0, Compute())


def test_strangers_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="does not know these users") as caught:
        write_texts(soft_writer(["u"]), PROMPTS, [Task(0, "w")], DRAWN, 0, Compute())
    assert caught.value.problems == ["'w'", "it knows u"]


def test_prompts_that_leave_no_room_are_refused() -> None:
    writer = soft_writer(["u"])
    with pytest.raises(DataError, match="leave no room for 2040 tokens") as caught:
        write_texts(writer, PROMPTS, [Task(1, "u")], Sampling(max_new_tokens=2040), 0, Compute())
    # 40 letters, `user`, `assistant`, two line ends, three turn marks, one end of line, BOS, soft.
    size = len(writer.prompt_ids(PROMPTS[1], "u")) + 3
    assert caught.value.problems == [f"prompt 1: {size} tokens"]
    assert caught.value.hint == f"--max-new-tokens {2048 - size}"


def test_long_prompts_are_counted() -> None:
    writer = load_model_writer("builtin:tiny", Compute())
    assert longer_than_read(writer, [user_turn("x" * 990), user_turn("x" * 1100)]) == 1
    assert len(writer.prompt_ids(user_turn("x" * 1100), None)) <= 1024


def test_an_answer_ends_with_the_template_s_mark_or_the_tokenizer_s_end(tmp_path: Path) -> None:
    tiny = load_model_writer("builtin:tiny", Compute())
    assert end_tokens(tiny.model, tiny.encoder) == {3}
    template = (
        "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
        "<|pad|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    other = load_model_writer(str(save_tiny(tmp_path / "m", chat_template=template)), Compute())
    assert end_tokens(other.model, other.encoder) == {0, 3}


def test_a_model_without_chat_template_writes_behind_plain_paragraphs(tmp_path: Path) -> None:
    writer = load_model_writer(str(save_tiny(tmp_path / "m", chat_template=None)), Compute())
    text = writer.encoder.tokenizer.decode(writer.prompt_ids(user_turn("hi"), None))
    assert text.endswith("User: hi\n\nAssistant:")
    (found,) = write_texts(writer, [user_turn("hi")], [Task(0)], DRAWN, 0, Compute())
    assert found.n_tokens <= 16


def test_an_encoder_writes_nothing() -> None:
    with pytest.raises(ArtifactError, match="encoder"):
        load_model_writer("builtin:minilm", Compute())
