"""Texts of a policy: as its users, as nobody, and of the model that it began from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from plt.errors import DataError, UsageError
from plt.train.method import Compute
from plt.train.models.backbone import load_language_model, load_tokenizer
from plt.train.models.log_probs import encode_prompt
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import Message, TextEncoder, text_encoder
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.processes import gathered, mine
from plt.train.writing.decoding import decode, row_seed
from plt.train.writing.sampling import Continuation, Sampling, Start
from plt.train.writing.text_store import TextStore

Control: TypeAlias = Literal["policy", "generic", "reference"]
Prompt: TypeAlias = Sequence[Message]


class Writer(Protocol):
    """A language model that writes as somebody; `plt.train.policies.policy.Policy` is one."""

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        ...

    @property
    def encoder(self) -> TextEncoder:
        """How prompts become token ids."""
        ...

    def language_model(self) -> Any:
        """The transformers model with the policy's weights."""
        ...

    def reference_model(self) -> AbstractContextManager[Any]:
        """The model that it began from, for the time of a `with` block."""
        ...

    def user_prompt(self, user: str | None) -> Tensor | None:
        """Soft tokens (T_u, d) of a user; None is the generic user. None when it has none."""
        ...

    def prompt_ids(self, prompt: Prompt, user: str | None) -> list[int]:
        """Token ids up to where the response begins."""
        ...


@dataclass(frozen=True)
class BareModel:
    """A language model without users.

    Attributes:
        name: As the person wrote it.
        model: The transformers model.
        encoder: How prompts become token ids.
        source: Where the model came from.
    """

    name: str
    model: Any
    encoder: TextEncoder
    source: ModelSource

    users: tuple[str, ...] = ()

    def language_model(self) -> Any:
        """The model."""
        return self.model

    @contextmanager
    def reference_model(self) -> Iterator[Any]:
        """The model itself: nothing was trained."""
        yield self.model

    def user_prompt(self, user: str | None) -> None:
        """It has no soft tokens."""
        return None

    def prompt_ids(self, prompt: Prompt, user: str | None) -> list[int]:
        """Token ids up to where the response begins."""
        return encode_prompt(self.encoder, prompt)


@dataclass(frozen=True)
class Task:
    """One text to write.

    Attributes:
        prompt: Row of the prompt.
        user: As whom; None is the generic user.
        sample: Which of several.
        reference: Whether the reference writes instead, which knows nobody.
    """

    prompt: int
    user: str | None = None
    sample: int = 0
    reference: bool = False

    @property
    def control(self) -> Control:
        """As whom it is written, as `generations/1` has it."""
        if self.reference:
            return "reference"
        return "generic" if self.user is None else "policy"


@dataclass(frozen=True)
class Text:
    """What was written.

    Attributes:
        response: Without special tokens and outer blanks.
        n_tokens: Tokens, the end token not counted.
        ended: Whether the model ended it itself.
    """

    response: str
    n_tokens: int
    ended: bool


def load_model_writer(model: str, compute: Compute) -> BareModel:
    """A language model that was not trained here.

    Raises:
        ArtifactError: There is no such model, or it writes no text.
    """
    source = resolve_model(model, compute.progress)
    loaded = load_language_model(source, resolve_dtype(compute.dtype))
    encoder = text_encoder(load_tokenizer(source), causal=True, max_length=source.max_length)
    return BareModel(source.name, loaded, encoder, source)


def write_texts(
    writer: Writer,
    prompts: Sequence[Prompt],
    tasks: Sequence[Task],
    sampling: Sampling,
    seed: int,
    compute: Compute,
    kept: TextStore | None = None,
) -> list[Text]:
    """Writes a text for each task.

    A draw depends on (seed, prompt, user, sample) and on nothing else: neither on the batch nor on
    what else is written. Texts change with those by rounding alone (`plt.train.writing.decoding`).
    Equal draws for the generic user and the reference make them comparable.
    Several processes share the tasks, and all end with every text.

    Args:
        writer: The policy.
        prompts: Conversations up to the answer.
        tasks: n texts to write.
        sampling: How tokens are chosen. A guide does not touch the reference.
        seed: Of the draws.
        compute: Device, dtype, batch size, progress.
        kept: Where finished texts are kept for a repeated call; None keeps nothing.

    Returns:
        n texts.

    Raises:
        UsageError: A user is unknown to the policy, and to the guide.
        DataError: A prompt, with soft tokens and the text, does not fit the model's context.
    """
    guide = sampling.guide
    _refuse_strangers(tasks, writer.users if guide is None else guide.users)
    plain = replace(sampling, guide=None)
    found: dict[int, Text] = {}
    own = [i for i, task in enumerate(tasks) if not task.reference]
    reference = [i for i, task in enumerate(tasks) if task.reference]
    for whole, how in ((own, sampling), (reference, plain)):
        rows = [row for place, row in enumerate(whole) if mine(place)]
        if not rows:
            continue
        starts = _starts(writer, prompts, [tasks[i] for i in rows], seed)
        with _model(writer, whole is reference) as model:
            _refuse_long(model, starts, [tasks[i] for i in rows], how)
            ours = None if kept is None else kept.of("reference" if whole is reference else "own")
            done = (len(found), len(tasks))
            written = _decode(writer, model, starts, how, compute, done, ours)
        found |= {i: _text(writer, each) for i, each in zip(rows, written, strict=True)}
    for part in gathered(found, compute.device):
        found |= part
    return [found[i] for i in range(len(tasks))]


