"""Heterogeneity of taste in a preference table: the test, its conclusion and what it rests on.

For data whose users share no pairs (conversations of their own), where agreement between persons
cannot be counted. The statistics are in `plt.analyze.taste.feature_test` and
`plt.analyze.taste.random_slopes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
import polars as pl

from plt.analyze.intervals.significance import benjamini_hochberg
from plt.analyze.taste.conversations import find_cells
from plt.analyze.taste.feature_test import TasteTest, heterogeneity_of_taste
from plt.analyze.taste.pooled import Choices
from plt.analyze.taste.random_slopes import SlopeGain, random_slope_gain
from plt.analyze.taste.source_codes import source_codes
from plt.analyze.taste.text_features import ENGLISH_ONLY, pair_features
from plt.analyze.votes.votes import Repeats, read_rows
from plt.data.tables.preferences import Preferences

LEVEL = 0.05
MIN_USERS = 10
"""Fewer persons with two groups say nothing about persons."""
MIN_GROUPS = 20
"""Fewer groups have too few sign patterns, and too few to learn from when some are held out."""
MIN_SHARE = 0.01
"""A feature that differs in fewer judgements is left out: a handful of rows would decide."""

KNOWN_SHARE = 0.95
"""Below this share of responses whose source is known, quality may be mistaken for taste."""

ASSUMPTION = (
    "This assumes that one pooled model of these features (with bends, products of two features,"
    " slopes that change with prompt length and turn, and {sources}) fits everybody"
    " alike, and that a person's groups are independent but for taste. If everybody's taste depends"
    " on the question in another way, people who ask different questions look like people of"
    " different taste."
)
UNKNOWN_QUALITY = (
    "Who wrote {share} is not known: if good responses are, say, longer in some people's material"
    " and not in others', their quality looks like this taste."
)


@dataclass(frozen=True)
class FeatureTaste:
    """What the test says about one feature.

    Slopes are in log-odds per typical (root mean square) difference of the feature.

    Attributes:
        name: The feature.
        pooled_slope: Everybody's slope: the pooled margins regressed on the features' differences.
        slope_sd: Standard deviation between people of their slopes, by moments; 0 where the
            variance would be negative.
        p_value: Of "nobody's slope differs"; null where no two cells of a user say anything.
        q_value: Benjamini-Hochberg over the features tested; null with the p value.
    """

    name: str
    pooled_slope: float
    slope_sd: float
    p_value: float | None
    q_value: float | None


@dataclass(frozen=True)
class Coverage:
    """What the test rests on.

    Attributes:
        n_judgments: Judgements used by the pooled model.
        n_users: Users among them.
        n_groups: Groups among them.
        n_users_tested: Users with at least two groups; nobody else contributes to the test.
        n_cells_tested: (User, group) cells of these users.
        n_shared_groups: Groups judged by several users.
        group: What a group is: `prompt` where the source names no conversations.
        dropped: Reason to number of judgements left out.
        features_left_out: Features that differ in fewer than 1 % of the judgements.
        share_english: Share of the distinct responses that hold a common English word; in the
            others the features of `ENGLISH_ONLY` count nothing.
        n_sources: Sources (models) with a quality in the pooled model.
        share_sources: Share of the responses judged whose source is one of them.
    """

    n_judgments: int
    n_users: int
    n_groups: int
    n_users_tested: int
    n_cells_tested: int
    n_shared_groups: int
    group: str = "conversation"
    dropped: Mapping[str, int] = field(default_factory=dict)
    features_left_out: tuple[str, ...] = ()
    share_english: float | None = None
    n_sources: int = 0
    share_sources: float = 0.0


@dataclass(frozen=True)
class HeterogeneityResult:
    """Heterogeneity of taste on interpretable features.

    Attributes:
        p_value: Of "everybody weighs the features alike", by random signs of the groups.
        p_permutation: The same by permuting users; null where groups are shared by users.
        p_beyond_strength: Of "people differ at most in how firmly they choose", by random signs;
            null with one feature only.
        features: One entry a feature.
        gain: What slopes of one's own gain on held-out groups.
        coverage: What all this rests on.
        n_resamples: Random signs, and permutations, drawn; no p value is below 1 / (1 + this).
        seed: Of both, and of the folds.
        reasons: Name of a null figure to why it is null.
    """

    p_value: float | None
    p_permutation: float | None
    p_beyond_strength: float | None
    features: tuple[FeatureTaste, ...]
    gain: SlopeGain | None
    coverage: Coverage
    n_resamples: int
    seed: int
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def differing(self) -> tuple[str, ...]:
        """Features whose slopes differ at a false discovery rate of 5 %, smallest q first."""
        called = [f for f in self.features if f.q_value is not None and f.q_value <= LEVEL]
        return tuple(f.name for f in sorted(called, key=lambda f: (f.q_value, -f.slope_sd)))

    @property
    def conclusion(self) -> str:
        """One sentence in plain words, and a second where quality may be mistaken for taste."""
        n = self.coverage.n_users_tested
        if self.p_value is None:
            return f"Whether people differ in taste cannot be tested: {self.reasons['p_value']}."
        if self.p_value > LEVEL:
            return (
                f"No difference in taste is detectable between the {n:,} users tested"
                f" (p = {self.p_value:.2g})."
            )
        names = ", ".join(self.differing) or "these features taken together"
        said = f"The {n:,} users tested weigh {names} differently (p = {self.p_value:.2g})"
        if self.p_beyond_strength is not None and self.p_beyond_strength <= LEVEL:
            said += f", and not only more or less firmly (p = {self.p_beyond_strength:.2g})."
        else:
            said += f", though perhaps only more or less firmly{_in_brackets(self)}."
        share = self.coverage.share_sources
        if share >= KNOWN_SHARE:
            return said
        whose = f"{1 - share:.0%} of the responses" if share else "the responses"
        return f"{said} {UNKNOWN_QUALITY.format(share=whose)}"

    @property
    def assumption(self) -> str:
        """What the test takes for granted."""
        n = self.coverage.n_sources
        known = f"a quality of {'the one source' if n == 1 else f'each of {n} sources'}"
        return ASSUMPTION.format(sources=known if n else "no quality of sources, which are unknown")

    def rows(self) -> list[dict[str, Any]]:
        """One row a feature, for tables."""
        return [asdict(feature) for feature in self.features]

    def to_json(self) -> dict[str, Any]:
        """Everything, as the `heterogeneity` object of `--json`."""
        return {
            "p_value": self.p_value,
            "p_permutation": self.p_permutation,
            "p_beyond_strength": self.p_beyond_strength,
            "features": self.rows(),
            "gain": None if self.gain is None else self.gain.to_json(),
            "coverage": asdict(self.coverage) | {"english_only_features": list(ENGLISH_ONLY)},
            "n_resamples": self.n_resamples,
            "seed": self.seed,
            "reasons": dict(self.reasons),
            "conclusion": self.conclusion,
            "assumption": self.assumption,
        }


def _in_brackets(result: HeterogeneityResult) -> str:
    p = result.p_beyond_strength
    return "" if p is None else f" (p = {p:.2g} for more than that)"


def heterogeneity(
    prefs: Preferences, *, seed: int = 0, n_resamples: int = 999
) -> HeterogeneityResult:
    """Heterogeneity of taste in a preference table, on features of the texts.

    Ties, judgements without user or label, and repeats are left out and counted; a soft label
    counts by its side.

    Args:
        prefs: The table with its texts.
        seed: Of random signs, permutations and folds.
        n_resamples: Random signs and permutations to draw.

    Returns:
        The test; every figure is null, with its reason, where fewer than `MIN_USERS` users have
        two groups, where there are fewer than `MIN_GROUPS` groups, or where no feature differs.
    """
    votes = read_rows(prefs.votes)
    found = pair_features(prefs.pairs)
    place = np.searchsorted(prefs.pairs["pair_id"].to_numpy(), votes.pair_ids)[votes.pairs]
    choices = Choices(
        a=found.a[place],
        b=found.b[place],
        context=found.context[place],
        prefers_a=votes.prefers_a.astype(np.float64),
        users=votes.users,
        groups=votes.groups[votes.pairs],
        sources=source_codes(prefs.votes, prefs.pairs["pair_id"], place),
    )
    dropped = {**votes.left_out, "tie": votes.n_ties, "repeat": _n_repeats(votes.repeats)}
    result = examine(choices, found.names, seed=seed, n_resamples=n_resamples)
    coverage = replace(
        result.coverage,
        group="prompt" if _groups_are_prompts(prefs) else "conversation",
        dropped={reason: count for reason, count in dropped.items() if count},
        share_english=found.share_english,
    )
    return replace(result, coverage=coverage)


def _n_repeats(repeats: Repeats) -> int:
    return int(repeats.cells.size - repeats.n_cells)


def _groups_are_prompts(prefs: Preferences) -> bool:
    names = prefs.votes["group"].drop_nulls().unique().cast(pl.String)
    return bool(names.str.starts_with("prompt:").all())


def examine(
    choices: Choices, names: Sequence[str], *, seed: int, n_resamples: int
) -> HeterogeneityResult:
    """The test and the gain on given features.

    Args:
        choices: Judgements without ties.
        names: Names of the k features.
        seed: Of random signs, permutations and folds.
        n_resamples: Random signs and permutations to draw.

    Returns:
        The result, its nulls as in `heterogeneity`.
    """
    n = choices.users.size
    kept = np.zeros(len(names), dtype=bool)
    if n:
        kept = np.mean(choices.a != choices.b, axis=0) >= MIN_SHARE
    coverage = _coverage(choices, tuple(compress(names, ~kept)) if n else ())
    reason = _why_not(coverage, bool(kept.any()))
    if reason is not None:
        reasons = dict.fromkeys(("p_value", "p_permutation", "p_beyond_strength", "gain"), reason)
        return HeterogeneityResult(None, None, None, (), None, coverage, n_resamples, seed, reasons)
    choices = choices.features(kept)
    test = heterogeneity_of_taste(choices, n_resamples=n_resamples, seed=seed)
    return HeterogeneityResult(
        p_value=_number(test.p_value),
        p_permutation=_number(test.p_permutation),
        p_beyond_strength=_number(test.p_beyond_strength),
        features=_feature_tastes(tuple(compress(names, kept)), test),
        gain=random_slope_gain(choices, seed),
        coverage=coverage,
        n_resamples=n_resamples,
        seed=seed,
        reasons=_reasons(test, coverage),
    )


def _coverage(choices: Choices, left_out: tuple[str, ...]) -> Coverage:
    if choices.users.size == 0:
        return Coverage(0, 0, 0, 0, 0, 0)
    cells = find_cells(choices.users, choices.groups)
    n_groups_of = np.bincount(cells.users)
    sources = np.array([-1]) if choices.sources is None else choices.sources
    known = sources >= 0
    return Coverage(
        n_judgments=int(choices.users.size),
        n_users=int(np.count_nonzero(n_groups_of)),
        n_groups=int(np.unique(cells.groups).size),
        n_users_tested=int(np.count_nonzero(n_groups_of >= 2)),
        n_cells_tested=int(n_groups_of[n_groups_of >= 2].sum()),
        n_shared_groups=cells.shared_groups,
        features_left_out=left_out,
        n_sources=int(np.unique(sources[known]).size),
        share_sources=float(known.mean()),
    )


def _why_not(coverage: Coverage, any_feature: bool) -> str | None:
    if coverage.n_judgments == 0:
        return "no judgement has a user, a label and no tie"
    if coverage.n_users_tested < MIN_USERS:
        return (
            f"{coverage.n_users_tested} of {coverage.n_users} users have judgements in two"
            f" groups, and the test needs {MIN_USERS} of them"
        )
    if coverage.n_groups < MIN_GROUPS:
        return f"there are {coverage.n_groups} groups, and the test needs {MIN_GROUPS}"
    if not any_feature:
        return "no feature differs in 1 % of the judgements"
    return None


def _feature_tastes(names: Sequence[str], test: TasteTest) -> tuple[FeatureTaste, ...]:
    q_values = benjamini_hochberg(test.p_features)
    return tuple(
        FeatureTaste(name, float(slope), float(sd), _number(p), _number(q))
        for name, slope, sd, p, q in zip(
            names, test.pooled_slope, test.slope_sd, test.p_features, q_values, strict=True
        )
    )


def _reasons(test: TasteTest, coverage: Coverage) -> dict[str, str]:
    silent = "no two groups of a user say anything: the pooled model leaves nothing over"
    shared = f"{coverage.n_shared_groups:,} groups are shared by several users"
    reasons = {}
    if np.isnan(test.p_value):
        reasons["p_value"] = silent
    if np.isnan(test.p_permutation):
        reasons["p_permutation"] = shared if coverage.n_shared_groups else silent
    if np.isnan(test.p_beyond_strength):
        one = "with one feature, firmness is all that can differ"
        reasons["p_beyond_strength"] = one if test.p_features.size == 1 else silent
    return reasons


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
