"""Questions about everyday skills, and the plain content of an answer to each.

There are 25 topics. A topic has four ways of asking, and behind each of the 100 questions there
may stand one of 100 remarks on the circumstances, which makes 10,100 different prompts.
"""

from dataclasses import dataclass

import numpy as np

from plt.data.simulate.banks import bank
from plt.data.simulate.world.survey import pick

N_TOPICS = 25
N_PLAIN = 100
MAX_PROMPTS = 10_100


@dataclass(frozen=True)
class Topic:
    """One everyday skill.

    Attributes:
        goal: What the person wants to do.
        steps: Four things to do, in order.
        tool: What helps.
        pitfall: What to avoid.
    """

    goal: str
    steps: tuple[str, ...]
    tool: str
    pitfall: str


def topic(prompt: int) -> Topic:
    """The topic of a prompt; 25 prompts in a row have 25 different ones."""
    entry = bank("topics")["topics"][prompt % N_TOPICS]
    return Topic(entry["goal"], tuple(entry["steps"]), entry["tool"], entry["pitfall"])


def question(prompt: int) -> str:
    """The text of a prompt, from 0 to `MAX_PROMPTS` - 1; all are different."""
    texts = bank("topics")
    form = texts["forms"][prompt // N_TOPICS % len(texts["forms"])]
    plain = form.format(goal=topic(prompt).goal)
    remark = prompt // N_PLAIN - 1
    if remark < 0:
        return str(plain)
    times, circumstances = texts["time"], texts["circumstance"]
    time = times[remark % len(times)]
    return f"{plain} {time} {circumstances[remark // len(times) % len(circumstances)]}."


def follow_up(rng: np.random.Generator) -> str:
    """A further question in a conversation, which fits any topic."""
    return str(pick(bank("topics")["follow_ups"], rng))


def content(about: Topic, sentences: int, rng: np.random.Generator) -> list[str]:
    """Plain sentences on a topic, from one to six, in a sensible order."""
    templates = bank("topics")["templates"]
    last = len(about.steps) - 1
    items = [
        ("first" if i == 0 else "last" if i == last else "middle", step)
        for i, step in enumerate(about.steps)
    ]
    items += [("tool", about.tool), ("pitfall", about.pitfall)]
    chosen = sorted(rng.permutation(len(items))[:sentences])
    return [pick(templates[items[i][0]], rng).format(items[i][1]) for i in chosen]
