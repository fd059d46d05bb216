"""What one `plt train` line asks for: cells of methods x models x training sizes, each a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.splitting.samples import Sample
    from plt.data.tables.preferences import Preferences
    from plt.train.method import Method, MethodCard

ALL = "all"
REWARD_DATA, POLICY_DATA = "synthetic:attributes", "synthetic:length"
SMALL_MODEL = "builtin:tiny"


@dataclass(frozen=True)
class Asked:
    """What was asked for, as it is typed.

    Attributes:
        methods: Names separated by commas, or ``all``, which is every reward model.
        models: Backbones separated by commas, or None.
        shared: Flags that many methods have, by setting; None where not typed.
        settings: The items of ``--set``.
        train_size: Numbers and ``all``, separated by commas, or None.
        train_size_of: ``total`` or ``user``.
        sham: ``train``, ``score``, ``none`` or None for the default of each method.
        accelerated: Whether there is an accelerator, on which adapters are worth their time.
    """

    methods: str
    models: str | None
    shared: Mapping[str, Any]
    settings: Sequence[str]
    train_size: str | None
    train_size_of: str
    sham: str | None
    accelerated: bool = False


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: Registry name of the method.
        method: Ready to fit.
        config: Its settings, resolved.
        sample: How many training rows; None is all.
        sham: Which shams; None for a method that scores everybody alike.
        group: Which model and training size of the line it belongs to.
        label: What it is called on stderr.
        tune_chosen: Whether nobody typed how it is tuned, and an accelerator decided.
    """

    name: str
    method: Method
    config: Mapping[str, Any]
    sample: Sample | None
    sham: str | None
    group: tuple[str | None, Sample | None]
    label: str
    tune_chosen: bool = False

    @property
    def identity_config(self) -> dict[str, Any]:
        """The part of the run's identity that is not the method's name, seed or inputs."""
        found: dict[str, Any] = {"set": dict(self.config)}
        if self.sham is not None:
            found["sham"] = self.sham
        if self.sample is not None:
            found |= {"train_size": self.sample.size, "train_size_of": self.sample.of}
        return found


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        cells: In the order that they are run in.
        skipped: Method that cannot be run to the reason.
        accelerated: As in `Asked`.
    """

    cells: tuple[Cell, ...]
    skipped: Mapping[str, str]
    accelerated: bool = False


def on_device(asked: Asked, device: str) -> Asked:
    """The same, knowing whether a model that was named runs on an accelerator.

    Only where nobody typed how to tune: torch is not loaded to answer a question that is settled.

    Args:
        asked: What was asked for.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Raises:
        UsageError: There is no such device here; or the settings are not understood.
    """
    from plt.settings import parse_settings

    models = _split(asked.models or "")
    typed = asked.shared.get("tune") is not None or "tune" in parse_settings(asked.settings)
    if typed or all(name.startswith("builtin:") for name in models):
        return asked
    from plt.train.runtime.devices import resolve_device

    return replace(asked, accelerated=resolve_device(device).type != "cpu")


def default_data(methods: Sequence[str]) -> str:
    """The embedded population of a line that names no data.

    Args:
        methods: Registry names. Where one is a policy it is the workers of P-RLHF's controlled
            experiment, whose texts `builtin:small` can write.
    """
    from plt.train.registry import method_card

    policies = any(method_card(name).kind == "policy" for name in methods)
    return POLICY_DATA if policies else REWARD_DATA


def split_if_needed(prefs: Preferences, seed: int, report: Callable[[str], None]) -> Preferences:
    """The table, divided by the default of ``plt dataset-split`` where nobody divided it."""
    from plt.data.splitting.splits import SplitPlan, is_split, split

    if is_split(prefs):
        return prefs
    made = split(prefs, SplitPlan(seed=seed))
    unit = (made.meta.split or {})["unit"]
    report(f"the table had no split: divided by {unit}, with 20 % of the users kept unseen")
    return made


def plan(asked: Asked, prefs: Preferences, has_profiles: bool) -> Plan:
    """The cells that a line asks for.

    Raises:
        UsageError: A method, setting, size or sham is not understood, or no asked-for method can
            be told what was typed. With ``all``, a method that refuses is skipped instead.
    """
    from plt.data.splitting.samples import check_samples
    from plt.train.runs.shams import SHAMS

    if asked.sham is not None and asked.sham not in SHAMS:
        raise UsageError(
            f"--sham is '{asked.sham}'; known are {', '.join(SHAMS)}", hint="--sham score"
        )
    names, every = method_names(asked.methods)
    samples = _samples(asked)
    check_samples(prefs, [sample for sample in samples if sample is not None])
    _refuse_useless(asked, names)
    models = _split(asked.models) if asked.models is not None else [None]
    skipped: dict[str, str] = {}
    cells: dict[str, Cell] = {}
    for model in models:
        for sample in samples:
            for name in names:
                reason = _why_not(name, prefs, has_profiles) if every else None
                try:
                    cell = None if reason else _cell(asked, name, model, sample, len(names) == 1)
                except UsageError as error:
                    if not every:
                        raise
                    cell, reason = None, ": ".join([error.message, *error.problems])
                if cell is None:
                    skipped[name] = str(reason)
                else:
                    # A method without a model is the same cell under all of them.
                    cells.setdefault(f"{cell.name} {cell.identity_config}", cell)
    if not cells:
        raise UsageError("no method can be run", problems=list(skipped.values()))
    return Plan(_labelled(list(cells.values())), skipped, asked.accelerated)


def method_names(text: str) -> tuple[list[str], bool]:
    """The registry names of ``--method``, each once, and whether all were asked for.

    Raises:
        UsageError: None is named, or one is unknown.
    """
    from plt.train.registry import METHODS, method_name

    asked = _split(text)
    if not asked:
        raise UsageError("--method names no method", hint="plt ls methods")
    if ALL in asked:
        return [name for name, card in METHODS.items() if card.kind == "reward"], True
    return list(dict.fromkeys(method_name(name) for name in asked)), False


def _split(text: str) -> list[Any]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _samples(asked: Asked) -> list[Sample | None]:
    """The sizes of ``--train-size`` in the order typed; None is all rows."""
    from plt.data.splitting.samples import SAMPLES_OF, Sample

    if asked.train_size_of not in SAMPLES_OF:
        known = ", ".join(SAMPLES_OF)
        raise UsageError(
            f"--train-size-of is '{asked.train_size_of}'; known are {known}",
            hint="--train-size-of user",
        )
    of = next(known for known in SAMPLES_OF if known == asked.train_size_of)
    found: list[Sample | None] = []
    problems = []
    for part in _split(asked.train_size or ALL):
        if part == ALL:
            found.append(None)
        elif part.isdecimal() and int(part) > 0:
            found.append(Sample(int(part), of))
        else:
            problems.append(f"'{part}' is neither a number of rows nor 'all'")
    if problems or not found:
        raise UsageError(
            "--train-size is not understood", problems=problems, hint="--train-size 1000,10000,all"
        )
    return list(dict.fromkeys(found))


def _refuse_useless(asked: Asked, names: Sequence[str]) -> None:
    """Refuses a flag or setting that none of the methods has."""
    from plt.settings import parse_settings
    from plt.train.registry import config_keys

    known = {key for name in names for key in config_keys(name)}
    whom = names[0] if len(names) == 1 else "none of these methods"
    flags = dict(asked.shared) | {"model": asked.models}
    useless = [key for key, value in flags.items() if value is not None and key not in known]
    if useless:
        flag = "--" + useless[0].replace("_", "-")
        has = "has no" if len(names) == 1 else "has a"
        raise UsageError(f"{whom} {has} {flag}", hint=f"plt ls methods {names[0]}")
    own = parse_settings(asked.settings)
    strange = [key for key in own if key not in known] if len(names) > 1 else []
    if strange:
        raise UsageError(
            "no method of the list has these settings",
            problems=[f"'{key}'" for key in strange],
            hint=f"plt ls methods {names[0]}",
        )


def _why_not(name: str, prefs: Preferences, has_profiles: bool) -> str | None:
    """Why a method cannot run on this table, as far as its card tells."""
    from plt.train.registry import method_card

    card = method_card(name)
    votes = prefs.votes
    if card.personal and votes["user_id"].null_count() == votes.height:
        return "the table does not say who judged"
    if card.needs_profile and not has_profiles and votes["profile"].null_count() == votes.height:
        return "the table has no profiles, and no --users table is given"
    if card.reads_truth and prefs.meta.truth is None:
        return "the table is not simulated, so nobody knows its truth"
    return None


def _cell(asked: Asked, name: str, model: str | None, sample: Sample | None, alone: bool) -> Cell:
    from plt.settings import parse_settings
    from plt.train.registry import config_dict, config_keys, make_method, method_card

    known = config_keys(name)
    flags = dict(asked.shared) | {"model": model or _default_model(asked, name)}
    values: dict[str, object] = {
        key: value for key, value in flags.items() if value is not None and key in known
    }
    own = parse_settings(asked.settings)
    values |= {key: value for key, value in own.items() if alone or key in known}
    chosen = _takes_adapters(asked, name, values)
    made = make_method(name, values | ({"tune": "lora"} if chosen else {}))
    config = config_dict(made)
    sham = _sham(method_card(name), config, asked.sham)
    return Cell(name, made, config, sample, sham, (model, sample), name, chosen)


def _takes_adapters(asked: Asked, name: str, values: Mapping[str, object]) -> bool:
    """Whether a method is tuned by LoRA because nobody typed how, and an accelerator is there.

    Not on embedded models, whose heads are the quicker and better fit; nor where the method, or a
    setting that was typed, such as a penalty, goes with heads only.
    """
    from plt.train.registry import config_keys, make_method

    embedded = str(values.get("model", "builtin:")).startswith("builtin:")
    if not asked.accelerated or embedded or "tune" in values or "tune" not in config_keys(name):
        return False
    try:
        make_method(name, {**values, "tune": "lora"})
    except UsageError:
        return False
    return True


def _default_model(asked: Asked, name: str) -> str | None:
    """A small embedded model for methods of ``--method all`` whose own default is a large one."""
    from plt.train.registry import config_dict, make_method, method_card

    if ALL not in _split(asked.methods) or method_card(name).backbone != "forward":
        return None
    usual = config_dict(make_method(name, {})).get("model", "")
    return None if str(usual).startswith("builtin:") else SMALL_MODEL


def _sham(card: MethodCard, config: Mapping[str, Any], asked: str | None) -> str | None:
    """The shams of a method: fitting again is cheap for heads, and means nothing without a fit."""
    if not card.personal:
        return None
    cheap = config.get("tune", "head") == "head" and card.backbone != "forward"
    wanted = asked or ("train" if cheap else "score")
    return "score" if wanted == "train" and not card.trains else wanted


def _labelled(cells: list[Cell]) -> tuple[Cell, ...]:
    """The cells, called by their method and by what else differs between them."""
    models = {cell.config.get("model") for cell in cells} - {None}
    sizes = {cell.sample for cell in cells}
    found = []
    for cell in cells:
        parts = [cell.name]
        if len(models) > 1 and cell.config.get("model"):
            parts.append(cell.config["model"])
        if len(sizes) > 1 or cell.sample is not None:
            size = "all" if cell.sample is None else f"{cell.sample.size:,}"
            unit = " a user" if cell.sample is not None and cell.sample.of == "user" else ""
            parts.append(f"{size} training rows{unit}")
        found.append(replace(cell, label=", ".join(parts)))
    return tuple(found)
