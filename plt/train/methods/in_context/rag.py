"""RAG: a language model sees a few of a user's past choices, and says what the user would choose.

Dong et al. 2025 retrieve the three training rows of the user that are nearest to the query and ask
a language model. Their code embeds the test row's chosen and rejected responses as well, which
tells the answer to the retrieval, and looks for the letter A or B anywhere in a generated text.
Here only the question is embedded, and the answer is the log-odds of the next token, averaged over
both orders of the responses.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences, prompt_json
from plt.errors import ArtifactError, UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.statements import last_questions, statement_features
from plt.train.in_context.retrieval import PastTexts, Seen, distinct_prompts, past_judgements
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Judgements, Support, Texts, TrainContext
from plt.train.models.source import resolve_model

if TYPE_CHECKING:
    from plt.train.models.ab_choice import Choice

NAME = "rag"
INSTRUCTION = "Which response does this person prefer, A or B?"
N_PROBED = 16
COIN = 0.5
"""Share of judgements in which a coin answers with the same letter in both orders."""
# It reads bytes and has learnt nothing, so that a longer window would cost time and tell no more.
TINY, TINY_MAX_LENGTH = "builtin:tiny", 320


@dataclass(frozen=True)
class Config:
    """Which models, and how many examples.

    Attributes:
        model: The causal language model that judges; Dong et al. 2025 took Llama-2-7B.
            ``builtin:tiny`` is random and runs offline.
        retriever: What questions are compared by (all-MiniLM-L6-v2 there).
        k: Examples a question (3 there); 0 asks without any.
        max_length: Tokens of a question with its examples at most; None is the model's own, at
            most 1,024 (320 for ``builtin:tiny``). Longer ones lose the middles of their longest
            texts.
    """

    model: str = TINY
    retriever: str = "builtin:minilm"
    k: int = 3
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.k < 0:
            raise UsageError(f"'k' is {self.k}; it must be 0 or more", hint="--set k=3")

    @property
    def window(self) -> int | None:
        """Tokens of a question, the default filled in; None is the model's own."""
        if self.max_length is None and self.model == TINY:
            return TINY_MAX_LENGTH
        return self.max_length


