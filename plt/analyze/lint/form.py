"""Whether a trivial rule about the form of the texts predicts who wins.

The classifier of a family of features is a short list of rules, each of the kind "the response
with a blank at the end wins", learned in some folds and tried in the others. A rule is learned
only where the data leave no doubt: the simultaneous interval over all features (Bonferroni) of how
often it is right must lie above the threshold, or chance would make rules in every small table. A
rule says only which response, never how surely, so over rows seen in both orders its AUC is the
share of rows in which it is right.

Honest data have such rules where form goes with length or author. Hence a second figure, `above
taste`: the mean of right - expected, where `expected` is the probability that the response which
the rule names wins by length and source alone, learned without the fold. Where taste says nothing
it equals AUC - 0.5; where taste says it all it is 0. To be learned a rule must add to taste at all
(simultaneous lower end above 0); to be a finding, the list must be above taste by as much as the
threshold is above chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import BoolArray, FloatArray
from plt.analyze.intervals.uncertainty import Interval, Target
from plt.analyze.lint.decisions import Decisions, IntArray, cautious_interval
from plt.analyze.lint.findings import Example, Finding, edges, figure_text, share_text
from plt.analyze.lint.folds import Folds
from plt.analyze.lint.length_and_author import Tastes
from plt.analyze.lint.text_forms import FAMILIES, Feature, features_of

FORM_AUC = 0.60
"""Lower bound above which form gives the label away."""

MIN_TOUCHED = 0.01
"""Share of the rows that a family must touch to be a finding."""

CHANCE = 0.5
MIN_RULE_TOUCHED = 0.002
FAMILYWISE_ERROR = 0.05
SAME_VERDICT = 0.9
RULES_SHOWN = 3
EXAMPLES = 3


@dataclass(frozen=True)
class Rule:
    """The response that alone has a feature wins (`sign` 1) or loses (-1).

    Attributes:
        feature: Column in its family.
        sign: Whether it wins or loses.
        right: How often it is right where it was learned.
    """

    feature: int
    sign: int
    right: float


@dataclass(frozen=True)
class Claims:
    """What rules say about rows.

    Attributes:
        rows: Rows of which exactly one response has the feature, positions in the decisions.
        feature: Which feature spoke, [rows].
        sign: Whether it was said to win (1) or to lose (-1), [rows].
        right: 1.0 where the rule names the winner, [rows].
        above: right - expected, [rows].
        carrier: The text that the rule is about, [rows].
        names_a: Whether the rule names response_a, [rows].
    """

    rows: IntArray
    feature: IntArray
    sign: IntArray
    right: FloatArray
    above: FloatArray
    carrier: IntArray
    names_a: BoolArray

    def figures(
        self, decisions: Decisions, target: Target | None = None, level: float = 0.95
    ) -> dict[str, Interval]:
        """The AUC, and how far the rules are above taste."""
        values = {"auc": (self.right, (0.0, 1.0)), "above_taste": (self.above, (-1.0, 1.0))}
        return {
            name: cautious_interval(
                value, self.rows, self.carrier, decisions, target=target, level=level, bounds=bounds
            )
            for name, (value, bounds) in values.items()
        }


@dataclass(frozen=True)
class Described:
    """A rule as it held where it was tried: a response of this form wins or loses, how often."""

    form: str
    outcome: str
    right: float
    rows: int

    @property
    def sentence(self) -> str:
        """For a person."""
        often = share_text(self.right)
        return f"a response {self.form} {self.outcome} in {often} of {self.rows} judgements"


@dataclass(frozen=True)
class Family:
    """One family of features on all rows.

    Attributes:
        columns: Its features, as columns of the table of all features.
        signs: 1 where only response_a has the feature, -1 where only response_b, [rows, features].
        rare: Whether the feature is what fewer texts have; else its absence is, [features].
        decisions: The rows.
    """

    columns: IntArray
    signs: NDArray[np.int8]
    rare: BoolArray
    decisions: Decisions

    def claims(self, rule: Rule, rows: IntArray, expected: FloatArray) -> Claims:
        """What a rule says about `rows`, all of which it must touch."""
        names_a = self.signs[rows, rule.feature] * rule.sign > 0
        right = (names_a == self.decisions.prefers_a[rows]).astype(np.float64)
        chance = np.where(names_a, expected[rows], 1 - expected[rows])
        # The text that stands out is the one with the rarer state, be that the absence.
        a_stands_out = (self.signs[rows, rule.feature] > 0) == self.rare[rule.feature]
        carrier = np.where(a_stands_out, self.decisions.a[rows], self.decisions.b[rows])
        feature = np.full(rows.size, self.columns[rule.feature])
        sign = np.full(rows.size, rule.sign)
        return Claims(rows, feature, sign, right, right - chance, carrier, names_a)


def form_findings(decisions: Decisions, folds: Folds, tastes: Tastes) -> list[Finding]:
    """One finding (or note) for each family whose rules held, and one for the side.

    Args:
        decisions: The rows.
        folds: Where rules are learned and tried.
        tastes: What length and source expect.

    Returns:
        What was found, or one note that says that nothing was, or that nothing could be tried.
    """
    side = _side_finding(decisions)
    if folds.n == 0:
        what = "format was not checked: there are fewer than two texts that are apart"
        return [*side, Finding("format", what, failed=False)]
    features, table = features_of(decisions.texts)
    level = 1 - FAMILYWISE_ERROR / max(1, len(features))
    outcomes = []
    for name in FAMILIES:
        columns = np.flatnonzero([feature.family == name for feature in features])
        claims = _try_family(_family(columns, table, decisions), folds, tastes, level)
        if claims is not None:
            outcomes.append((name, claims))
    found = [*side, *_tell(outcomes, features, decisions, folds)]
    if not found:
        what = f"no form of the texts tells who wins (features tried: {len(features)})"
        found = [Finding("format", what, failed=False, details={"n_features": len(features)})]
    return found


def _family(columns: IntArray, table: BoolArray, decisions: Decisions) -> Family:
    values = table[:, columns]
    signs = values[decisions.a].astype(np.int8) - values[decisions.b].astype(np.int8)
    return Family(columns, signs, 2 * values.sum(0) <= values.shape[0], decisions)


def _try_family(family: Family, folds: Folds, tastes: Tastes, level: float) -> Claims | None:
    """Learns the rules of one family and tries them elsewhere; None when no fold learns any."""
    parts: list[Claims] = []
    masks = folds.parts(family.decisions)
    for (learn, held_out), expected in zip(masks, tastes.expected, strict=True):
        left = np.flatnonzero(held_out)
        rules = _learn(family, np.flatnonzero(learn), expected, level)
        for rule in sorted(rules, key=lambda rule: -rule.right):
            touched = family.signs[left, rule.feature] != 0
            parts.append(family.claims(rule, left[touched], expected))
            left = left[~touched]
    if not sum(part.rows.size for part in parts):
        return None
    return Claims(
        rows=np.concatenate([part.rows for part in parts]),
        feature=np.concatenate([part.feature for part in parts]),
        sign=np.concatenate([part.sign for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        above=np.concatenate([part.above for part in parts]),
        carrier=np.concatenate([part.carrier for part in parts]),
        names_a=np.concatenate([part.names_a for part in parts]),
    )


def _learn(family: Family, rows: IntArray, expected: FloatArray, level: float) -> list[Rule]:
    """The rules that the given rows leave no doubt about."""
    signs = family.signs[rows]
    touched = np.count_nonzero(signs, axis=0)
    prefers_a = family.decisions.prefers_a[rows]
    mean = (prefers_a - 0.5).astype(np.float32) @ signs / np.maximum(touched, 1)
    above = (prefers_a - expected[rows]).astype(np.float32) @ signs / np.maximum(touched, 1)
    strength = np.minimum(mean * np.sign(above), np.abs(above))
    candidates = (touched >= MIN_RULE_TOUCHED * rows.size) & (strength > FORM_AUC - CHANCE)
    rules = []
    for feature in np.flatnonzero(candidates):
        right = 0.5 + float(np.abs(mean[feature]))
        rule = Rule(int(feature), int(np.sign(mean[feature])), right)
        claims = family.claims(rule, rows[signs[:, feature] != 0], expected)
        auc, above_taste = claims.figures(family.decisions, "these-users", level).values()
        if _above(auc, FORM_AUC) and _above(above_taste, 0.0):
            rules.append(rule)
    return rules


def _above(figure: Interval, threshold: float) -> bool:
    return figure.low is not None and figure.low > threshold


def _tell(
    outcomes: Sequence[tuple[str, Claims]],
    features: Sequence[Feature],
    decisions: Decisions,
    folds: Folds,
) -> Iterator[Finding]:
    """A finding or note for each family; what says the same of the same rows is told once."""
    left = list(outcomes)
    while left:
        name, claims = left.pop(0)
        finding = _family_finding(name, claims, features, decisions, folds)
        auc, above_taste = finding.figures.values()
        if not finding.failed:
            if _above(auc, CHANCE) and _above(above_taste, 0.0):
                yield finding
            continue
        verdict = np.zeros(decisions.n_rows, dtype=np.int8)
        verdict[claims.rows] = np.where(claims.names_a, 1, -1)
        echoed = [
            np.mean(verdict[other.rows] == np.where(other.names_a, 1, -1)) >= SAME_VERDICT
            for _, other in left
        ]
        forms = [
            rule.form
            for (_, other), echo in zip(left, echoed, strict=True)
            if echo
            for rule in _described(other, features)
        ]
        left = [outcome for outcome, echo in zip(left, echoed, strict=True) if not echo]
        yield _with_echoes(finding, forms)


def _with_echoes(finding: Finding, forms: Sequence[str]) -> Finding:
    """The finding of a family, with the forms of later families that say the same."""
    what = finding.what
    if forms:
        what += f"; the same is told by responses {', '.join(forms[:RULES_SHOWN])}"
    details = {**finding.details, "same_judgements": list(forms)}
    return replace(finding, what=what, details=details)


def _family_finding(
    name: str,
    claims: Claims,
    features: Sequence[Feature],
    decisions: Decisions,
    folds: Folds,
) -> Finding:
    figures = claims.figures(decisions)
    share = claims.rows.size / int(folds.tried(decisions).sum())
    auc, above_taste = figures.values()
    sure = _above(auc, FORM_AUC) and _above(above_taste, FORM_AUC - CHANCE)
    failed = sure and share >= MIN_TOUCHED
    rules = _described(claims, features)
    sentences = [rule.sentence for rule in rules[:RULES_SHOWN]]
    more = f" (and {len(rules) - RULES_SHOWN} more)" if len(rules) > RULES_SHOWN else ""
    gives = "gives the label away" if failed else "goes with the label"
    return Finding(
        check="format",
        what=f"form {gives} ({name}): {'; '.join(sentences)}{more}; AUC {figure_text(auc)},"
        f" {figure_text(above_taste)} above what length and source expect",
        failed=failed,
        rows=int(claims.rows.size),
        share=share,
        figures=figures,
        details={
            "family": name,
            "rules": [asdict(rule) for rule in rules],
            "folds_by": folds.by,
        },
        examples=_examples(claims, decisions),
        hint="write both responses in the same way, then convert the raw data again"
        if failed
        else None,
    )


def _described(claims: Claims, features: Sequence[Feature]) -> list[Described]:
    """The rules that spoke, those about most rows first."""
    rules = []
    for feature in np.unique(claims.feature):
        mine = claims.feature == feature
        rules.append(
            Described(
                form=features[feature].name,
                outcome="wins" if claims.sign[mine].sum() > 0 else "loses",
                right=float(claims.right[mine].mean()),
                rows=int(mine.sum()),
            )
        )
    return sorted(rules, key=lambda rule: (-rule.rows, rule.form))


def _examples(claims: Claims, decisions: Decisions) -> tuple[Example, ...]:
    """The first pairs, by pair_id, of which a rule was right."""
    right = np.flatnonzero(claims.right == 1)
    pairs = decisions.pair_ids[claims.rows[right]]
    _, first = np.unique(pairs, return_index=True)
    return tuple(
        Example(int(pairs[place]), edges(decisions.texts[int(claims.carrier[right[place]])]))
        for place in first[:EXAMPLES]
    )


def _side_finding(decisions: Decisions) -> list[Finding]:
    """A finding when one side wins too often: the hash cannot know who won, so nothing may."""
    if decisions.n_rows == 0:
        return []
    rows = np.arange(decisions.n_rows)
    side = "a" if 2 * np.count_nonzero(decisions.prefers_a) >= decisions.n_rows else "b"
    right = (decisions.prefers_a == (side == "a")).astype(np.float64)
    winners = np.where(decisions.prefers_a, decisions.a, decisions.b)
    auc = cautious_interval(right, rows, winners, decisions)
    if not _above(auc, FORM_AUC):
        return []
    return [
        Finding(
            check="format",
            what=f"the side gives the label away: response_{side} wins in {figure_text(auc)}"
            " of all judgements, although pair_id should decide which response is a",
            failed=True,
            rows=decisions.n_rows,
            share=1.0,
            figures={"auc": auc},
            details={"family": "side", "side": side},
            hint="plt dataset-convert generic DATA -o fixed.parquet",
        )
    ]
