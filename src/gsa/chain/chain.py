"""The chain: a base model's identity plus its links in order (paper, equations 2 to 6).

In: a run folder with `chain.json` and one PEFT adapter folder a link. Out: the base with the first k
links merged in, W_k = W_pretrained + sum of B_i A_i, scaled; or a model with one fresh link on top.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import save

from gsa.atomic_io import atomic_path, sha256
from gsa.chain.base import load_base
from gsa.chain.link import CONFIG, WEIGHTS, LinkWeights
from gsa.chain.manifest import LOG, Link, Manifest
from gsa.errors import InputError, suggest
from gsa.model.backbone import LoadedModel
from gsa.model.hf_logging import quiet_libraries
from gsa.recipes.schema import Backbone, Lora


@dataclass(frozen=True)
class Chain(Manifest):
    """Base and links of a run, with what needs a model."""

    def load(self, backbone: Backbone, level: int | None = None, device: str = "") -> LoadedModel:
        """Load the base and merge the first `level` links into it; None merges all, 0 none.

        Raises InputError where the base is another one, the chain is shorter, or a link is damaged.
        """
        self.check_level(level)
        loaded = load_base(backbone, device)
        self.merge_into(loaded.model, loaded.identity, backbone.name, level)
        return loaded

    def extended(self, name: str, model: Any, base_name: str, log: str) -> "Chain":
        """Store a trained link with the log of its steps; return the chain with it at the end."""
        folder = f"{len(self.links) + 1}-{name}"
        path = self.root / "links" / folder
        config = model.peft_config["default"]
        with atomic_path(path) as draft:
            draft.mkdir()
            # PEFT would note the local path that the base was read from.
            config.base_model_name_or_path, config.inference_mode = base_name, True
            config.target_modules = sorted(config.target_modules)  # a set's order differs from day to day
            config.save_pretrained(draft)
            weights = {key: w.detach().cpu().contiguous() for key, w in link_weights(model).items()}
            (draft / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
            (draft / LOG).write_text(log, encoding="utf-8")
        link = Link(name, folder, *(sha256(path / file) for file in (WEIGHTS, CONFIG, LOG)))
        chain = replace(self, links=(*self.links, link))
        chain.write()
        return chain


def fresh_link(model: Any, lora: Lora, seed: int) -> Any:
    """Put a new link on merged, frozen weights: A is random Gaussian, B zero, so nothing changes yet."""
    from peft import LoraConfig, get_peft_model  # slow to import, and only tuning needs it

    names = [name for name, _ in model.named_modules()]
    for target in lora.targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            known = {name.rpartition(".")[2] for name in names if name.endswith("proj")}
            raise InputError(f"lora.targets: this model has no layer '{target}'{suggest(target, known)}")
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        init_lora_weights="gaussian",
        task_type="CAUSAL_LM",
    )
    with quiet_libraries():
        return get_peft_model(model, config)


def merge(model: Any) -> Any:
    """Fold the active link into the weights, as a stored one is: one layer at a time, added in float32."""
    link = LinkWeights.of(link_weights(model), model.active_peft_config.to_dict())
    merged = model.unload()
    link.merge_into(merged)
    return merged.requires_grad_(False).eval()


def link_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return the active link's tensors by name."""
    from peft.utils import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(model, save_embedding_layers=False))
