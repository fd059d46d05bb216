"""Soft tokens in front of a text: into embeddings, mask and positions at once.

A row becomes [begin token][T_u soft tokens][text][padding]. Rows are aligned before, real tokens
first (`plt.train.models.backbone.align`), so that padding on any side changes nothing.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from plt.train.models.backbone import align

# Their positions begin behind the padding token's; from aligned rows they derive them rightly.
OWN_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "bloom", "deberta-v2")


@dataclass(frozen=True)
class SoftInputs:
    """What a model is called with.

    Attributes:
        embeds: (n, L + T_u, d) token embeddings.
        mask: (n, L + T_u), 1 on real and soft tokens.
        positions: (n, L + T_u) 0, 1, ... along the real and soft tokens; 0 on padding.
        at: The column of the first soft token.
        n_soft: T_u.
    """

    embeds: Tensor
    mask: Tensor
    positions: Tensor
    at: int
    n_soft: int

    def arguments(self, model_type: str) -> dict[str, Tensor]:
        """Keyword arguments of a transformers model of that type."""
        given = {"inputs_embeds": self.embeds, "attention_mask": self.mask}
        if model_type not in OWN_POSITIONS:
            given["position_ids"] = self.positions
        return given

    def widened(self, columns: Tensor, value: int) -> Tensor:
        """(n, L) columns with `value` where the soft tokens stand: (n, L + T_u)."""
        soft = columns.new_full((len(columns), self.n_soft), value)
        return torch.cat([columns[:, : self.at], soft, columns[:, self.at :]], dim=1)

    def narrowed(self, states: Tensor) -> Tensor:
        """(n, L + T_u, ...) states without those of the soft tokens: (n, L, ...)."""
        return torch.cat([states[:, : self.at], states[:, self.at + self.n_soft :]], dim=1)


def insert_soft_tokens(
    embedding: Any, tokens: Tensor, mask: Tensor, soft: Tensor, at: int
) -> SoftInputs:
    """Puts soft tokens behind the first `at` tokens of every row.

    Args:
        embedding: The token embedding of the model.
        tokens: (n, L) aligned ids.
        mask: (n, L), 1 on real tokens.
        soft: (n, T_u, d) soft tokens.
        at: Tokens that stay in front: the begin token, where the model has one.
    """
    words = embedding(tokens)
    n_soft = soft.shape[1]
    embeds = torch.cat([words[:, :at], soft.to(words.dtype), words[:, at:]], dim=1)
    ones = mask.new_ones(len(mask), n_soft)
    wide = torch.cat([mask[:, :at], ones, mask[:, at:]], dim=1)
    positions = (wide.cumsum(dim=1) - 1).clamp(min=0) * wide
    return SoftInputs(embeds, wide, positions, at, n_soft)


def soft_states(
    body: Any, tokens: Tensor, mask: Tensor, soft: Tensor, at: int
) -> tuple[Tensor, Tensor]:
    """Last states of the text's own tokens, read behind soft tokens.

    Args:
        body: A transformers model without a head, causal or encoder.
        tokens: (n, L) ids padded on any side.
        mask: (n, L), 1 on real tokens.
        soft: (n, T_u, d); with T_u = 0 the model is called as if nobody had heard of soft tokens.
        at: Tokens in front of the soft ones.

    Returns:
        (n, L, d) states of the aligned rows and their (n, L) mask.
    """
    tokens, mask = align(tokens, mask)
    if not soft.shape[1]:
        return body(input_ids=tokens, attention_mask=mask).last_hidden_state, mask
    inputs = insert_soft_tokens(body.get_input_embeddings(), tokens, mask, soft, at)
    states = body(**inputs.arguments(body.config.model_type)).last_hidden_state
    return inputs.narrowed(states), mask
