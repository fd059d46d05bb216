"""Reward-guided decoding: of the likeliest next tokens, more of those that a person would like.

After value-augmented sampling (Han et al. 2024), by which Shenfeld et al. 2025 (PReF) write on
PRISM: pi(token | text) is proportional to pi_0(token | text) exp(W V_u(text + token)). Their value
is learnt; here it is r_u(prompt, text + token), the reward of the text if it ended there, which a
linear head reads from the state of the language model that writes.
"""

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plt.errors import UsageError
from plt.train.heads.factor_table import FactorTable
from plt.train.heads.head_table import HeadTable
from plt.train.heads.offsets import OffsetTable
from plt.train.method import Compute
from plt.train.runs.fitted_run import FittedRun
from plt.train.runtime.devices import resolve_device
from plt.train.writing.decoding import step_arguments
from plt.train.writing.writer import BareModel, end_tokens

GUIDES = ("bradley-terry", "individual", "eb-shrinkage", "p-rm", "pref", "lore")
TABLES = (HeadTable, OffsetTable, FactorTable)


@dataclass(frozen=True)
class Guidance:
    """How strongly a reward guides.

    Attributes:
        weight: W: nats for one unit of reward.
        top: K: how many of the likeliest tokens are looked at. The others count as much as the mean
            of these, by their probability.
    """

    weight: float = 1.0
    top: int = 10

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight) or self.weight < 0:
            raise UsageError(
                f"--guide-weight is {self.weight}; it must be a number of at least 0",
                hint="--guide-weight 1",
            )
        if self.top < 1:
            raise UsageError(
                f"--guide-top is {self.top}; it must be at least 1", hint="--guide-top 10"
            )


