"""METHODS: every method by name. Adding one is one file in `methods/` and one entry here."""

import dataclasses
import difflib
import importlib
from collections.abc import Mapping
from typing import Any, cast

from plt.errors import UsageError
from plt.settings import make_config, plain_values
from plt.train.method import Method, MethodCard

METHODS: dict[str, MethodCard] = {
    "random": MethodCard(
        target="plt.train.methods.baselines.random:Random",
        config="plt.train.methods.baselines.random:Config",
        summary="a reward drawn from seed, user and text: what no information looks like",
        paper="baseline",
        personal=True,
        trains=False,
        backbone="none",
    ),
    "length": MethodCard(
        target="plt.train.methods.baselines.length:Length",
        config="plt.train.methods.baselines.length:Config",
        summary="characters of the response, sign and scale learnt",
        paper="baseline",
        personal=False,
        backbone="none",
    ),
    "popularity": MethodCard(
        target="plt.train.methods.baselines.popularity:Popularity",
        config="plt.train.methods.baselines.popularity:Config",
        summary="how often a response won in training; unseen responses are neutral",
        paper="baseline",
        personal=False,
        backbone="none",
    ),
    "pretrained": MethodCard(
        target="plt.train.methods.baselines.pretrained:Pretrained",
        config="plt.train.methods.baselines.pretrained:Config",
        summary="a public reward model as it is, the same for everybody",
        paper="Dong et al. 2025",
        personal=False,
        trains=False,
        backbone="forward",
        aliases=("pretrained-rm",),
    ),
    "bradley-terry": MethodCard(
        target="plt.train.methods.population.bradley_terry:BradleyTerry",
        config="plt.train.methods.population.bradley_terry:Config",
        summary="one reward model for everybody (vanilla)",
        paper="Bradley and Terry 1952; Ouyang et al. 2022",
        personal=False,
        aliases=("vanilla", "bt", "vanilla-rm"),
    ),
    "individual": MethodCard(
        target="plt.train.methods.personal.individual:Individual",
        config="plt.train.methods.personal.individual:Config",
        summary="one reward model a user, each from that user's answers alone",
        paper="Dong et al. 2025",
        personal=True,
        aliases=("individual-rm",),
        few_answers=True,
    ),
    "eb-shrinkage": MethodCard(
        target="plt.train.methods.personal.eb_shrinkage:EbShrinkage",
        config="plt.train.methods.personal.eb_shrinkage:Config",
        summary="one head a user, shrunk towards a population learnt from all (empirical Bayes)",
        paper="Laird and Ware 1982; Efron and Morris 1973",
        personal=True,
        aliases=("eb", "empirical-bayes"),
        few_answers=True,
    ),
    "dpl": MethodCard(
        target="plt.train.methods.population.dpl:Dpl",
        config="plt.train.methods.population.dpl:Config",
        summary="one distribution of utility a text, the same for everybody",
        rounding_grows=True,
        paper="Siththaranjan et al. 2024",
        personal=False,
        scores="margin",
        aliases=("distributional",),
    ),
    "p-rm": MethodCard(
        target="plt.train.methods.personal.p_rm:PRm",
        config="plt.train.methods.personal.p_rm:Config",
        summary="a reward a user around a generic one, or mixed from clusters, learnt jointly",
        paper="Li et al. 2024",
        personal=True,
        aliases=("personalized-rm",),
        few_answers=True,
    ),
    "pref": MethodCard(
        target="plt.train.methods.personal.pref:Pref",
        config="plt.train.methods.personal.pref:Config",
        summary="a few shared reward factors, and each user's weights of them",
        paper="Shenfeld et al. 2025",
        personal=True,
        few_answers=True,
    ),
    "lore": MethodCard(
        target="plt.train.methods.personal.lore:Lore",
        config="plt.train.methods.personal.lore:Config",
        summary="a basis of rewards, and each user a mixture of them (weights on the simplex)",
        paper="Bose et al. 2025",
        personal=True,
        few_answers=True,
    ),
    "pal": MethodCard(
        target="plt.train.methods.personal.pal:Pal",
        config="plt.train.methods.personal.pal:Config",
        summary="each user an ideal point, mixed from a few prototypes; closer texts are better",
        rounding_grows=True,
        paper="Chen et al. 2024",
        personal=True,
        few_answers=True,
    ),
    "further-fine-tune": MethodCard(
        target="plt.train.methods.newcomers.further_fine_tune:FurtherFineTune",
        config="plt.train.methods.newcomers.further_fine_tune:Config",
        summary="the vanilla head, moved by each person's answers: a baseline for new people",
        paper="Dong et al. 2025",
        personal=True,
        few_answers=True,
        aliases=("further-ft",),
    ),
    "retrieve-similar": MethodCard(
        target="plt.train.methods.newcomers.retrieve_similar:RetrieveSimilar",
        config="plt.train.methods.newcomers.retrieve_similar:Config",
        summary="the reward model of the known person whose votes agree most: likewise",
        paper="Dong et al. 2025",
        personal=True,
        few_answers=False,
        aliases=("similar-user",),
    ),
    "oracle": MethodCard(
        target="plt.train.methods.baselines.oracle:Oracle",
        config="plt.train.methods.baselines.oracle:Config",
        summary="the true rewards of a simulated population: the most that can be reached",
        paper="baseline",
        personal=True,
        trains=False,
        backbone="none",
        reads_truth=True,
    ),
    "icl": MethodCard(
        target="plt.train.methods.in_context.icl:Icl",
        config="plt.train.methods.in_context.icl:Config",
        summary="one reward model that reads the person's past choices before each new pair",
        paper="Nam et al. 2025 (PLUS)",
        personal=True,
        scores="margin",
        aliases=("in-context",),
        few_answers=True,
    ),
    "conditional": MethodCard(
        target="plt.train.methods.personal.conditional:Conditional",
        config="plt.train.methods.personal.conditional:Config",
        summary="one reward model that reads the person's id before the prompt",
        rounding_grows=True,
        paper="Dong et al. 2025",
        personal=True,
        few_answers=True,
        aliases=("conditional-rm",),
    ),
    "rag": MethodCard(
        target="plt.train.methods.in_context.rag:Rag",
        config="plt.train.methods.in_context.rag:Config",
        summary="a language model asked with the user's nearest past choices before it",
        paper="Dong et al. 2025",
        personal=True,
        trains=False,
        scores="margin",
        backbone="forward",
        aliases=("retrieval",),
    ),
    "vpl": MethodCard(
        target="plt.train.methods.in_context.vpl:Vpl",
        config="plt.train.methods.in_context.vpl:Config",
        summary="a reward that reads a latent vector, encoded from judgements; weak by default",
        rounding_grows=True,
        paper="Poddar et al. 2024",
        personal=True,
        scores="margin",
        aliases=("variational",),
        few_answers=True,
    ),
    "gpo": MethodCard(
        target="plt.train.methods.in_context.gpo:Gpo",
        config="plt.train.methods.in_context.gpo:Config",
        summary="a transformer that reads the user's judgements and answers for them",
        rounding_grows=True,
        paper="Zhao et al. 2024",
        personal=True,
        scores="margin",
        aliases=("group-preference-optimization",),
        few_answers=True,
    ),
    "sft": MethodCard(
        target="plt.train.methods.policies.sft:Sft",
        config="plt.train.methods.policies.sft:Config",
        summary="a language model that writes like the responses; other policies begin here",
        rounding_grows=True,
        paper="Ouyang et al. 2022",
        personal=False,
        backbone="forward",
        kind="policy",
    ),
    "dpo": MethodCard(
        target="plt.train.methods.policies.dpo:Dpo",
        config="plt.train.methods.policies.dpo:Config",
        summary="one policy for everybody; its reward is beta log(pi / pi_ref)",
        rounding_grows=True,
        paper="Rafailov et al. 2023",
        personal=False,
        backbone="forward",
        kind="policy",
        aliases=("vanilla-dpo",),
    ),
    "p-dpo": MethodCard(
        target="plt.train.methods.policies.p_dpo:PDpo",
        config="plt.train.methods.policies.p_dpo:Config",
        summary="a policy that knows each user by soft tokens, and a generic one",
        rounding_grows=True,
        paper="Li et al. 2024",
        personal=True,
        few_answers=True,
        backbone="forward",
        kind="policy",
        aliases=("personalized-dpo",),
    ),
    "p-ipo": MethodCard(
        target="plt.train.methods.policies.p_dpo:PIpo",
        config="plt.train.methods.policies.p_dpo:IpoConfig",
        summary="the same with the loss of IPO, whose optimum is finite",
        rounding_grows=True,
        paper="Li et al. 2024; Azar et al. 2023",
        personal=True,
        few_answers=True,
        backbone="forward",
        kind="policy",
        aliases=("personalized-ipo",),
    ),
}


