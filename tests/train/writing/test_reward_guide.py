"""Reward-guided decoding against rewards of whole texts, read without cache, one at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.errors import DataError, UsageError
from plt.train.method import Compute, FloatArray, Texts
from plt.train.registry import METHODS
from plt.train.runs.fitted_run import FittedRun, load_fitted_run
from plt.train.writing.decoding import decode, left_padded, row_seed, step_arguments
from plt.train.writing.reward_guide import GUIDES, Guidance, RewardGuide, load_guide
from plt.train.writing.sampling import Sampling, Start
from plt.train.writing.writer import BareModel, Task, load_model_writer, write_texts
from tests.data.made_tables import crossed, user_turn
from tests.train.tiny_models import language_model, save_tiny

PROMPTS = [user_turn("x" * n) for n in (3, 40, 11)]
SUFFIX, ENDS = (3, 9), frozenset({3})
Fit = Callable[..., FittedRun]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guides")
    prefs = split(crossed(3, 40), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, path / "t.parquet")
    return path


@pytest.fixture
def fit(folder: Path) -> Fit:
    """Trains a method once in this module; loads it."""

    def fitted(method: str, *more: str) -> FittedRun:
        out = folder / "-".join([method, *more])
        line = ["train", str(folder / "t.parquet"), "--method", method]
        if METHODS[method].backbone != "none":
            line += ["--model", "builtin:tiny"]
        if not out.exists():
            assert main([*line, *more, "--sham", "none", "-o", str(out), "-q"]) == 0
        return load_fitted_run(out)

    return fitted


@pytest.fixture(scope="module")
def tiny() -> BareModel:
    return load_model_writer("builtin:tiny", Compute())


def known_guide(d: int, guidance: Guidance, batch_size: int = 32) -> RewardGuide:
    """u likes a direction, v its opposite, nobody in particular nothing at all."""
    head = torch.randn(d, generator=torch.Generator().manual_seed(5))
    heads = {"u": head, "v": -head, None: torch.zeros(d)}
    return RewardGuide("known", heads, guidance, SUFFIX, ENDS, batch_size, "known")


def begun(model: Any, rows: list[list[int]]) -> tuple[Any, Tensor, Tensor]:
    """Cache, mask and next logits of texts so far, padded on the left."""
    with torch.inference_mode():
        given = [Start(row, None, 0) for row in rows]
        embeds, mask = left_padded(model.get_input_embeddings(), given, 0)
        out = model(**step_arguments(model, {"inputs_embeds": embeds}, mask, None))
    return out.past_key_values, mask, out.logits[:, -1].float()


def whole(model: Any, ids: list[int], head: Tensor) -> float:
    """The reward of one text, in one pass without cache or padding."""
    with torch.inference_mode():
        return float(
            model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1] @ head
        )


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gptj", "bloom", "opt", "gemma2"])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_candidates_get_the_reward_of_the_text_that_ends_with_them(
    model_type: str, batch_size: int
) -> None:
    model = language_model(model_type)
    rows = [[1, 20, 30, 40, 50, 60], [1, 21, 31]]
    cache, mask, _ = begun(model, rows)
    guide = known_guide(32, Guidance(), batch_size)
    tokens = torch.tensor([[7, 3, 100], [3, 8, 101]])
    before = cache.get_seq_length()
    with torch.inference_mode():
        found = guide.rewards(model, tokens, cache, mask, ["u", "v"])
    assert cache.get_seq_length() == before
    for i, user in enumerate(("u", "v")):
        for j, token in enumerate(tokens[i].tolist()):
            ids = [*rows[i], *((token,) if token != 3 else ()), *SUFFIX]
            expected = whole(model, ids, guide.heads[user])
            assert found[i, j].item() == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("method", GUIDES)
def test_every_guide_says_what_its_run_says_of_the_text(
    method: str, fit: Fit, tiny: BareModel
) -> None:
    fitted = fit(method)
    guide = load_guide(fitted, tiny, Guidance(), Compute())
    assert guide.users == tuple(fitted.users)
    ids = [tiny.prompt_ids(prompt, None) for prompt in PROMPTS]
    begin = tiny.encoder.tokenizer("well, ")["input_ids"]
    cache, mask, _ = begun(tiny.model, [[*row, *begin] for row in ids])
    letters = [tiny.encoder.tokenizer(letter)["input_ids"][0] for letter in "az!"]
    users = ["u01" if fitted.users else None, None, "u02" if fitted.users else None]
    with torch.inference_mode():
        found = guide.rewards(tiny.model, torch.tensor([[*letters, 3]] * 3), cache, mask, users)
    texts = [f"well, {letter}" for letter in ("a", "z", "!", "")]
    asked = Texts([p for p in PROMPTS for _ in texts], texts * 3)
    scorer: Any = fitted.method
    expected = scorer.reward(asked, np.arange(12), [user for user in users for _ in texts])
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found.numpy().ravel(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(greedy=True), Sampling(0.7, 0.9)])
def test_without_weight_the_texts_and_the_logits_are_the_plain_ones(sampling: Sampling) -> None:
    model = language_model("llama")
    rows = [Start([1, 20 + i, *range(30, 30 + 3 * i)], None, row_seed(0, i), "u") for i in range(4)]
    guide = known_guide(32, Guidance(weight=0.0, top=6))
    cache, mask, logits = begun(model, [list(row.ids) for row in rows])
    with torch.inference_mode():
        assert torch.equal(guide.guided(model, logits, cache, mask, ["u"] * 4), logits)
    plain = Sampling(sampling.temperature, sampling.top_p, sampling.greedy, 12)
    silent = Sampling(sampling.temperature, sampling.top_p, sampling.greedy, 12, guide=guide)
    one, other = (decode(model, rows, 1, ENDS, how, 3, lambda n: None) for how in (plain, silent))
    assert one == other
    assert len({tuple(text.ids) for text in one}) == 4


def test_tokens_that_are_not_looked_at_count_as_the_mean_of_those_that_are() -> None:
    """With K = 2: p = (0.75, 0.25), r = (1, 5), so the mean is 2 and W = 2 adds (-2, 6)."""
    guide = known_guide(32, Guidance(weight=2.0, top=2))
    object.__setattr__(guide, "rewards", lambda *_: torch.tensor([[1.0, 5.0]]))
    logits = torch.tensor([[-9.0, np.log(0.75), -7.0, np.log(0.25)]], dtype=torch.float32)
    changed = guide.guided(None, logits, None, torch.ones(1, 1), ["u"]) - logits
    assert changed.tolist()[0] == pytest.approx([0, -2, 0, 6], abs=1e-5)


def test_a_heavy_guide_over_all_tokens_chooses_the_token_of_the_highest_reward() -> None:
    model = language_model("llama")
    row = [1, 20, 30, 40]
    guide = known_guide(32, Guidance(weight=1e6, top=10**6))
    sampling = Sampling(greedy=True, max_new_tokens=1, min_new_tokens=1, guide=guide)
    n_tokens = model.config.vocab_size
    for user in ("u", "v"):
        (text,) = decode(model, [Start(row, None, 0, user)], 1, ENDS, sampling, 1, lambda n: None)
        rewards = {
            token: whole(model, [*row, token, *SUFFIX], guide.heads[user])
            for token in range(n_tokens)
            if token not in ENDS
        }
        assert text.ids == [max(rewards, key=lambda token: rewards[token])]


@pytest.mark.parametrize("greedy", [True, False])
def test_the_company_and_the_batch_size_change_no_guided_text(greedy: bool) -> None:
    """In float64, where no text parts by rounding (`tests.train.writing.test_decoding`)."""
    model = language_model("llama").double()
    users = ("u", "v", None, "u", "v")
    rows = [Start([1, *range(20, 22 + 2 * i)], None, row_seed(i), u) for i, u in enumerate(users)]
    texts = []
    for size in (1, 2, 5):
        guide = known_guide(32, Guidance(weight=0.5, top=4), size)
        sampling = Sampling(greedy=greedy, max_new_tokens=10, guide=guide)
        texts.append(decode(model, rows, 1, ENDS, sampling, size, lambda n: None))
    assert texts[0] == texts[1] == texts[2]


def test_each_person_s_mean_reward_rises_with_the_weight() -> None:
    """Of 16 texts a person, for a direction that one likes and the other does not."""
    model = language_model("llama")
    users = ["u", "v"] * 16
    rows = [Start([1, *range(20, 23 + i // 2)], None, row_seed(i), u) for i, u in enumerate(users)]

    def rewards(weight: float) -> FloatArray:
        guide = known_guide(32, Guidance(weight))
        sampling = Sampling(max_new_tokens=8, guide=guide)
        texts = decode(model, rows, 1, ENDS, sampling, 32, lambda n: None)
        return np.array(
            [
                whole(model, [*row.ids, *text.ids, *SUFFIX], guide.heads[row.user])
                for row, text in zip(rows, texts, strict=True)
            ]
        )

    nothing, some, much = (rewards(weight).reshape(-1, 2).mean(axis=0) for weight in (0, 3, 30))
    assert (nothing < some).all()
    assert (some < much).all()


def test_the_users_of_a_run_get_texts_that_the_run_rewards_more(fit: Fit, tiny: BareModel) -> None:
    """As the run itself scores the finished words, over its users and 12 texts for each."""
    fitted = fit("individual")
    tasks = [Task(p, user, s) for user in fitted.users for p in range(3) for s in range(4)]
    scorer: Any = fitted.method

    def reward(weight: float) -> float:
        guide = load_guide(fitted, tiny, Guidance(weight), Compute())
        sampling = Sampling(max_new_tokens=12, guide=guide)
        texts = write_texts(tiny, PROMPTS, tasks, sampling, 0, Compute())
        asked = Texts([PROMPTS[task.prompt] for task in tasks], [text.response for text in texts])
        values = scorer.reward(asked, np.arange(len(tasks)), [task.user for task in tasks])
        return float(values.mean())

    assert reward(30.0) > reward(3.0) > reward(0.0)


def test_the_reference_is_not_guided(tiny: BareModel) -> None:
    guide = known_guide(64, Guidance(weight=50.0))
    guided, plain = Sampling(max_new_tokens=8, guide=guide), Sampling(max_new_tokens=8)
    reference = [Task(p, None, reference=True) for p in range(3)]
    found = write_texts(tiny, PROMPTS, [Task(0, "u"), *reference], guided, 0, Compute())
    assert found[1:] == write_texts(tiny, PROMPTS, reference, plain, 0, Compute())
    with pytest.raises(UsageError, match="does not know these users"):
        write_texts(tiny, PROMPTS, [Task(0, "w")], guided, 0, Compute())


def test_the_context_holds_what_the_guide_looks_at(tiny: BareModel) -> None:
    """The model has 2,048 positions; a guide reads a candidate and two tokens behind the text."""
    size = len(tiny.prompt_ids(PROMPTS[0], "u"))
    guide = known_guide(64, Guidance())
    sampling = Sampling(max_new_tokens=2048 - size - 2, guide=guide)
    with pytest.raises(DataError, match="in the model's context of 2048") as caught:
        write_texts(tiny, PROMPTS, [Task(0, "u")], sampling, 0, Compute())
    assert caught.value.hint == f"--max-new-tokens {2048 - size - 3}"


def test_runs_that_cannot_guide_are_refused_with_the_reason(
    fit: Fit, tiny: BareModel, tmp_path: Path
) -> None:
    other = load_model_writer(str(save_tiny(tmp_path / "other")), Compute())
    refusals = [
        (fit("length"), tiny, "length is none of bradley-terry, individual"),
        (fit("pal"), tiny, "pal is none of"),
        (fit("individual"), other, f"it reads builtin:tiny, not {other.name}"),
        (fit("bradley-terry", "--tune", "lora", "--epochs", "1"), tiny, "was fine-tuned"),
    ]
    for fitted, writer, reason in refusals:
        with pytest.raises(UsageError, match="cannot guide") as caught:
            load_guide(fitted, writer, Guidance(), Compute())
        assert any(reason in problem for problem in caught.value.problems)
        assert caught.value.hint == (
            f"plt train DATA --method individual --model {writer.name} --tune head"
        )


def test_guidance_is_a_finite_weight_over_some_tokens() -> None:
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--guide-weight is"):
            Guidance(weight)
    with pytest.raises(UsageError, match="--guide-top is 0"):
        Guidance(top=0)