@dataclass(frozen=True)
class Rag:
    """Log-odds that a language model gives a over b, with past choices of the user before it.

    `fit` learns nothing: it keeps the training rows. The examples are those of the same user whose
    last question has the largest cosine with that of the query, the nearest last, each with its
    responses in an order drawn from the seed, the user and the example. A past judgement that
    shows a response of the query is no example. The population (unknown users and None) and users
    without a past choice are asked without examples. As A and as B the model may favour a letter;
    the mean over both orders does not.

    Attributes:
        config: Which models.
        history: What is kept; None before `fit`.
        seed: Of the order of responses in examples.
        compute: How to compute when scoring.
        notes: Who has no examples, and what a reader must know of the model.
    """

    config: Config = field(default_factory=Config)
    history: PastTexts | None = None
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.history.users if self.history else ()

    def margin(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds of shape (len(a),)."""
        both = self._log_odds(texts, a, b, users)
        return (both[:, 0] - both[:, 1]) / 2

    def _log_odds(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds (n, 2) of the letter A: with text a under A, and with text b under A."""
        if self.history is None:
            raise ValueError("score after fit or load")
        from plt.train.models.ab_choice import load_judge

        judge = load_judge(self.config.model, self.compute, self.config.window)
        found = np.empty((len(a), 2))
        jobs = _jobs(a, b, users, self.users)
        vectors = self._queries(texts, a, jobs)
        for done, (user, rows) in enumerate(jobs):
            self.compute.progress("asking the judge", done, len(jobs))
            pairs, inverse = np.unique(
                np.stack([a[rows], b[rows]], axis=1), axis=0, return_inverse=True
            )
            shown: list[list[Choice]] = []
            for first, second in pairs:
                shown += self._both_orders(texts, int(first), int(second), user, vectors)
            both = judge.ask(INSTRUCTION, shown, self.compute).reshape(-1, 2)
            found[rows] = both[inverse.reshape(-1)]
        return found

    def examples(
        self, texts: Texts, a: int, b: int, user: str | None, query: NDArray[np.float32] | None
    ) -> list[Seen]:
        """What the judge is shown of a user's past before texts a and b, the nearest last.

        Args:
            texts: Any texts.
            a: One text.
            b: The other, an answer to the same prompt.
            user: Who is asked; None has no past.
            query: The vector of the question, as `question_vectors`; None where nobody looks.
        """
        if self.history is None:
            raise ValueError("look for examples after fit or load")
        if user is None or query is None:
            return []
        return self.history.nearest(
            user, query, self.config.k, (texts.responses[a], texts.responses[b])
        )

    def _both_orders(
        self,
        texts: Texts,
        a: int,
        b: int,
        user: str | None,
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> "list[list[Choice]]":
        from plt.train.models.ab_choice import Choice

        prompt, (one, other) = texts.prompts[a], (texts.responses[a], texts.responses[b])
        found = self.examples(texts, a, b, user, vectors.get(prompt_json(prompt)))
        past = [as_example(seen, self.seed, user) for seen in found]
        return [[*past, Choice(prompt, one, other)], [*past, Choice(prompt, other, one)]]

    def _queries(
        self, texts: Texts, a: IntArray, jobs: "Sequence[tuple[str | None, IntArray]]"
    ) -> dict[str, NDArray[np.float32]]:
        """The vector of the question of every prompt for which examples are looked for."""
        asked = [rows for user, rows in jobs if user is not None]
        if not asked or not self.config.k:
            return {}
        prompts, _ = distinct_prompts(texts, np.unique(a[np.concatenate(asked)]))
        vectors = question_vectors(prompts, self.config, self.compute)
        return {
            prompt_json(prompt): vector for prompt, vector in zip(prompts, vectors, strict=True)
        }

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Keeps the training rows of every user; learns nothing."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        history = self._history(train, users, ctx.compute)
        if self.config.model == TINY:
            random = f"{TINY} is random: it shows the way, not what models can do"
            notes = (random, *notes)
        empty = int((np.diff(history.starts) == 0).sum())
        if empty:
            notes = (*notes, f"{empty} users have ties only and are asked without examples")
        ready = replace(self, history=history, seed=ctx.seed, compute=ctx.compute)
        return replace(ready, notes=(ready._order_note(train), *notes))

    def _order_note(self, train: Judgements) -> str:
        """Whether the model reads the responses or the letters, by a few training judgements."""
        rows = np.unique(np.linspace(0, len(train) - 1, N_PROBED).astype(np.int64))
        probed = train.select(np.isin(np.arange(len(train)), rows))
        names = [probed.users[code] if code >= 0 else None for code in probed.user]
        odds = self._log_odds(probed.texts, probed.a, probed.b, names)
        always = {letter: float(share) for letter, share in (
            ("A", (odds > 0).all(axis=1).mean()), ("B", (odds < 0).all(axis=1).mean()),
        )}  # fmt: skip
        said = (
            f"{self.config.model} answered A in {100 * always['A']:.0f} % whatever the order, and"
            f" B in {100 * always['B']:.0f} %, of {len(odds)} training judgements"
        )
        if sum(always.values()) <= COIN:
            return said
        return f"WARNING: {said}: it reads letters, not texts, and is no judge of these"

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Keeps the rows of every user in `support`, in place of any they had."""
        if self.history is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        newcomers = self._history(judgements, judgements.users, ctx.compute)
        return replace(self, history=self.history.joined(newcomers), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes the history: its texts as JSON, its vectors as safetensors."""
        if self.history is None:
            raise ValueError("save after fit or load")
        record = {
            "config": asdict(self.config),
            "seed": self.seed,
            "notes": self.notes,
            "retriever": resolve_model(self.config.retriever).fingerprint,
            **self.history.record(),
        }
        save_artifact(path, NAME, self.history.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`.

        Raises:
            ArtifactError: The retriever is another one than when the vectors were made.
        """
        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        if resolve_model(config.retriever).fingerprint != record["retriever"]:
            raise ArtifactError(
                f"{config.retriever} holds other weights than when {path} was written",
                hint="restore the model, or train again",
            )
        history = PastTexts.from_parts(arrays, record)
        return cls(config, history, record["seed"], compute, tuple(record["notes"]))

    def _history(self, judgements: Judgements, users: Sequence[str], compute: Compute) -> PastTexts:
        names, starts, rows = past_judgements(judgements, users)
        sides = judgements.label[rows] > 0.5
        a, b, texts = judgements.a[rows], judgements.b[rows], judgements.texts
        prompts, prompt = distinct_prompts(texts, a)
        used, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        one, other = places.reshape(2, -1)
        return PastTexts(
            names,
            starts,
            prompts,
            tuple(texts.responses[text] for text in used),
            prompt,
            np.where(sides, one, other),
            np.where(sides, other, one),
            question_vectors(prompts, self.config, compute),
        )


def _jobs(
    a: IntArray, b: IntArray, users: Sequence[str | None], known: Sequence[str]
) -> list[tuple[str | None, IntArray]]:
    """Rows that are read together: those of one user, and of strangers those of one pair.

    So no margin's last bits depend on who else is asked for, or is no stranger any more.
    """
    found: dict[tuple[str | None, int, int], list[int]] = {}
    members = set(known)
    for row, user in enumerate(users):
        pair = sorted((int(a[row]), int(b[row])))
        key = (user, -1, -1) if user in members else (None, pair[0], pair[1])
        found.setdefault(key, []).append(row)
    return [(key[0], np.array(rows, dtype=np.int64)) for key, rows in found.items()]


def question_vectors(
    prompts: Sequence[Sequence[object]], config: Config, compute: Compute
) -> NDArray[np.float32]:
    """What questions are found by, shape (Q, d); the retriever cuts where it likes."""
    questions = last_questions(Texts(prompts, [""] * len(prompts)))  # type: ignore[arg-type]
    return statement_features(questions, config.retriever, compute, None)


def as_example(seen: Seen, seed: int, user: str | None) -> "Choice":
    """A past choice with its responses in an order that seed, user and content decide."""
    from plt.train.models.ab_choice import Choice

    content = [seed, user, prompt_json(seen.prompt), seen.preferred, seen.other]
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=1).digest()
    answer: Literal["A", "B"] = "A" if digest[0] & 1 else "B"
    a, b = (seen.preferred, seen.other) if answer == "A" else (seen.other, seen.preferred)
    return Choice(seen.prompt, a, b, answer)