def method_name(name: str) -> str:
    """The registry name behind a name in any case, with '-', '_' or nothing, or an alias.

    Raises:
        UsageError: No method answers to it; the nearest is named.
    """
    known = {_folded(alias): key for key, card in METHODS.items() for alias in (key, *card.aliases)}
    if _folded(name) in known:
        return known[_folded(name)]
    near = difflib.get_close_matches(_folded(name), known, n=1)
    suggestion = f"; did you mean '{known[near[0]]}'?" if near else ""
    raise UsageError(f"there is no method '{name}'{suggestion}", hint="plt ls methods")


def method_card(name: str) -> MethodCard:
    """The card of a method; names as `method_name`."""
    return METHODS[method_name(name)]


def load_class(target: str) -> type:
    """Imports what a card names as ``module:class``."""
    module, _, attribute = target.partition(":")
    return cast(type, getattr(importlib.import_module(module), attribute))


def config_keys(name: str) -> tuple[str, ...]:
    """The settings that a method takes, in the order of its config."""
    config = load_class(method_card(name).config)
    return tuple(field.name for field in dataclasses.fields(config))


def make_method(name: str, settings: Mapping[str, object]) -> Method:
    """A method that is ready to `fit`.

    Args:
        name: As `method_name`.
        settings: Values of TOML, or the texts behind ``--set key=``, which are read as the type
            that the key has; ``auto`` leaves the choice to the method where it has one.

    Raises:
        UsageError: A key is unknown, a value has the wrong type or range; all are listed.
    """
    key = method_name(name)
    card = METHODS[key]
    config: type[Any] = load_class(card.config)
    made: Any = make_config(config, settings, f"method '{key}'", f"plt ls methods {key}")
    return cast(Method, load_class(card.target)(made))


def config_dict(method: Method) -> dict[str, Any]:
    """The resolved config as TOML can hold it: `make_method` on it gives the same method."""
    return plain_values(method.config)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
