"""Who a person is to a language model: T_u soft tokens, from one of three user models."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from plt.train.people.shape import UserModelShape

TokenStart = Literal["vocabulary", "uniform"]

GENERIC = 0
"""The index of everybody who is not known; user i of U has index i + 1."""


class UserModel(nn.Module):
    """The table [U + 1, T_u, d] of soft tokens; index `GENERIC` is the generic user.

    Every parameter takes part in every forward pass, so that processes that train together agree
    on what has a gradient. Parameters are float32.

    Args:
        shape: Which user model.
        shared: (T_u, d) the generic user's tokens; for ``cluster`` (K, T_u, d) the centres.
        generic: (K,) the generic user's weights, only for ``cluster``.
        states: What each of U users has of their own: (U, T_u, d) offsets or tokens, (U, K)
            weights, (U, 0) nothing.
    """

    def __init__(
        self, shape: UserModelShape, shared: Tensor, generic: Tensor | None, states: Tensor
    ) -> None:
        super().__init__()
        self.shape = shape
        self.shared = _parameter(shared)
        self.generic = None if generic is None else _parameter(generic)
        self.states = _parameter(states)

    @property
    def n_users(self) -> int:
        """U, the generic user not counted."""
        return len(self.states)

    def forward(self, user: Tensor) -> Tensor:
        """Soft tokens of people.

        Args:
            user: (n,) indices; 0 is the generic user.

        Returns:
            (n, T_u, d).
        """
        shape = self.shape
        if shape.kind == "uniform" or not self.n_users:
            alone = self.shared if self.generic is None else self._mix(self.generic[None])[0]
            return alone.expand(len(user), *alone.shape)
        known = user > GENERIC
        own = self.states[(user - 1).clamp(min=0)]
        if self.generic is not None:
            return self._mix(torch.where(known[:, None], own, self.generic))
        mask = known[:, None, None]
        if shape.generic_offset:
            return self.shared + torch.where(mask, own, torch.zeros_like(own))
        return torch.where(mask, own, self.shared)

    def table(self) -> Tensor:
        """Everybody's soft tokens, (U + 1, T_u, d)."""
        return self.forward(torch.arange(self.n_users + 1, device=self.shared.device))

    def with_states(self, states: Tensor) -> "UserModel":
        """A copy that shares what is common and has other users."""
        generic = None if self.generic is None else self.generic.detach().clone()
        return UserModel(self.shape, self.shared.detach().clone(), generic, states.detach().clone())

    def at(self, share: float) -> "UserModel":
        """A copy in which everybody has a share of what sets them apart from the generic user.

        Of offsets and tokens a share of the distance, of mixtures one of the distance in their
        weights. 0 is the generic user and 1 the person, both to the bit.
        """
        if not self.states.numel():
            return self.with_states(self.states)
        generic = self.newcomer_state()
        return self.with_states((1 - share) * generic + share * self.states.detach())

    def newcomer_state(self) -> Tensor:
        """The state of a user who is nothing but the generic user; without the axis of users."""
        if self.generic is not None:
            return self.generic.detach().clone()
        if self.shape.kind == "uniform":
            return self.shared.new_zeros(0)
        known = self.shared.detach()
        return torch.zeros_like(known) if self.shape.generic_offset else known.clone()

    def _mix(self, weights: Tensor) -> Tensor:
        mixed = torch.softmax(weights, dim=-1) if self.shape.simplex else weights
        return torch.einsum("nk,ktd->ntd", mixed, self.shared)


def make_user_model(
    shape: UserModelShape, n_users: int, rows: Tensor, generator: torch.Generator
) -> UserModel:
    """A user model to begin training with.

    As in the reference code of Li et al. 2024, e_0 and every o_u are drawn rows, so that an
    individual begins as the sum of two words; weights of clusters begin as N(0, 1).

    Args:
        shape: Which user model.
        n_users: U.
        rows: (`shape.n_prompts(n_users)` T_u, d) vectors, as `starting_rows`.
        generator: Of the weights of clusters.
    """
    tokens = rows.reshape(shape.n_prompts(n_users), shape.n_tokens, rows.shape[1])
    if shape.kind == "individual":
        return UserModel(shape, tokens[0], None, tokens[1:])
    if shape.kind == "uniform":
        return UserModel(shape, tokens[0], None, rows.new_zeros(n_users, 0))
    weights = torch.randn(n_users + 1, shape.n_clusters, generator=generator)
    if not shape.simplex:
        # A sum of K independent rows then has the length of one.
        weights = weights / shape.n_clusters**0.5
    return UserModel(shape, tokens, weights[0], weights[1:])


def starting_rows(
    embedding: Any, n_rows: int, start: TokenStart, generator: torch.Generator
) -> tuple[Tensor, str | None]:
    """Vectors that soft tokens begin as.

    Args:
        embedding: The token embedding of the language model, called with ids: some models scale
            what their table holds.
        n_rows: How many.
        start: ``vocabulary``: distinct words drawn at random; where more are needed than there
            are words, each word serves as often as any other, give or take once, and this is
            said. ``uniform``: U(-0.5, 0.5) in every coordinate.
        generator: On the CPU.

    Returns:
        (n_rows, d) float32 on the CPU, and what must be said of them.
    """
    n_words, width = embedding.weight.shape
    if start == "uniform" or not n_rows:
        return torch.rand(n_rows, width, generator=generator) - 0.5, None
    rounds = -(-n_rows // n_words)
    draws = [torch.randperm(n_words, generator=generator) for _ in range(rounds)]
    ids = torch.cat(draws)[:n_rows]
    with torch.no_grad():
        rows = embedding(ids.to(embedding.weight.device)).float().cpu()
    note = None
    if rounds > 1:
        note = (
            f"{n_rows} soft tokens began as the {n_words} words of the vocabulary, which are fewer:"
            f" words stand up to {rounds} times"
        )
    return rows, note


def _parameter(values: Tensor) -> nn.Parameter:
    # A parameter without elements has no gradient, which data-parallel training would wait for.
    return nn.Parameter(values.float().contiguous(), requires_grad=values.numel() > 0)
