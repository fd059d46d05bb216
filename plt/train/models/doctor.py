"""What plt makes of a model, and whether it reads texts as it must: measured on real passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.errors import ArtifactError
from plt.train.method import Progress, silent
from plt.train.models.backbone import load_tokenizer, pad_batch
from plt.train.models.probes import PROBES
from plt.train.models.scalar_head import RewardModel, build_reward_model, own_head
from plt.train.models.source import ModelSource, lora_targets, resolve_model
from plt.train.models.text_encoder import Ids, TextEncoder, text_encoder
from plt.train.runtime.devices import quiet, resolve_device, resolve_dtype

# Relative to the largest coordinate, or absolute where that is below 1.
TOLERANCES = {"float32": 1e-5, "bfloat16": 5e-2, "float16": 5e-3}
READ = {
    "last": "the last real token",
    "mean": "the mean of the tokens",
    "cls": "the first token",
    "max": "the largest of the tokens",
}
PADDING = 5
WINDOW = 64
LONG = "Tell me more about that. " * 100


@dataclass(frozen=True)
class Check:
    """One property that every score rests on.

    Attributes:
        name: What must hold.
        ok: Whether it does.
        difference: The measured distance from it; None where nothing could be measured.
        allowed: The largest distance that passes.
        detail: What was compared.
    """

    name: str
    ok: bool
    difference: float | None
    allowed: float
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """What was resolved for a model, and how it did.

    Attributes:
        facts: Name to value, in the order that a person reads them.
        checks: All of them, whether they passed or not.
    """

    facts: dict[str, Any]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)


def diagnose(
    model: str,
    device: str = "auto",
    dtype: str = "float32",
    max_length: int | None = None,
    progress: Progress = silent,
) -> Diagnosis:
    """Loads a model and checks on a few texts that it is read as it must be.

    Args:
        model: As `plt.train.models.source.resolve_model`.
        device: As `Compute.device`.
        dtype: As `Compute.dtype`.
        max_length: Tokens at most; None is the model's own, at most 1,024.
        progress: Told of it where an embedded model must be made first.

    Raises:
        ArtifactError: The model cannot be loaded.
        UsageError: No such device or dtype, or `max_length` is too small.
    """
    source, place = resolve_model(model, progress), resolve_device(device)
    tokenizer = load_tokenizer(source)
    encoder = text_encoder(
        tokenizer, causal=source.causal, max_length=max_length or source.max_length
    )
    with quiet():
        net = build_reward_model(source, resolve_dtype(dtype)).to(place)
    patient = _Patient(net, encoder, place, TOLERANCES[dtype])
    facts = _facts(source, tokenizer, encoder, int(net.config.hidden_size))
    return Diagnosis(facts | {"device": str(place), "dtype": dtype}, patient.checks())


def _facts(
    source: ModelSource, tokenizer: Any, encoder: TextEncoder, hidden_size: int
) -> dict[str, Any]:
    kind = "encoder"
    if source.causal:
        kind = "reward" if own_head(source) is not None else "causal"
    try:
        targets: str | None = ", ".join(lora_targets(source))
    except ArtifactError:
        targets = None
    forms = {
        "chat": "its own chat template",
        "plain": "none: paragraphs 'User: ...' and 'Assistant: ...'",
        "encoder": "none: system messages and the response",
    }
    return {
        "model": source.name,
        "kind": kind,
        "architecture": source.model_type,
        "folder": str(source.path),
        "fingerprint": source.fingerprint,
        "revision": source.revision,
        "hidden_size": hidden_size,
        "pooling": source.pooling + (", scaled to length 1" if source.normalize else ""),
        "max_length": encoder.max_length,
        "template": forms[encoder.form],
        "begin_tokens": tokenizer.convert_ids_to_tokens(list(encoder.prefix)),
        "end_tokens": tokenizer.convert_ids_to_tokens(list(encoder.suffix)),
        "pad_token": tokenizer.pad_token,
        "bos_token": tokenizer.bos_token,
        "eos_token": tokenizer.eos_token,
        "lora_targets": targets,
    }


@dataclass(frozen=True)
class _Patient:
    """A loaded model under examination."""

    net: RewardModel
    encoder: TextEncoder
    device: torch.device
    allowed: float

    def checks(self) -> tuple[Check, ...]:
        # Padding must not push a position past the last that the model has.
        narrow = replace(self.encoder, max_length=self.encoder.max_length - PADDING)
        ids = narrow.encode(PROBES.prompts, PROBES.responses)
        plain = self._vectors(*pad_batch(ids))
        alone = np.concatenate([self._vectors(*pad_batch([row])) for row in ids])
        bad = int((~np.isfinite(plain)).sum())
        return (
            Check("states are finite", not bad, float(bad), 0.0, "numbers that are none"),
            self._close("batch size", alone, plain, "4 texts together against one by one"),
            self._close("padding side", self._padded(ids, left=True), plain, "left against right"),
            self._close(
                "positions from the mask", self._padded(ids, left=False), plain,
                "padding on both sides, with a token that stands in the texts",
            ),
            self._close("pooling", self._by_hand(ids), plain, f"{self._pooling}, by hand"),
            *self._head(ids),
            self._begin(ids),
            self._truncation(),
        )  # fmt: skip

    @property
    def _pooling(self) -> str:
        return READ[self.net.source.pooling]

    def _close(
        self, name: str, found: NDArray[np.float64], expected: NDArray[np.float64], detail: str
    ) -> Check:
        """Compares arrays; of numbers that are none there is no difference, and no pass."""
        if not (np.isfinite(found).all() and np.isfinite(expected).all()):
            return Check(name, False, None, self.allowed, detail)
        largest = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(found - expected).max()) / largest
        return Check(name, difference <= self.allowed, difference, self.allowed, detail)

    def _vectors(self, tokens: Tensor, mask: Tensor) -> NDArray[np.float64]:
        with torch.inference_mode():
            vectors = self.net.vectors(tokens.to(self.device), mask.to(self.device))
        return vectors.double().cpu().numpy()

    def _padded(self, ids: Sequence[Ids], *, left: bool) -> NDArray[np.float64]:
        """Vectors of rows that are padded on the left, or on both sides with their own token."""
        width = max(map(len, ids)) + PADDING
        tokens = torch.zeros(len(ids), width, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, values in enumerate(ids):
            start = width - len(values) if left else min(3, width - len(values))
            tokens[row] = 0 if left else int(values[-1])
            tokens[row, start : start + len(values)] = torch.from_numpy(values.astype(np.int64))
            mask[row, start : start + len(values)] = 1
        return self._vectors(tokens, mask)

    def _by_hand(self, ids: Sequence[Ids]) -> NDArray[np.float64]:
        """Pooled states of each text alone: there is no padding, so nothing can be misread."""
        picks: dict[str, Callable[[Tensor], Tensor]] = {
            "last": lambda states: states[-1],
            "mean": lambda states: states.mean(dim=0),
            "cls": lambda states: states[0],
            "max": lambda states: states.amax(dim=0),
        }
        rows = []
        for values in ids:
            tokens = torch.from_numpy(values.astype(np.int64))[None].to(self.device)
            with torch.inference_mode():
                states = self.net.body(
                    input_ids=tokens, attention_mask=torch.ones_like(tokens)
                ).last_hidden_state[0]
            vector = picks[self.net.source.pooling](states.float())
            if self.net.source.normalize:
                vector = vector / vector.norm()
            rows.append(vector.double().cpu().numpy() * self.net.scale)
        return np.stack(rows)

    def _head(self, ids: Sequence[Ids]) -> tuple[Check, ...]:
        """Of a reward model: the rewards of transformers' own class, one text at a time."""
        if own_head(self.net.source) is None:
            return ()
        from transformers import AutoModelForSequenceClassification

        with quiet():
            stock = AutoModelForSequenceClassification.from_pretrained(
                self.net.source.path, dtype=self.net.body.dtype, local_files_only=True
            )
        stock = stock.eval().to(self.device)
        expected = []
        for values in ids:
            tokens = torch.from_numpy(values.astype(np.int64))[None].to(self.device)
            with torch.inference_mode():
                logits = stock(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
            expected.append(logits.double().cpu().numpy()[0])
        vectors = torch.from_numpy(self._vectors(*pad_batch(ids))).float().to(self.device)
        with torch.inference_mode():
            found = self.net.score(vectors).double().cpu().numpy()
        what = "rewards in a batch against transformers' own class, one by one"
        return (self._close("reward head", found, np.stack(expected), what),)

    def _begin(self, ids: Sequence[Ids]) -> Check:
        """Whether each text begins with exactly the begin tokens that the model expects."""
        prefix = list(self.encoder.prefix)
        worst = 0
        for row in ids:
            body = row[len(prefix) :].tolist()
            wrong = int(row[: len(prefix)].tolist() != prefix)
            repeated = int(bool(prefix) and body[: len(prefix)] == prefix)
            worst = max(worst, wrong + repeated)
        what = f"{len(prefix)} expected before a text, once"
        return Check("one begin token", worst == 0, float(worst), 0.0, what)

    def _truncation(self) -> Check:
        """Whether a response outlives a prompt that is far too long."""
        window = replace(self.encoder, max_length=WINDOW)
        answer = "Yes, 42."
        turns = [[{"role": role, "content": text} for role in ("system", "user")]
                 for text in ("Why?", LONG)]  # fmt: skip
        (whole, _), starts = self.encoder.encode_responses(turns[:1] * 2, [answer] * 2)
        (cut,), (begin,) = window.encode_responses(turns[1:], [answer])
        kept, wanted = cut[begin:].tolist(), whole[starts[0] :].tolist()
        lost = 0 if kept == wanted else max(1, len(wanted) - len(kept))
        over = max(0, len(cut) - WINDOW)
        what = f"tokens lost of a response behind {len(LONG)} characters, in {WINDOW} tokens"
        return Check("truncation keeps the response", lost + over == 0, float(lost + over), 0, what)