def longer_than_read(writer: Writer, prompts: Sequence[Prompt]) -> int:
    """How many prompts lose their middle, because the model's texts are cut at `max_length`."""
    whole = replace(writer.encoder, max_length=10**9)
    rows, begins = whole.encode_responses(prompts, [""] * len(prompts))
    return sum(len(row) > writer.encoder.max_length for row in rows) if len(begins) else 0


def end_tokens(model: Any, encoder: TextEncoder) -> set[int]:
    """The ids that end an answer.

    The tokenizer's end token, what the model's generation settings name, and the special token
    that the chat template puts behind an answer.
    """
    tokenizer = encoder.tokenizer
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    named = configured if isinstance(configured, list | tuple) else [configured]
    found = {tokenizer.eos_token_id, *named} - {None}
    asked = [{"role": "user", "content": "a"}]
    (row,), (begin,) = encoder.encode_responses([asked], [""])
    if begin < len(row) and int(row[begin]) in tokenizer.all_special_ids:
        found.add(int(row[begin]))
    return {int(token) for token in found}


@contextmanager
def _model(writer: Writer, reference: bool) -> Iterator[Any]:
    if not reference:
        yield writer.language_model()
        return
    with writer.reference_model() as model:
        yield model


def _starts(
    writer: Writer, prompts: Sequence[Prompt], tasks: Sequence[Task], seed: int
) -> list[Start]:
    ids: dict[tuple[int, str | None], list[int]] = {}
    soft: dict[str | None, Tensor | None] = {}
    starts = []
    for task in tasks:
        key = (task.prompt, task.user)
        if key not in ids:
            ids[key] = writer.prompt_ids(prompts[task.prompt], task.user)
        if not task.reference and task.user not in soft:
            soft[task.user] = writer.user_prompt(task.user)
        own = None if task.reference else soft[task.user]
        text = [[turn["role"], turn["content"]] for turn in prompts[task.prompt]]
        drawn = row_seed(seed, text, task.user, task.sample)
        starts.append(Start(ids[key], own, drawn, task.user))
    return starts


def _decode(
    writer: Writer,
    model: Any,
    starts: Sequence[Start],
    sampling: Sampling,
    compute: Compute,
    done: tuple[int, int],
    kept: TextStore | None,
) -> list[Continuation]:
    device, dtype = resolve_device(compute.device), resolve_dtype(compute.dtype)
    model = model.to(device).eval()
    ends = end_tokens(model, writer.encoder)
    at = len(writer.encoder.prefix)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return decode(
            model, starts, at, ends, sampling, compute.batch_size,
            lambda n: compute.progress("writing texts", done[0] + n, done[1]), kept,
        )  # fmt: skip


def _text(writer: Writer, written: Continuation) -> Text:
    response = writer.encoder.tokenizer.decode(written.ids, skip_special_tokens=True)
    return Text(response.strip(), len(written.ids), written.ended)


def _refuse_strangers(tasks: Sequence[Task], users: Sequence[str]) -> None:
    strangers = sorted({task.user for task in tasks if task.user is not None} - {*users})
    if strangers:
        known = ", ".join(users[:8]) + (", ..." if len(users) > 8 else "")
        raise UsageError(
            "the policy does not know these users",
            problems=[*map(repr, strangers), f"it knows {known or 'nobody'}"],
            hint="--user generic",
        )


def _refuse_long(
    model: Any, starts: Sequence[Start], tasks: Sequence[Task], sampling: Sampling
) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    if context is None:
        return
    ahead = 0 if sampling.guide is None else sampling.guide.reach
    context -= ahead
    longest: Mapping[int, int] = {
        task.prompt: len(start)
        for start, task in zip(starts, tasks, strict=True)
        if len(start) + sampling.max_new_tokens > context
    }
    if longest:
        room = context - max(longest.values())
        raise DataError(
            f"{len(longest)} prompts leave no room for {sampling.max_new_tokens} tokens in the"
            f" model's context of {context + ahead}",
            problems=[f"prompt {row}: {size} tokens" for row, size in sorted(longest.items())],
            hint=f"--max-new-tokens {room}" if room > 0 else "leave the longest prompts out",
        )
