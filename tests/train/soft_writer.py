"""`builtin:tiny` with soft tokens of persons, as a trained policy has them, but untrained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from plt.train.method import Compute
from plt.train.models.text_encoder import TextEncoder
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import UserModel, make_user_model, starting_rows
from plt.train.writing.writer import BareModel, Prompt, load_model_writer


@dataclass(frozen=True)
class SoftWriter:
    """A real language model and a real user model."""

    bare: BareModel
    people: UserModel
    users: tuple[str, ...]

    @property
    def encoder(self) -> TextEncoder:
        return self.bare.encoder

    def language_model(self) -> Any:
        return self.bare.model

    @contextmanager
    def reference_model(self) -> Iterator[Any]:
        yield self.bare.model

    def user_prompt(self, user: str | None) -> Tensor | None:
        if not self.people.shape.n_tokens:
            return None
        place = 0 if user is None else 1 + self.users.index(user)
        tokens: Tensor = self.people(torch.tensor([place]))[0].detach()
        return tokens

    def prompt_ids(self, prompt: Prompt, user: str | None) -> list[int]:
        return self.bare.prompt_ids(prompt, user)


def soft_writer(users: Sequence[str], n_tokens: int = 3, model: str = "builtin:tiny") -> SoftWriter:
    bare = load_model_writer(model, Compute())
    shape = UserModelShape("individual", n_tokens)
    generator = torch.Generator().manual_seed(0)
    n_rows = shape.n_prompts(len(users)) * n_tokens
    rows, _ = starting_rows(bare.model.get_input_embeddings(), n_rows, "uniform", generator)
    return SoftWriter(bare, make_user_model(shape, len(users), rows, generator), tuple(users))
