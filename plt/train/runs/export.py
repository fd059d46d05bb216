"""A run's reward as a folder that transformers, TRL and vLLM load as a plain reward model."""

import dataclasses
import difflib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jinja2.exceptions import TemplateError
from numpy.typing import NDArray

from plt.data.run import SCORES_FILE
from plt.data.tables.files import write_text
from plt.data.tables.table import read_meta
from plt.errors import FailedError, UsageError
from plt.train.heads.head_table import HeadTable
from plt.train.method import FloatArray, IntArray
from plt.train.models.backbone import load_body, load_tokenizer, pad_batch
from plt.train.models.probes import PROBES, TOLERANCES
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import Ids, TextEncoder, text_encoder
from plt.train.multi_user.fine_tune import load_tuned
from plt.train.multi_user.individual_lora import BatchedUsers
from plt.train.multi_user.individuals import TunedUsers
from plt.train.runs.fitted_run import POPULATION, FittedRun
from plt.train.runtime.devices import quiet, resolve_dtype
from plt.train.tuning.tuned_reward import TunedReward

# Methods whose reward is one scalar head on one backbone.
EXPORTABLE = (
    "bradley-terry", "individual", "p-rm", "eb-shrinkage", "pref", "lore", "pretrained",
)  # fmt: skip
CARD = "README.md"
MARK = "plt_export.json"
NEW_PAD = "<|plt_pad|>"
# The plain form of `plt.train.models.text_encoder` as a template.
PLAIN_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if not loop.first -%}{{- '\\n\\n' -}}{%- endif -%}"
    "{{- message['role'] | capitalize + ': ' + message['content'] -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '\\n\\nAssistant:' -}}"
    "{%- else -%}{{- eos_token -}}{%- endif -%}"
)
# Features longer than 1,024 are kept in float16, so the run's own scores are that coarse.
COARSE_DIM, COARSE_TOLERANCE = 1024, 5e-3

