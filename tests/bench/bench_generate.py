"""Ten persons x fifty prompts at once, against one at a time: the same texts, the same model.

Run with `make bench`. One at a time is what a script does that calls the model's own generation
for each person and prompt with the soft tokens in front.
"""

import time

import pytest
import torch

from plt.data.simulate import attributes
from plt.data.tables.generations import distinct_prompts
from plt.train.method import Compute
from plt.train.writing.decoding import left_padded, row_seed
from plt.train.writing.sampling import Sampling, Start
from plt.train.writing.writer import Task, end_tokens, write_texts
from tests.train.soft_writer import soft_writer

pytestmark = pytest.mark.bench

USERS = [f"u{i}" for i in range(10)]
TOKENS = 64


def test_ten_persons_and_fifty_prompts() -> None:
    prefs = attributes.simulate(attributes.Config())
    prompts = distinct_prompts(prefs, "all", 50)["prompt"].to_list()
    writer = soft_writer(USERS, n_tokens=10)
    tasks = [Task(p, user) for user in USERS for p in range(len(prompts))]
    sampling = Sampling(greedy=True, max_new_tokens=TOKENS)
    write_texts(writer, prompts, tasks[:32], sampling, 0, Compute(batch_size=32))
    start = time.perf_counter()
    ours = write_texts(writer, prompts, tasks, sampling, 0, Compute(batch_size=64))
    batched = time.perf_counter() - start
    model = writer.language_model()
    ends = sorted(end_tokens(model, writer.encoder))
    some = tasks[:: len(tasks) // 50]
    start = time.perf_counter()
    for task in some:
        ids = writer.prompt_ids(prompts[task.prompt], task.user)
        row = Start(ids, writer.user_prompt(task.user), row_seed(0))
        embeds, mask = left_padded(model.get_input_embeddings(), [row], 1)
        with torch.inference_mode():
            written = model.generate(
                inputs_embeds=embeds, attention_mask=mask, max_new_tokens=TOKENS, do_sample=False,
                eos_token_id=ends, pad_token_id=0,
            )[0].tolist()  # fmt: skip
        text = writer.encoder.tokenizer.decode(written, skip_special_tokens=True).strip()
        assert text == ours[tasks.index(task)].response
    alone = (time.perf_counter() - start) * len(tasks) / len(some)
    ratio = alone / batched
    print(
        f"\n{len(tasks)} texts of {TOKENS} tokens: {batched:.2f} s batched, {alone:.1f} s one at a"
        f" time (from {len(some)}), {ratio:.1f} x"
    )
    assert ratio >= 5
