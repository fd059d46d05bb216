"""One user-blind reward model, fine-tuned by TRL: `--tune lora` and `--tune full`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from plt.data.tables.files import atomic_path, write_text
from plt.errors import ArtifactError, DataError, FailedError
from plt.train.features.frozen import EncodeWindow, find_or_encode, kept_vectors
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.models.backbone import load_tokenizer, pad_batch
from plt.train.models.probes import PROBES, check_probes
from plt.train.models.scalar_head import own_head, unwrapped
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import (
    RENDERING_VERSION,
    WINDOW_TEXTS,
    Ids,
    TextEncoder,
    window_batches,
)
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.processes import mine, summed
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, network
from plt.train.tuning.options import Tuning
from plt.train.tuning.saved import (
    checkpoint_folder,
    lasting_name,
    put_weights,
    same_source,
    trained_weights,
)
from plt.train.tuning.trl import DirectedPairs, reward_arguments, train

WEIGHTS = "tuned.safetensors"
RECORD = "tuned.json"
VERSION = 1


@dataclass(frozen=True, eq=False)
class TunedReward:
    """A fine-tuned scalar reward model; made by `fit`, `pretrained` or `load`.

    Attributes:
        source: The model it began from.
        tuning: How it was tuned; None for a public reward model as it is.
        dtype: Of forward passes; the head is float32 always.
        losses: Mean loss of every logged interval of training.
        model: The torch model, of which device is the only state that changes.
        encoder: How texts become token ids.
    """

    source: ModelSource
    tuning: Tuning | None
    dtype: str
    losses: Sequence[float]
    model: Any = field(repr=False)
    encoder: TextEncoder = field(repr=False)

    @classmethod
    def fit(
        cls, texts: Texts, pairs: DirectedPairs, *, model: str, tuning: Tuning, ctx: TrainContext
    ) -> Self:
        """Learns a reward from judgements by TRL's RewardTrainer.

        The loss is Bradley-Terry's cross-entropy; a soft label enters with its probability and a
        tie as half a win for each side, as in the head methods. A text longer than the window is
        cut, never left out. A run that was killed is resumed from ``checkpoints/`` of the work
        directory and ends, on the CPU, with the same bits.

        Args:
            texts: n distinct texts.
            pairs: N judgements of them.
            model: As `plt.train.models.source.resolve_model`; a reward model keeps its head,
                any other begins with a zero head.
            tuning: How to train.
            ctx: Seed, work directory, device, dtype, progress; `ctx.compute.batch_size` texts go
                through the model at once, which changes no result beyond rounding.

        Raises:
            DataError: There is no judgement to learn from.
            ArtifactError: The model cannot be loaded or adapted.
            FailedError: A loss or weight is no number.
        """
        if not len(pairs):
            raise DataError(
                "there is no judgement to learn a reward from", hint="plt dataset-stats"
            )
        source = resolve_model(model)
        tokenizer = load_tokenizer(source)
        encoder = encoder_of(tokenizer, source, tuning.max_length)
        seed = training_seed(ctx.seed)
        net = network(source, tuning, ctx.compute.dtype, seed)
        arguments = reward_arguments(
            checkpoint_folder(
                texts, (pairs.chosen, pairs.rejected, pairs.confidence), source, tuning, ctx
            ),
            tuning.schedule,
            len(pairs),
            seed=seed,
            device=resolve_device(ctx.compute.device),
            dtype=resolve_dtype(ctx.compute.dtype),
            texts_per_pass=ctx.compute.batch_size,
        )
        ids = encoder.encode(texts.prompts, texts.responses)
        losses = train(net, tokenizer, ids, pairs, arguments, ctx.compute.progress)
        return cls(source, tuning, ctx.compute.dtype, losses, net.eval(), encoder)

    @classmethod
    def pretrained(cls, model: str, dtype: str = "float32", max_length: int | None = None) -> Self:
        """A public reward model as it is, with its own chat template and head.

        Raises:
            ArtifactError: The model has no scalar head that plt reads (a causal model's
                ``score.weight``).
        """
        source = resolve_model(model)
        if own_head(source) is None:
            raise ArtifactError(
                f"model {model} is no reward model: it has no scalar head score.weight",
                hint="plt train --method bradley-terry --model " + model,
            )
        encoder = encoder_of(load_tokenizer(source), source, max_length)
        return cls(source, None, dtype, (), network(source, None, dtype), encoder)

    def reward(self, texts: Texts, compute: Compute) -> FloatArray:
        """Rewards (n,) of n texts, in log-odds: a margin is a difference of two.

        Args:
            texts: n texts.
            compute: Device, batch size and progress; the dtype is the one of training.

        Raises:
            FailedError: A reward is no number.
        """
        device = resolve_device(compute.device)
        self.model.to(device)
        rewards = np.zeros(len(texts))
        sizes = [-len(response) for response in texts.responses]
        order = np.argsort(sizes, kind="stable")
        for start in range(0, len(texts), WINDOW_TEXTS):
            rows = order[start : start + WINDOW_TEXTS]
            batches = window_batches(self.encoder, texts, rows, compute.batch_size)
            for number, (places, ids) in enumerate(batches):
                if mine(number):
                    rewards[rows[places]] = self._score(ids, device)
            compute.progress("scoring texts", start + len(rows), len(texts))
        rewards = summed(rewards, compute.device)
        if not np.isfinite(rewards).all():
            raise FailedError(
                f"{int((~np.isfinite(rewards)).sum())} of {len(texts)} rewards are no numbers,"
                f" in {self.dtype}",
                hint="--dtype float32",
            )
        return rewards

    def vectors(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        """What the head reads of n texts, (n, d); kept in the cache as frozen features are.

        Args:
            texts: n texts.
            compute: Device, batch size, cache and progress; the dtype is the one of training.
        """
        device = resolve_device(compute.device)

        def loaded() -> tuple[int, EncodeWindow]:
            self.model.to(device)
            return int(self.model.config.hidden_size), lambda rows: self._window(
                texts, rows, compute
            )

        facts = {
            "rendering": RENDERING_VERSION,
            "tuned": self.weights_digest,
            "dtype": self.dtype,
            "max_length": self.encoder.max_length,
        }
        store = kept_vectors("features", self.source, facts, compute)
        what = "encoding texts"
        return find_or_encode(texts, self.source.causal, store, loaded, compute, what).vectors

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 over the trained weights."""
        return hashlib.sha256(save(trained_weights(self.model))).hexdigest()

    def _window(self, texts: Texts, rows: IntArray, compute: Compute) -> NDArray[np.float32]:
        """Vectors of a window; several processes share its batches, which are those of one."""
        device = resolve_device(compute.device)
        vectors = np.zeros((len(rows), self.model.config.hidden_size), dtype=np.float32)
        batches = window_batches(self.encoder, texts, rows, compute.batch_size)
        for number, (places, ids) in enumerate(batches):
            if mine(number):
                tokens, mask = (tensor.to(device) for tensor in pad_batch(ids))
                with self._reading(device):
                    found = unwrapped(self.model).vectors(tokens, mask)
                vectors[places] = found.cpu().numpy()
        if not np.isfinite(vectors).all():
            raise FailedError(
                f"{self.source.name}, fine-tuned, gave states that are no numbers, in {self.dtype}",
                hint="--dtype float32",
            )
        return summed(vectors, compute.device)

    @contextmanager
    def _reading(self, device: torch.device) -> Iterator[None]:
        dtype = resolve_dtype(self.dtype)
        autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
        with torch.inference_mode(), autocast:
            yield

    def _score(self, ids: Sequence[Ids], device: torch.device) -> FloatArray:
        tokens, mask = (tensor.to(device) for tensor in pad_batch(ids))
        with self._reading(device):
            logits = self.model(input_ids=tokens, attention_mask=mask).logits
        found: FloatArray = logits[:, 0].double().cpu().numpy()
        return found

    def save(self, path: Path) -> None:
        """Writes the trained weights, head included, and what they stand on.

        The model it began from is named with its fingerprint, not copied.

        Args:
            path: The folder; the JSON is written last, so half an artifact is never read.
        """
        with atomic_path(path / WEIGHTS) as temporary:
            temporary.write_bytes(save(trained_weights(self.model)))
        record = {
            "version": VERSION,
            "model": lasting_name(self.source),
            "fingerprint": self.source.fingerprint,
            "tuning": None if self.tuning is None else asdict(self.tuning),
            "dtype": self.dtype,
            "max_length": self.encoder.max_length,
            "losses": list(self.losses),
            "probes": self.reward(PROBES, Compute()).tolist(),
        }
        write_text(path / RECORD, json.dumps(record, indent=1, sort_keys=True))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The inverse of `save`; scores the probes again and compares.

        Raises:
            ArtifactError: Something is missing or damaged, the model it began from is not there
                or has changed, or the scores are not those of the model that was saved.
        """
        record, trained = _read(path)
        source = same_source(record, path)
        tuning = None if record["tuning"] is None else Tuning(**record["tuning"])
        net = network(source, tuning, record["dtype"])
        put_weights(net, trained, path)
        encoder = encoder_of(load_tokenizer(source), source, record["max_length"])
        loaded = cls(source, tuning, record["dtype"], tuple(record["losses"]), net, encoder)
        found = loaded.reward(PROBES, Compute())
        check_probes(found, np.array(record["probes"]), loaded.dtype, path)
        return loaded


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        trained = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} holds no readable reward model: {error}") from error
    if record.get("version") != VERSION:
        raise ArtifactError(
            f"{path} was written in format {record.get('version')}; this plt reads {VERSION}"
        )
    return record, trained
