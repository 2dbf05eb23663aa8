"""A stored link as plain tensors: a PEFT adapter folder in, its A's and B's and scaling out.

Applying it to a model needs no PEFT, whose import takes longer than the rest of a start.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from gsa.errors import InputError
from gsa.model.linked import add_link, is_quantized

WEIGHTS, CONFIG, LOG = "adapter_model.safetensors", "adapter_config.json", "log.jsonl"
"""Files of a link's folder: as PEFT names them, and the log lines of its steps."""
PREFIX = "base_model.model."
"""What PEFT puts before the name of every layer."""
NOT_PLAIN = ("use_dora", "use_rslora", "lora_bias", "rank_pattern", "alpha_pattern")
"""Keys of a configuration that make an adapter more than plain LoRA."""


@dataclass(frozen=True)
class LinkWeights:
    """One link in memory."""

    pairs: dict[str, tuple[Tensor, Tensor]]
    """By name of the linear layer: A of shape (rank, in) and B of shape (out, rank), float32."""
    scaling: float
    """The update is B A times this (paper, equation 1)."""
    transposed: bool
    """Whether the layers hold their weights as (in, out), as GPT-2's do."""
    config: dict[str, Any]
    """`adapter_config.json` as it is."""

    @classmethod
    def read(cls, folder: Path) -> "LinkWeights":
        """Return the link of an adapter folder; raises InputError unless it is a sound, plain LoRA."""
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            tensors = load_file(folder / WEIGHTS)
            link = cls.from_tensors(tensors, config)
            unsupported = [key for key in NOT_PLAIN if config.get(key)]
        except Exception as error:  # a broken file fails in as many ways as there are libraries below
            raise InputError(f"link '{folder}' cannot be read: {type(error).__name__} {error}") from None
        if unsupported:
            raise InputError(
                f"link '{folder}' has {unsupported[0]}: expected plain LoRA, as `gsa tune` makes it"
            )
        return link

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], config: dict[str, Any]) -> "LinkWeights":
        """Return the link of an adapter's tensors by PEFT's names and its configuration."""
        scaling = float(config["lora_alpha"]) / int(config["r"])
        return cls(_pairs(dict(tensors)), scaling, bool(config.get("fan_in_fan_out")), config)

    def apply_to(self, model: Any) -> None:
        """Apply the link to a model in place: merged into 32-bit weights, beside 16-bit and 4-bit ones.

        Merged weights are W + (B A) * scaling. Merging into 16 bits would round most of the update away.
        """
        with torch.no_grad():
            if next(model.parameters()).dtype.itemsize < 4 or is_quantized(model):
                add_link(model, self.pairs, self.scaling)
                return
            for name, (a, b) in self.pairs.items():
                weight = model.get_submodule(name).weight
                update = (b.to(weight.device) @ a.to(weight.device)) * self.scaling
                weight.copy_(weight + (update.T if self.transposed else update))


def _pairs(tensors: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return A and B by layer, taking them out of `tensors`; raises ValueError for any that is neither."""
    names = sorted({name.removeprefix(PREFIX).rpartition(".lora_")[0] for name in tensors})
    pairs = {
        name: (
            tensors.pop(f"{PREFIX}{name}.lora_A.weight").float(),
            tensors.pop(f"{PREFIX}{name}.lora_B.weight").float(),
        )
        for name in names
    }
    if tensors:
        raise ValueError(f"unknown tensor '{next(iter(tensors))}'")
    return pairs
