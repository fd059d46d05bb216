"""What a comparison says, in sentences that name whom they are about."""

from collections.abc import Sequence

from plt.analyze.comparison.gains import Gain
from plt.analyze.intervals.claims import Ground, about, disagree, side
from plt.analyze.intervals.figures import points
from plt.analyze.intervals.simultaneous import Difference

SILENT = 0.1
"""Share of undecided margins from which a verdict says so."""


def verdict(
    found: Sequence[Gain | None],
    baseline: str | None,
    ground: Ground,
    margin: float | None = None,
) -> str:
    """What the gains allow to claim, in a few sentences.

    Args:
        found: The gain of each run; None for a baseline.
        baseline: What gains are over; None for one run.
        ground: What stands behind the figures.
        margin: Difference up to which two runs are as good as each other, if that is asked.
    """
    if baseline is None:
        return "One run: nothing to compare it with."
    rows = [gain for gain in found if gain is not None]
    same = [gain.name for gain in rows if gain.own.same_answers]
    tested = [gain for gain in rows if not gain.own.same_answers]
    known = [gain for gain in tested if side(gain.own.together) != "unknown"]
    sentences = _gains(known, baseline, ground) if known else []
    if len(known) < len(tested):
        unknown = [gain for gain in tested if side(gain.own.together) == "unknown"]
        why = unknown[0].own.interval.reason or "there is no interval"
        names = ", ".join(gain.name for gain in unknown)
        sentences.append(f"No verdict on {names}: {why}.")
    if same:
        give = "gives" if len(same) == 1 else "give"
        sentences.append(f"{', '.join(same)} {give} the same answers as {baseline}.")
    sentences += _these_users(known, baseline, ground)
    if margin is not None:
        sentences += _equivalent(known, baseline, margin)
    return " ".join(sentences)


def _gains(known: Sequence[Gain], baseline: str, ground: Ground) -> list[str]:
    better = [gain for gain in known if side(gain.own.together) == "above"]
    worse = [gain for gain in known if side(gain.own.together) == "below"]
    kinds = {
        f"Better than {baseline} by personalization": [
            f"{_named(gain)}{_kept(gain)})" for gain in better if gain.whose == "personal"
        ],
        f"Better than {baseline}": [
            f"{_named(gain)})" for gain in better if gain.whose in ("user-blind", "unknown")
        ],
        f"Better than {baseline}, but not shown to be by personalization": [
            f"{_named(gain)}{_without_user(gain)})" for gain in better if gain.whose == "not shown"
        ],
    }
    found = [f"{what}: {', '.join(names)}" for what, names in kinds.items() if names]
    if not better:
        found = [_nothing(known, baseline, ground)]
    if worse:
        names = ", ".join(f"{_named(gain)})" for gain in worse)
        found.append(f"Worse: {names}")
    if better:
        found[-1] += f"; about {ground.about}"
    return [f"{sentence}." for sentence in found]


def _nothing(known: Sequence[Gain], baseline: str, ground: Ground) -> str:
    text = (
        f"No detectable gain over {baseline}, about {ground.about}: none is above 0 beyond chance"
    )
    text += f" ({len(known)} compared together)" if len(known) > 1 else ""
    seen = [100 * gain.power.smallest for gain in known if gain.power is not None]
    if not seen:
        return text
    least, most = f"{min(seen):.1f}", f"{max(seen):.1f}"
    gains = least if least == most else f"{least} to {most}"
    return f"{text}; in 80 % of cases this table would have seen a gain of {gains} points"


def _named(gain: Gain) -> str:
    said = f"{gain.name} ({signed(gain.own)} points"
    silent = gain.undecided
    return said if silent < SILENT else f"{said}, undecided on {100 * silent:.0f} %"


def _kept(gain: Gain) -> str:
    """What of a personal gain a control keeps beyond chance."""
    kept = [
        f"{what} {signed(each)}"
        for what, each in (("the wrong user keeps", gain.wrong_user),
                           ("shuffled ids keep", gain.shuffled_ids))
        if each is not None and side(each.together) == "above"
    ]  # fmt: skip
    return f"; {' and '.join(kept)}, which is not the user's" if kept else ""


def _without_user(gain: Gain) -> str:
    """What each control reaches where it cannot be told from the run itself."""
    reached = [
        f"{what} {signed(each)}"
        for what, each in (("as the wrong user", gain.wrong_user),
                           ("with shuffled ids", gain.shuffled_ids))
        if each is not None
    ]  # fmt: skip
    return f"; {', '.join(reached)}" if reached else ""


def _these_users(known: Sequence[Gain], baseline: str, ground: Ground) -> list[str]:
    """What holds for these users and not for the population, or the reverse."""
    found = []
    for gain in known:
        these = gain.these_users
        if these is None or not disagree(side(gain.own.together), side(these.together)):
            continue
        whom = about("these-users", ground.n_users)
        what = {"above": f"better than {baseline}", "below": f"worse than {baseline}"}.get(
            side(these.together), f"not told from {baseline}"
        )
        if side(these.together) == "above" and gain.whose_these_users == "personal":
            what += " by personalization"
        found.append(f"For {whom}, {gain.name} is {what}: {points(these)} points.")
    return found


def _equivalent(known: Sequence[Gain], baseline: str, margin: float) -> list[str]:
    inside = [gain.name for gain in known if equivalent(gain.own, margin)]
    within = f"within {100 * margin:g} points of {baseline}, by both one-sided tests"
    if not inside:
        return [f"No run is shown to be {within}."]
    rest = "" if len(inside) == len(known) else "; no other run is shown to be"
    return [f"Shown to be {within}: {', '.join(inside)}{rest}."]


def equivalent(found: Difference, margin: float) -> bool:
    """Whether a difference is shown to be smaller than a margin, in either direction.

    Both one-sided tests hold, for the whole table, where the simultaneous interval lies inside.
    """
    return found.low is not None and found.high is not None and (
        -margin < found.low and found.high < margin
    )  # fmt: skip


def signed(found: Difference) -> str:
    """A difference in points, with its sign."""
    value = found.interval.value
    return "unknown" if value is None else f"{100 * value:+.1f}"


def gain_line(gain: Gain, ground: Ground) -> str:
    """The gain of one run over vanilla with its controls, whom it is about, and whose it is."""
    text = f"gain over vanilla {points(gain.own)} points"
    for what, each in (
        ("with the wrong user", gain.wrong_user),
        ("with shuffled ids", gain.shuffled_ids),
        ("own minus wrong user", gain.part),
    ):
        if each is not None:
            text += f"; {what} {points(each)}"
    claim = {
        "personal": "by personalization",
        "not shown": "not shown to be by personalization",
    }.get(gain.whose, "")
    if side(gain.own.together) == "above":
        text += f"; better beyond chance{', ' if claim else ''}{claim}"
    return f"{text} (about {ground.about})"