Reward: TypeAlias = HeadTable | TunedReward | BatchedUsers | TunedUsers


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        method: Registry name.
        user: Whose reward; None is everybody's, or the population's.
        base: The model that it stands on.
        difference: Largest difference between the folder's rewards and the run's on a few texts.
        notes: What a reader must know.
    """

    folder: Path
    method: str
    user: str | None
    base: str
    difference: float
    notes: tuple[str, ...]


def export(
    fitted: FittedRun, folder: Path, *, user: str | None = None, force: bool = False
) -> Exported:
    """Writes a run's reward as a sequence classifier with one label.

    The head on frozen features becomes ``score.weight``; adapters are merged into the weights
    they adapt. The folder is loaded again and must give the run's own rewards before it gets its
    name.

    Args:
        fitted: The run.
        folder: Where; new or empty.
        user: Whose reward; ``population`` is that of a stranger. None where nobody is asked for.
        force: Replace an earlier export.

    Raises:
        UsageError: The method, its backbone or its population cannot be one such model; the user
            is missing, unknown or of no use; or the folder holds something.
        FailedError: The folder does not give the run's rewards.
    """
    name = fitted.run.identity.method
    if name not in EXPORTABLE:
        raise UsageError(
            f"a run of {name} cannot be exported: its reward is no scalar head on one model",
            problems=["these can: " + ", ".join(EXPORTABLE)],
            hint="plt train DATA --method bradley-terry --model MODEL",
        )
    whose = _whose(fitted, name, user)
    # A link stays, and what it points at is replaced.
    asked, folder = folder, Path(os.path.realpath(folder))
    _refuse_full(folder, force)
    reward = _reward(fitted.method)
    settings = fitted.run.identity.config
    model = str(settings["set"]["model"])
    _refuse_backbone(resolve_model(model))
    body, head, encoder = _parts(reward, whose, model, settings)
    expected = _run_rewards(fitted, whose)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        notes = _write(temporary, body, head, encoder)
        difference = _checked(temporary, expected, encoder, str(settings.get("dtype", "float32")))
        made = Exported(asked, name, whose, model, difference, notes)
        _describe(temporary, made, fitted)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return made


def _whose(fitted: FittedRun, name: str, user: str | None) -> str | None:
    """The user that is meant, None for everybody."""
    known = list(fitted.users)
    if not known:
        if user not in (None, POPULATION):
            raise UsageError(
                f"a run of {name} scores everybody alike, so there is no reward of one user",
                hint="leave out --user",
            )
        return None
    if user is None:
        raise UsageError(
            f"a run of {name} has a reward for each of {len(known)} users; one must be chosen",
            hint=f"--user {POPULATION}, or --user NAME",
        )
    if user == POPULATION:
        return None
    if user not in known:
        near = difflib.get_close_matches(user, known, n=1)
        suggestion = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"the run knows no user {user!r}{suggestion}", hint=f"--user {POPULATION}")
    return user


def _refuse_full(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="choose another folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).exists():
        raise UsageError(
            f"{folder} holds files that are no export of plt, so nothing is replaced",
            hint="choose another folder",
        )
    if not force:
        raise UsageError(f"{folder} holds an export already", hint="add --force to replace it")


def _reward(method: Any) -> Reward:
    """What a fitted method scores with."""
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        value = value if isinstance(value, Reward) else getattr(value, "table", None)
        if isinstance(value, Reward):
            return value
    raise UsageError(
        "this run's reward is no scalar head on one model, so it cannot be exported",
        problems=["methods that can: " + ", ".join(EXPORTABLE)],
        hint="--tune head",
    )


def _refuse_backbone(source: ModelSource) -> None:
    if source.causal and source.pooling == "last" and not source.normalize:
        return
    scaled = ", scaled to length 1" if source.normalize else ""
    raise UsageError(
        f"{source.name} cannot be exported: transformers' sequence classifier reads the last token"
        f" of a causal model (an encoder's reads its first token through another layer), and plt"
        f" reads the {source.pooling} of its tokens{scaled}",
        hint="plt train DATA --model MODEL, with a causal language model",
    )


def _parts(
    reward: Reward, user: str | None, model: str, settings: Any
) -> tuple[Any, NDArray[np.float64], TextEncoder]:
    """The body, the head (d,) and how texts are written."""
    if isinstance(reward, HeadTable):
        source = resolve_model(model)
        length = settings["set"].get("max_length")
        limit = length if isinstance(length, int) else source.max_length
        encoder = text_encoder(load_tokenizer(source), causal=True, max_length=limit)
        body = load_body(source, resolve_dtype(str(settings.get("dtype", "float32"))))
        head = reward.population if user is None else reward.heads[reward.users.index(user)]
        return body, head, encoder
    tuned = _one_model(reward, user)
    if tuned.tuning is not None and tuned.tuning.quantize is not None:
        raise UsageError(
            f"the run's model is in {tuned.tuning.quantize}, into which no adapter can be merged"
            " without another rounding",
            hint="plt train DATA --tune lora, without quantize",
        )
    net = tuned.model
    if hasattr(net, "merge_and_unload"):
        net = net.merge_and_unload()
    return net.body, net.score.weight[0].detach().double().cpu().numpy(), tuned.encoder


def _one_model(reward: TunedReward | BatchedUsers | TunedUsers, user: str | None) -> TunedReward:
    if isinstance(reward, TunedReward):
        return reward
    if user is None:
        raise UsageError(
            f"the population's reward is the mean of {len(reward.population)} fine-tuned models,"
            " which is no single model",
            hint="--user NAME, or a run of --method bradley-terry",
        )
    return (
        reward.user_model(user)
        if isinstance(reward, BatchedUsers)
        else load_tuned(reward.folders[user])
    )


def _run_rewards(fitted: FittedRun, user: str | None) -> FloatArray:
    method: Any = fitted.method  # the methods that can be exported have rewards
    rows: IntArray = np.arange(len(PROBES))
    found: FloatArray = method.reward(PROBES, rows, [user] * len(PROBES))
    return found


def _write(
    folder: Path, body: Any, head: NDArray[np.float64], encoder: TextEncoder
) -> tuple[str, ...]:
    """Writes weights, configuration and tokenizer; returns what must be said of them."""
    from transformers import AutoModelForSequenceClassification

    config = body.config
    config.num_labels = 1
    config.use_cache = True
    tokenizer = encoder.tokenizer
    ends = {int(row[-1]) for row in encoder.encode(PROBES.prompts, PROBES.responses)}
    notes: tuple[str, ...] = ()
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in ends:
        # The classifier looks for the last token that is no padding: a text must not end in one.
        tokenizer.add_special_tokens({"pad_token": NEW_PAD})
        if len(tokenizer) > body.get_input_embeddings().weight.shape[0]:
            body.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        notes = (f"{NEW_PAD} was added, since texts end in the token that padding was",)
    config.pad_token_id = tokenizer.pad_token_id
    try:
        with quiet(), torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise UsageError(
            f"transformers has no sequence classifier for {config.model_type}",
            hint="choose another --model",
        ) from error
    setattr(model, model.base_model_prefix, body)
    weight = torch.from_numpy(head[None]).to(body.dtype)
    model.score = torch.nn.Linear(len(head), 1, bias=False, dtype=body.dtype)
    with torch.no_grad():
        model.score.weight.copy_(weight)
    notes += _write_template(tokenizer, encoder)
    # How far a text may go is the reader's to say: the run's own window.
    tokenizer.model_max_length = encoder.max_length
    with quiet():
        model.to("cpu").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return notes


def _write_template(tokenizer: Any, encoder: TextEncoder) -> tuple[str, ...]:
    """Gives the tokenizer a template that writes texts as the run reads them."""
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    starts = list(encoder.prefix) == [tokenizer.bos_token_id]
    for candidate in (template, "{{- bos_token -}}" + template if starts else template):
        tokenizer.chat_template = candidate
        if _templated(tokenizer) == [row.tolist() for row in _simple(encoder)]:
            return ()
    return ("the chat template writes texts otherwise than the run reads them",)


def _simple(encoder: TextEncoder) -> list[Ids]:
    return encoder.encode(PROBES.prompts[1:2], PROBES.responses[1:2])


def _templated(tokenizer: Any) -> list[list[int]]:
    chat = [*PROBES.prompts[1], {"role": "assistant", "content": PROBES.responses[1]}]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False)
    except TemplateError:
        return []
    return [tokenizer(text, add_special_tokens=False)["input_ids"]]


def _checked(folder: Path, expected: FloatArray, encoder: TextEncoder, dtype: str) -> float:
    """Loads a folder as anybody would, and compares its rewards of a padded batch."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        pad = AutoTokenizer.from_pretrained(folder).pad_token_id
    tokens, mask = pad_batch(encoder.encode(PROBES.prompts, PROBES.responses))
    tokens = tokens.masked_fill(mask == 0, pad)
    with torch.inference_mode():
        found = model(input_ids=tokens, attention_mask=mask).logits[:, 0].double().numpy()
    difference = float(np.abs(found - expected).max())
    allowed = TOLERANCES[dtype]
    if model.config.hidden_size > COARSE_DIM:
        allowed = max(allowed, COARSE_TOLERANCE)
    if not difference <= allowed * max(1.0, float(np.abs(expected).max())):
        raise FailedError(
            f"the exported model does not score as the run does: a reward differs by"
            f" {difference:.3g}",
            hint="--device cpu --dtype float32",
        )
    return difference


