"""A backbone with one scalar on top, in the form that transformers' and TRL's trainers accept."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.pytorch_utils import Conv1D

from plt.errors import UsageError
from plt.train.method import Quantize
from plt.train.models.backbone import align, load_body, pool
from plt.train.models.source import ModelSource, lora_targets

HEAD = "score"
ALL_LINEAR = "all-linear"


class RewardModel(PreTrainedModel):  # type: ignore[misc]  # transformers has no type stubs
    """r(x, y) = <score, pooled state>, pooled as the frozen features of the same model are.

    So `--tune head`, `lora` and `full` fit one family: with a body that does not move, this is
    the linear head on features. A normalised state is scaled to the length sqrt(d) that states
    after a layer norm have, so that one learning rate suits every model. The head has no bias,
    which no margin shows, begins at zero, so that the first loss is ln 2 on any data, and is
    float32 whatever the body is.

    Args:
        body: A transformers model that returns `last_hidden_state`.
        source: Where it came from and how it pools.
    """

    supports_gradient_checkpointing = True
    base_model_prefix = "body"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, body: Any, source: ModelSource) -> None:
        config = copy.deepcopy(body.config)
        config.num_labels = 1
        super().__init__(config)
        self.score = nn.Linear(config.hidden_size, 1, bias=False, dtype=torch.float32)
        # Before the body is there: post_init gives random weights to what it finds.
        self.post_init()
        nn.init.zeros_(self.score.weight)
        self.body = body
        self.source = source
        self.scale = math.sqrt(config.hidden_size) if source.normalize else 1.0

    def get_input_embeddings(self) -> Any:
        """The token embeddings of the body."""
        return self.body.get_input_embeddings()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, use_cache: bool = False
    ) -> SequenceClassifierOutput:
        """Rewards of n texts.

        Args:
            input_ids: (n, L), padded on any side.
            attention_mask: (n, L), 1 on real tokens.
            use_cache: Part of TRL's call; nothing is generated, so nothing is kept.

        Returns:
            `logits` of shape (n, 1), float32.
        """
        vectors = self.vectors(input_ids, attention_mask)
        with torch.autocast(vectors.device.type, enabled=False):
            return SequenceClassifierOutput(logits=self.score(vectors))

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """What the head reads of n texts: scaled pooled states (n, d), float32."""
        tokens, mask = align(input_ids, attention_mask)
        states = self.body(input_ids=tokens, attention_mask=mask).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):
            pooled = pool(states.float(), mask, self.source.pooling, self.source.normalize)
            return pooled * self.scale


def build_reward_model(
    source: ModelSource, dtype: torch.dtype, quantize: Quantize | None = None
) -> RewardModel:
    """The model with a zero head, or with its own when it is a reward model already.

    Args:
        source: The model.
        dtype: Of its body.
        quantize: As `load_body`.

    Raises:
        ArtifactError: The weights cannot be loaded.
    """
    body = load_body(source, dtype, quantize)
    body.config.use_cache = False
    model = RewardModel(body, source)
    own = own_head(source)
    if own is not None:
        with torch.no_grad():
            model.score.weight.copy_(own)
    model.eval()
    return model


def unwrapped(net: Any) -> RewardModel:
    """The reward model, with any adapters in it."""
    model: RewardModel = net if isinstance(net, RewardModel) else net.get_base_model()
    return model


def own_head(source: ModelSource) -> Tensor | None:
    """The (1, d) head of a causal model that was trained as a reward model, else None."""
    for path in sorted(Path(source.path).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if source.causal and f"{HEAD}.weight" in file.keys():  # noqa: SIM118  # no container
                weight: Tensor = file.get_tensor(f"{HEAD}.weight")
                return weight.float() if weight.shape[0] == 1 else None
    return None


def add_lora(
    model: RewardModel, *, rank: int, alpha: int, targets: Sequence[str] | None = None
) -> Any:
    """Freezes the body and adds low-rank adapters; the head stays trainable and is saved.

    Args:
        model: Changed in place.
        rank: Of the adapters, which begin at no effect.
        alpha: Their scale is alpha / rank.
        targets: Names of linear layers; None takes the architecture's own,
            ``("all-linear",)`` every linear layer of the body.

    Returns:
        The peft model.

    Raises:
        ArtifactError: No layers are listed for the architecture.
        UsageError: A name is no linear layer of the model.
    """
    from peft import get_peft_model

    config = lora_config(model.body, model.source, rank=rank, alpha=alpha, targets=targets)
    config.modules_to_save = [HEAD]
    return get_peft_model(model, config)


def lora_config(
    body: Any,
    source: ModelSource,
    *,
    rank: int,
    alpha: int,
    targets: Sequence[str] | None = None,
) -> Any:
    """Low-rank adapters for a model, as peft is told; arguments and errors of `add_lora`."""
    from peft import LoraConfig

    wanted = tuple(targets) if targets else lora_targets(source)
    # TRL reads the weights of the head over the vocabulary past any adapter.
    head = body.get_output_embeddings()
    linear = sorted(
        {
            name.rpartition(".")[2]
            for name, module in body.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and module is not head
        }
    )
    if wanted == (ALL_LINEAR,):
        wanted = tuple(linear)
    unknown = sorted(set(wanted).difference(linear))
    if unknown:
        raise UsageError(
            f"model {source.name} has no linear layer named {', '.join(unknown)}",
            problems=[f"it has {', '.join(linear)}"],
            hint=f"--set lora_targets={','.join(linear)}",
        )
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=list(wanted),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in body.modules()),
    )
