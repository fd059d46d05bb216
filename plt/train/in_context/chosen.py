"""What held-out judgements say of a network: its best weights, and how far to trust few answers.

Whatever is chosen is chosen by judgements that moved no weight, foretold after one judgement of the
same person, two, five and so on. The margin of a pair after n judgements is
m_0 + n / (n + k) (m_n - m_0), m_0 what is said without a judgement: k is the number of judgements
after which half of what was read is believed. The people are those whom the network was shown,
so that newcomers might want a larger k. At last every margin is multiplied by the smallest of
`SCALES` whose loss lies within one standard error over people of the least (the rule of Breiman et
al. 1984 for trees): the weights that look best on a few judgements of noise are too sure of it.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from plt.train.heads.held_out import row_folds
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.in_context.episodes import ContextNetwork, Episodes, Moment, learn
from plt.train.in_context.history import ContextScorer, History, JudgedRows, Pairs
from plt.train.in_context.settings import ContextSettings
from plt.train.method import FloatArray, Judgements, Progress

SIZES = (0, 1, 2, 5, 10, 20, 40, 80)
"""Judgements that are read of people who are held out, as far as theirs reach."""
ALL = 2**31
SHRINKAGES = (math.inf, 128.0, 64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.0)
"""Candidates for k, of which equal losses keep the first; infinity reads nothing."""
SCALES = (0.05, 0.25, 0.5, 0.75, 1.0)
"""What a margin may be multiplied by, smallest first; never 0, so that no answer changes sides."""
CHECKS = 8
"""How often judgements that are held out are looked at."""


def trust(n: FloatArray, shrinkage: float) -> FloatArray:
    """The share n / (n + k) of what n judgements say that is believed; 0 for n = 0, any k."""
    if math.isinf(shrinkage):
        return np.zeros_like(n)
    return np.where(n > 0, n / np.maximum(n + shrinkage, 1e-12), 0.0)


@dataclass(frozen=True)
class Asked:
    """People as a network is asked about them: what is read, what is foretold.

    Attributes:
        context: What is read of B people.
        targets: What is foretold.
    """

    context: Pairs
    targets: Pairs


def asked_of(
    history: History,
    foretold: NDArray[np.bool_],
    settings: ContextSettings,
    seed: int,
    sizes: Sequence[int],
) -> list[Asked]:
    """Everybody in a history after so many judgements each, as far as theirs reach.

    Args:
        history: All judgements of the people who are asked.
        foretold: Which of the N judgements are foretold and never read, shape (N,).
        settings: At most `n_read` are read, `people_per_step` people at a time.
        seed: Of which are read.
        sizes: How many are read; `ALL` is as many as there are.
    """
    rows = JudgedRows.of(history, torch.float32)
    found = []
    for size in sizes:
        read, predicted = [], []
        for code, user in enumerate(history.users):
            mine = history.rows(code)
            least = 0 if size == ALL else size
            if least > min(len(mine) - 1, settings.n_read):
                continue
            rng = np.random.default_rng(
                np.random.SeedSequence([seed, 2, size, *user.encode("utf-8", "surrogatepass")])
            )
            shows = np.stack([history.a[mine], history.b[mine]], axis=1)
            other = np.flatnonzero(foretold[mine])
            near = np.isin(shows, shows[other]).any(axis=1)
            one = rng.permutation(np.flatnonzero(~near))[: min(size, settings.n_read)]
            if not len(other) or len(one) < least:
                continue
            read.append(mine[one])
            predicted.append(mine[other])
        for start in range(0, len(read), settings.people_per_step):
            part = slice(start, start + settings.people_per_step)
            found.append(Asked(rows.pairs(read[part]), rows.pairs(predicted[part])))
    return found


def losses_by_shrinkage(network: ContextScorer, asked: Sequence[Asked]) -> FloatArray:
    """Cross-entropy for each of `SHRINKAGES`, summed over people and sizes; shape (K,).

    Each person counts once at each size, as the mean over what is foretold.
    """
    found = np.zeros(len(SHRINKAGES))
    with torch.no_grad():
        for part in asked:
            pairs, present = part.targets, part.targets.present
            unread = network.margins(part.context.nothing(), pairs.a, pairs.b).double()
            read = unread
            if part.context.present.any():
                read = network.margins(part.context, pairs.a, pairs.b).double()
            n = part.context.present.sum(dim=1).double().numpy()
            believed = np.stack([trust(n, shrinkage) for shrinkage in SHRINKAGES])
            margins = unread + torch.from_numpy(believed)[..., None] * (read - unread)
            losses = functional.binary_cross_entropy_with_logits(
                margins, pairs.label.double().expand_as(margins), reduction="none"
            )
            each = (losses * present).sum(dim=2) / present.sum(dim=1).clamp_min(1)
            found += each.sum(dim=1).numpy()
    return found


def chosen_scale(network: ContextScorer, asked: Sequence[Asked], shrinkage: float) -> float:
    """What all margins are multiplied by, of `SCALES`; 1 where fewer than two people say so.

    Args:
        network: As it is kept.
        asked: Everybody once, after all that is read of them.
        shrinkage: k.
    """
    each = []
    with torch.no_grad():
        for part in asked:
            pairs, present = part.targets, part.targets.present
            unread = network.margins(part.context.nothing(), pairs.a, pairs.b).double()
            read = network.margins(part.context, pairs.a, pairs.b).double()
            n = part.context.present.sum(dim=1).double().numpy()
            margins = unread + torch.from_numpy(trust(n, shrinkage))[:, None] * (read - unread)
            scaled = torch.tensor(SCALES, dtype=torch.float64)[:, None, None] * margins
            losses = functional.binary_cross_entropy_with_logits(
                scaled, pairs.label.double().expand_as(scaled), reduction="none"
            )
            each.append((losses * present).sum(dim=2) / present.sum(dim=1).clamp_min(1))
    found = torch.cat(each, dim=1).numpy() if each else np.zeros((len(SCALES), 0))
    n_people = found.shape[1]
    if n_people < 2:
        return 1.0
    worse = found - found[found.mean(axis=1).argmin()]
    error = worse.std(axis=1, ddof=1) / math.sqrt(n_people)
    return SCALES[int(np.flatnonzero(worse.mean(axis=1) <= error)[0])]


def divided(judgements: Judgements) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of N judgements move weights, and which judge: (N,) each, nobody's in neither.

    At least `MIN_VALIDATION_ROWS` validation judgements judge; else a fifth of the training pairs,
    whoever judged them. Nothing judges where there is one person or one pair.
    """
    named = judgements.user >= 0
    train = named & ~judgements.validation
    if len(np.unique(judgements.user[train])) < 2:
        return train, np.zeros_like(train)
    if int((named & judgements.validation).sum()) >= MIN_VALIDATION_ROWS:
        return train, named & judgements.validation
    rows = np.flatnonzero(train)
    fold = row_folds(judgements.user[rows], judgements.pair[rows])
    judge = np.zeros_like(train)
    if fold.max() > 0:
        judge[rows[fold == fold.max()]] = True
    return train & ~judge, judge