def _describe(folder: Path, made: Exported, fitted: FittedRun) -> None:
    """A model card, and a file by which plt knows its own export again."""
    identity = fitted.run.identity
    scores = fitted.run.path / SCORES_FILE
    meta = read_meta(scores)[0] if scores.exists() else None
    facts = {
        "run": fitted.run.run_id,
        "method": made.method,
        "reward of": "everybody" if made.user is None else made.user,
        "base model": made.base,
        "tuned": str(identity.config["set"].get("tune", "not at all")),
        "dataset": meta.dataset if meta and meta.dataset else "unknown",
        "licence of the dataset": meta.license if meta and meta.license else "unknown",
        "largest difference from the run": f"{made.difference:.2g}",
    }
    lines = ["---", "library_name: transformers", "pipeline_tag: text-classification",
             "tags: [reward-model, preference-learning]", "---", "# Reward model", ""]  # fmt: skip
    lines += ["Written by `plt export`. One label: the reward, in log-odds.", ""]
    lines += [f"- {key}: {_inline(value)}" for key, value in facts.items()]
    lines += [f"- note: {note}" for note in made.notes]
    lines += ["", "The licences of the base model and of the dataset apply.", ""]
    write_text(folder / CARD, "\n".join(lines))
    write_text(folder / MARK, json.dumps({"run": fitted.run.run_id, "method": made.method}) + "\n")


def _inline(value: str) -> str:
    """Any text as Markdown's inline code, so that no name or title is taken for markup."""
    return "`" + json.dumps(value)[1:-1].replace("`", "'") + "`"