@dataclass(frozen=True)
class RewardGuide:
    """Adds W (r - mean r) to the logits of the K likeliest tokens of a text.

    The mean is over these K by their probability, so that W changes nothing between them and the
    other tokens on the whole, and W = 0 is plain decoding. Each candidate is read with the mark
    that ends an answer behind it, as the head was fitted; an end token is that mark itself. So a
    step reads K (1 + s) tokens a text more than the one that plain decoding reads, s those of the
    mark; texts longer than the head's own window are read whole.

    Attributes:
        name: Of the run.
        heads: (d,) float32 by user; None is the population.
        guidance: W and K.
        suffix: The tokens that a template puts behind an answer.
        ends: The tokens that end a text.
        batch_size: Candidates a forward pass.
        fingerprint: Of the run, W and K.
    """

    name: str
    heads: Mapping[str | None, Tensor]
    guidance: Guidance
    suffix: tuple[int, ...]
    ends: frozenset[int]
    batch_size: int
    fingerprint: str

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return tuple(sorted(user for user in self.heads if user is not None))

    @property
    def reach(self) -> int:
        """The candidate and what ends an answer."""
        return 1 + len(self.suffix)

    def guided(
        self, model: Any, logits: Tensor, cache: Any, mask: Tensor, users: Sequence[str | None]
    ) -> Tensor:
        """See `plt.train.writing.sampling.Guide`."""
        values, tokens = logits.topk(min(self.guidance.top, logits.shape[1]), dim=1)
        rewards = self.rewards(model, tokens, cache, mask, users)
        mean = (torch.softmax(values, dim=1) * rewards).sum(dim=1, keepdim=True)
        return logits.scatter_add(1, tokens, self.guidance.weight * (rewards - mean))

    def rewards(
        self, model: Any, tokens: Tensor, cache: Any, mask: Tensor, users: Sequence[str | None]
    ) -> Tensor:
        """Of each text if it went on with one of K tokens and ended.

        Args:
            model: The language model.
            tokens: (n, K) candidates.
            cache: Of the n texts so far; it stays as it is.
            mask: (n, L), 1 on their real tokens.
            users: n persons.

        Returns:
            (n, K) rewards, float32.
        """
        heads = torch.stack([self.heads[user] for user in users])
        together = max(1, self.batch_size // len(tokens))
        parts = [
            self._pass(model, tokens[:, k : k + together], cache, mask, heads)
            for k in range(0, tokens.shape[1], together)
        ]
        return torch.cat(parts, dim=1)

    def _pass(self, model: Any, tokens: Tensor, cache: Any, mask: Tensor, heads: Tensor) -> Tensor:
        k = tokens.shape[1]
        ids, real, last = self._read(tokens.flatten())
        wide = copy.deepcopy(cache)
        wide.batch_repeat_interleave(k)
        mask = torch.cat([mask.repeat_interleave(k, dim=0), real], dim=1)
        # The body alone: nobody asks what would follow a candidate.
        body = model.base_model
        states = body(**step_arguments(model, {"input_ids": ids}, mask, wide)).last_hidden_state
        vectors = states[torch.arange(len(ids), device=ids.device), last].float()
        # Sums row by row: unlike those of a matrix product, the same bits in every batch.
        rewards: Tensor = (vectors * heads.repeat_interleave(k, dim=0)).sum(dim=1)
        return rewards.reshape(tokens.shape)

    def _read(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ids and mask (m, 1 + s) of m candidates, and the column (m,) that the head reads."""
        m, s = len(tokens), len(self.suffix)
        behind = tokens.new_tensor(self.suffix).expand(m, s)
        going_on = torch.cat([tokens[:, None], behind], dim=1)
        real = torch.ones_like(going_on)
        ends = torch.isin(tokens, tokens.new_tensor(sorted(self.ends)))
        if not s or not len(self.ends):
            return going_on, real, torch.full_like(tokens, s)
        ending = torch.cat([behind, torch.zeros_like(tokens[:, None])], dim=1)
        real[:, -1] = (~ends).long()
        return torch.where(ends[:, None], ending, going_on), real, s - ends.long()


def load_guide(
    fitted: FittedRun, writer: BareModel, guidance: Guidance, compute: Compute
) -> RewardGuide:
    """A reward run as a guide of the language model that it was fitted on.

    Args:
        fitted: The reward run.
        writer: The language model.
        guidance: W and K.
        compute: Device, and texts a forward pass.

    Raises:
        UsageError: The run has no linear head on the states of that model.
    """
    table = _table(fitted, writer)
    device = resolve_device(compute.device)
    d = int(writer.model.config.hidden_size)
    # A linear reward's head is what it says of the unit vectors.
    unit, rows = np.eye(d, dtype=np.float32), np.arange(d)
    heads = {
        user: torch.from_numpy(table.reward(unit, rows, [user] * d)).float().to(device)
        for user in (None, *fitted.users)
    }
    encoder = writer.encoder
    (row,), (begin,) = encoder.encode_responses([[{"role": "user", "content": "a"}]], [""])
    facts = [fitted.fingerprint, guidance.weight, guidance.top]
    return RewardGuide(
        fitted.name,
        heads,
        guidance,
        tuple(int(token) for token in row[begin:]),
        frozenset(end_tokens(writer.model, encoder)),
        compute.batch_size,
        hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
    )


def _table(fitted: FittedRun, writer: BareModel) -> HeadTable | OffsetTable | FactorTable:
    """The linear rewards of a run.

    Raises:
        UsageError: It has none, or on the states of another model than the writer.
    """
    identity, source = fitted.run.identity, writer.source
    found = [value for value in vars(fitted.method).values() if isinstance(value, TABLES)]
    settings = identity.config.get("set", {})
    problems = []
    if identity.method not in GUIDES:
        problems.append(f"{identity.method} is none of {', '.join(GUIDES)}")
    elif len(found) != 1 or settings.get("tune", "head") != "head":
        problems.append("it was fine-tuned: its rewards are no linear head on frozen states")
    if identity.inputs.get("model") != source.fingerprint:
        problems.append(f"it reads {settings.get('model', 'no model')}, not {source.name}")
    if source.pooling != "last" or source.normalize:
        problems.append(f"texts of {source.name} are not read by the state of their last token")
    if problems:
        raise UsageError(
            f"{fitted.run.path} cannot guide {source.name}: a guide is a linear head on the states"
            " of the language model that writes",
            problems=problems,
            hint=f"plt train DATA --method individual --model {source.name} --tune head",
        )
    return found[0]
