"""A trained policy: log pi(y | x, u), and what text generation needs of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from plt.data.tables.files import atomic_path, write_text
from plt.errors import ArtifactError, FailedError
from plt.train.features.reference import reference_log_probs
from plt.train.method import Compute, FloatArray, IntArray, Texts
from plt.train.models.backbone import load_language_model, load_tokenizer
from plt.train.models.log_probs import (
    LENGTH_MULTIPLE,
    Answer,
    answer_batch,
    encode_answers,
    encode_prompt,
    length_batches,
)
from plt.train.models.probes import PROBES, check_probes
from plt.train.models.source import LANGUAGE_MODEL, ModelSource, resolve_model
from plt.train.models.text_encoder import TextEncoder
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import GENERIC, UserModel
from plt.train.people.words import Prompt, with_profile
from plt.train.policies.network import USERS, PolicyNetwork, Trained, reference_of, trainable
from plt.train.runtime.devices import quiet, resolve_device, resolve_dtype
from plt.train.runtime.processes import mine, summed
from plt.train.tuning.network import encoder_of
from plt.train.tuning.saved import (
    lasting_name,
    put_weights,
    refuse_other_weights,
    same_source,
    trained_weights,
)

WEIGHTS = "policy.safetensors"
RECORD = "policy.json"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Policy:
    """A language model that knows users by soft tokens, by what they say of themselves, or not.

    Attributes:
        source: The reference: the model it began from.
        trained: What of the model learnt.
        dtype: Of forward passes.
        users: Whom it knows, sorted; index i + 1 of the user model is users[i].
        profiles: What users say of themselves, of those of `users` who do; read in the prompt.
        losses: Mean loss of every logged interval of training.
        network: The torch model, of which device is the only state that changes.
        encoder: Chat template and token ids.
        whole: Whether `save` writes the language model as a folder that others can begin from.
    """

    source: ModelSource
    trained: Trained
    dtype: str
    users: tuple[str, ...]
    profiles: Mapping[str, str]
    losses: Sequence[float]
    network: PolicyNetwork = field(repr=False)
    encoder: TextEncoder = field(repr=False)
    whole: bool = False

    def language_model(self) -> Any:
        """The transformers model with the policy's weights, adapters on it included.

        A user's soft tokens are not in it: give it `user_prompt` in front, behind the begin token
        (`prompt_ids` has that).
        """
        return self.network.language

    @contextmanager
    def reference_model(self) -> Iterator[Any]:
        """The model it began from, for the time of a `with` block; knows no user."""
        # A whole model has its adapters merged: nothing in it can be switched off.
        trained = Trained("full") if self.whole else self.trained
        with reference_of(self.network, self.source, trained) as model:
            yield model

    def user_prompt(self, user: str | None) -> Tensor | None:
        """A person's soft tokens (T_u, d), those of the generic user for strangers and None.

        None where T_u is 0.
        """
        if not self.network.users.shape.n_tokens:
            return None
        who = torch.tensor([self._index.get(user, GENERIC)], device=self.network.device)
        tokens: Tensor = self.network.users(who)[0]
        return tokens.detach()

    def prompt_ids(self, prompt: Prompt, user: str | None) -> list[int]:
        """Token ids up to where the response begins, the user's profile included if it is read."""
        said = None if user is None else self.profiles.get(user)
        return encode_prompt(self.encoder, with_profile(prompt, said))

    def log_probs(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Log pi(y | x, u), summed over the response's tokens, its end marker included.

        Every distinct (text, user) goes through the model once.

        Args:
            texts: Distinct texts.
            rows: (n,) which of them.
            users: n people; None and strangers are the generic user.
            compute: Device, batch size and progress; the dtype is the one of training.

        Returns:
            (n,).

        Raises:
            FailedError: A value is no number.
        """
        who = np.array([self._index.get(user, GENERIC) for user in users], dtype=np.int64)
        if not (self.network.users.shape.personal or self.profiles):
            who[:] = GENERIC
        distinct, inverse = np.unique(np.stack([rows, who]), axis=1, return_inverse=True)
        answers, which = self._answers(texts, distinct[0], distinct[1])
        found = self._forward(answers, which, distinct[1], compute)
        if not np.isfinite(found).all():
            raise FailedError(
                f"{int((~np.isfinite(found)).sum())} of {len(found)} log-probabilities are no"
                f" numbers, in {self.dtype}",
                hint="--dtype float32",
            )
        return found[inverse.reshape(-1)]

    def log_ratios(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Log pi(y | x, u) - log pi_ref(y | x), shape (n,); arguments as `log_probs`."""
        used, inverse = np.unique(rows, return_inverse=True)
        kept = Texts([texts.prompts[i] for i in used], [texts.responses[i] for i in used])
        as_trained = replace(compute, dtype=self.dtype)
        reference = reference_log_probs(
            kept, self.source, self.encoder, self.reference_model, as_trained
        ).vectors[:, 0]
        return self.log_probs(texts, rows, users, compute) - reference[inverse.reshape(-1)]

    def n_tokens(self, texts: Texts, rows: IntArray) -> IntArray:
        """Tokens of each response, its end marker included, shape (len(rows),)."""
        answers = encode_answers(self.encoder, texts.prompts, texts.responses)
        return np.array([answer.n_response for answer in answers], dtype=np.int64)[rows]

    def with_users(
        self, users: tuple[str, ...], states: Tensor, profiles: Mapping[str, str]
    ) -> Self:
        """A copy that shares all weights and knows these users, of whom `states` are."""
        model = self.network.users.with_states(states).to(self.network.device)
        network = PolicyNetwork(self.network.language, model, self.network.at).eval()
        return replace(self, users=users, profiles=profiles, network=network)

    def at(self, share: float) -> Self | None:
        """A copy in which users have a share of their soft tokens; None where words set them apart.

        What users say of themselves is read in the prompt, of which there is no share.
        """
        if self.profiles or not self.users:
            return None
        return self.with_users(self.users, self.network.users.at(share).states, self.profiles)

    def save(self, path: Path) -> None:
        """Writes what was trained and what it stands on; the JSON is written last."""
        weights = {
            name: weight.detach().cpu().contiguous()
            for name, weight in self.network.named_parameters()
            if name.startswith(USERS)
        }
        if self.whole:
            with quiet():
                self.network.language.save_pretrained(path / LANGUAGE_MODEL)
                self.encoder.tokenizer.save_pretrained(path / LANGUAGE_MODEL)
        else:
            weights |= trained_weights(self.network)
        with atomic_path(path / WEIGHTS) as temporary:
            temporary.write_bytes(save(weights))
        record = {
            "version": VERSION,
            "model": lasting_name(self.source),
            "fingerprint": self.source.fingerprint,
            "trained": asdict(self.trained),
            "shape": asdict(self.network.users.shape),
            "dtype": self.dtype,
            "max_length": self.encoder.max_length,
            "users": self.users,
            "profiles": dict(self.profiles),
            "losses": list(self.losses),
            "whole": self.whole,
            "probes": self._probe().tolist(),
        }
        write_text(path / RECORD, json.dumps(record, indent=1, sort_keys=True))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The inverse of `save`; computes the probes again and compares.

        Raises:
            ArtifactError: Something is missing or damaged, the model it began from is not there
                or has changed, or it does not say what the saved policy said.
        """
        record, weights = _read(path)
        source = same_source(record, path)
        encoder = encoder_of(load_tokenizer(source), source, record["max_length"])
        users = _user_model(record["shape"], weights, path)
        trained, dtype = Trained(**record["trained"]), record["dtype"]
        if record["whole"]:
            own = resolve_model(str(path / LANGUAGE_MODEL))
            full = trained.tune == "full"
            model = load_language_model(own, torch.float32 if full else resolve_dtype(dtype))
        else:
            model = trainable(source, trained, dtype)
        network = PolicyNetwork(model, users, len(encoder.prefix)).eval()
        if not record["whole"]:
            learnt = {name: weight for name, weight in weights.items() if weight.numel()}
            put_weights(network, learnt, path)
        loaded = cls(
            source=source,
            trained=trained,
            dtype=dtype,
            users=tuple(record["users"]),
            profiles=record["profiles"],
            losses=tuple(record["losses"]),
            network=network,
            encoder=encoder,
            whole=record["whole"],
        )
        check_probes(loaded._probe(), np.array(record["probes"]), dtype, path)
        return loaded

    @cached_property
    def _index(self) -> dict[str | None, int]:
        return {user: i + 1 for i, user in enumerate(self.users)}

    def _probe(self) -> FloatArray:
        """Log-probabilities of the probes, as the generic user and as the first of the users."""
        people = [None, *self.users[:1]]
        rows = np.tile(np.arange(len(PROBES)), len(people))
        whose = [user for user in people for _ in range(len(PROBES))]
        # No larger than it is: short batches are filled up, which costs a real model half a minute.
        return self.log_probs(PROBES, rows, whose, Compute(batch_size=len(rows)))

    def _answers(
        self, texts: Texts, rows: IntArray, who: IntArray
    ) -> tuple[list[Answer], list[int]]:
        """Token ids of every distinct (text, profile), and which of them each row has."""
        places: dict[tuple[int, str | None], int] = {}
        names: list[str | None] = [None, *self.users]
        which = []
        for row, user in zip(rows.tolist(), who.tolist(), strict=True):
            name = names[user]
            key = (row, None if name is None else self.profiles.get(name))
            which.append(places.setdefault(key, len(places)))
        prompts = [with_profile(texts.prompts[row], profile) for row, profile in places]
        return encode_answers(self.encoder, prompts, [texts.responses[r] for r, _ in places]), which

    def _forward(
        self, answers: Sequence[Answer], which: Sequence[int], who: IntArray, compute: Compute
    ) -> FloatArray:
        """Log-probabilities of (answer, user) rows, in batches of like length."""
        device, dtype = resolve_device(compute.device), resolve_dtype(self.dtype)
        network = self.network.to(device)
        found = np.zeros(len(which))
        sizes = [len(answers[i]) for i in which]
        everything = np.arange(len(which), dtype=np.int64)
        done = 0
        with (
            torch.no_grad(),
            torch.autocast(device.type, dtype, enabled=dtype != torch.float32),
        ):
            for number, rows in enumerate(length_batches(sizes, everything, compute.batch_size)):
                if mine(number):
                    # A row's last bits depend on the shape of its batch, which a row that somebody
                    # else adds must not change.
                    full = np.resize(rows, compute.batch_size)
                    batch = answer_batch(
                        [answers[which[i]] for i in full.tolist()], LENGTH_MULTIPLE
                    )
                    batch = batch.to(device)
                    user = torch.from_numpy(who[full]).to(device)
                    values = network(batch.tokens, batch.mask, batch.response, user)
                    found[rows] = values[: len(rows)].double().cpu().numpy()
                done += len(rows)
                compute.progress("scoring texts", done, len(which))
        return summed(found, compute.device)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        weights = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} holds no readable policy: {error}") from error
    if record.get("version") != VERSION:
        raise ArtifactError(
            f"{path} was written in format {record.get('version')}; this plt reads {VERSION}"
        )
    return record, weights


def _user_model(shape: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> UserModel:
    own = {name.removeprefix(USERS): w for name, w in weights.items() if name.startswith(USERS)}
    made = UserModelShape(**shape)
    wanted = ("shared", "states", *(["generic"] if made.kind == "cluster" else []))
    refuse_other_weights(own, {n: tuple(own[n].shape) if n in own else () for n in wanted}, path)
    return UserModel(made, own["shared"], own.get("generic"), own["states"])