@dataclass(frozen=True)
class Choice:
    """What held-out judgements chose.

    Attributes:
        kept: How far the fit was when it had the weights that are kept.
        shrinkage: k.
        how: In a sentence for the notes of a run.
        scale: What all margins are multiplied by.
    """

    kept: Moment
    shrinkage: float
    how: str
    scale: float = 1.0


@dataclass(frozen=True)
class Judges:
    """What is learnt from, and by which questions choices are made.

    Attributes:
        learnt_from: The judgements that move weights.
        weights: Choose among the weights of a fit: after all that is known of a person.
        trust: Choose k: after each of `SIZES`.
        who: They are, in words.
    """

    learnt_from: History
    weights: Sequence[Asked]
    trust: Sequence[Asked]
    who: str

    @classmethod
    def of(
        cls,
        judgements: Judgements,
        vectors: NDArray[np.float32],
        settings: ContextSettings,
        seed: int,
    ) -> Self:
        """Judgements that are `divided`.

        Args:
            judgements: Training and validation rows.
            vectors: Features (T, d) of their texts, in units.
            settings: How much is read.
            seed: Of what is read.
        """
        learn, judge = divided(judgements)
        learnt_from = History.of(judgements.select(learn), vectors)
        both = judgements.select(learn | judge)
        asked, foretold = History.of(both, vectors), judge[learn | judge]
        full, few = (asked_of(asked, foretold, settings, seed, sizes) for sizes in ((ALL,), SIZES))
        what = "validation judgements" if both.validation.any() else "held-out judgements"
        return cls(learnt_from, full, few, f"{int(judge.sum())} {what}")


def fit_chosen(
    network: ContextNetwork,
    judges: Judges,
    settings: ContextSettings,
    seed: int,
    progress: Progress,
) -> Choice:
    """Fits a network once; the loss of its judges chooses among its weights, and k.

    Where nothing judges, nothing says how people differ: what they judged is then not read (k is
    infinite), and the last weights are kept.

    Args:
        network: Float32 at its start; left in float64 with the weights that are kept.
        judges: What it learns from, and who chooses.
        settings: How long, on how much.
        seed: Of the draws.
        progress: Called once an epoch.

    Raises:
        FailedError: The objective is no number.
    """
    epochs = settings.passes(len(judges.learnt_from.users))
    every = max(1, epochs // CHECKS)
    least, stop = math.inf, epochs
    weights: dict[str, Any] = {}

    def look(epoch: int) -> None:
        nonlocal least, stop, weights
        if epoch % every or not judges.weights:
            return
        loss = float(losses_by_shrinkage(network, judges.weights).min())
        if loss < least:
            least, stop = loss, epoch
            weights = copy.deepcopy(dict(network.state_dict()))

    # To the end: these networks learn nothing for long, and then at once.
    episodes = Episodes(judges.learnt_from, settings, seed)
    learn(network, episodes, epochs, seed, progress, look)
    kept = Moment(stop * episodes.steps_an_epoch, epochs * episodes.steps_an_epoch)
    if weights:
        network.load_state_dict(weights)
    shrinkage, scale = math.inf, 1.0
    how = f"weights of the last of {epochs} epochs; nothing is read: a single person or pair"
    if judges.weights:
        shrinkage = SHRINKAGES[int(np.argmin(losses_by_shrinkage(network, judges.trust)))]
        how = (
            f"weights of epoch {stop} of {epochs}, and n judgements count n / (n + {shrinkage:g}):"
            f" chosen by {judges.who}, at {SIZES[0]} to {SIZES[-1]} judgements"
        )
        scale = chosen_scale(network, judges.weights, shrinkage)
        if scale < 1:
            how += f"; all margins are multiplied by {scale:g}, and no worse by these judgements"
        if stop + every > epochs:
            how += "; the fit reached its last epoch, more may be better: --set epochs=..."
    network.double().requires_grad_(False)
    return Choice(kept, shrinkage, how, scale)
