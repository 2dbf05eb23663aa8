"""The active link, as PEFT has it on a model: added, stored, applied. PEFT is imported only for this."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gsa.atomic_io import atomic_path
from gsa.chain.chain import Link
from gsa.chain.link import CONFIG, LOG, WEIGHTS, LinkWeights
from gsa.checksums import checksums
from gsa.errors import InputError, suggest
from gsa.model.hf_logging import no_fetched_kernels, quiet_libraries
from gsa.recipes.schema import Lora


def check_targets(model: Any, lora: Lora) -> None:
    """Raise InputError for a target that names no linear layer of the model.

    The output head is none of them where its weights are those of the embeddings as well.
    """
    modules = dict(model.named_modules())
    head = model.get_output_embeddings() if model.config.tie_word_embeddings else None
    linear = {name: m for name, m in modules.items() if isinstance(m, nn.Linear) and m is not head}
    known = sorted({name.rpartition(".")[2] for name in linear})
    for target in lora.targets:
        layers = {name: m for name, m in modules.items() if name == target or name.endswith(f".{target}")}
        unfit = next((layer for name, layer in layers.items() if name not in linear), None)
        if layers and unfit is None:
            continue
        problem = f"this model has no layer '{target}'"
        if unfit is not None:
            problem = f"'{target}' is a layer of type {type(unfit).__name__}"
            problem += ", whose weights are the embeddings'" if unfit is head else ""
        expected = (
            f"linear layers, out of {', '.join(known)}"
            if known
            else ("a model with linear layers (torch.nn.Linear), which this one lacks")
        )
        raise InputError(f"lora.targets: {problem}{suggest(target, known)}: expected {expected}")


def fresh_link(model: Any, lora: Lora, seed: int) -> Any:
    """Return the model with a new link on its frozen weights: A is random Gaussian, B zero (no change yet).

    Raises InputError as `check_targets` does.
    """
    with no_fetched_kernels():
        from peft import LoraConfig, get_peft_model  # slow to import, and only tuning needs it

    check_targets(model, lora)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        init_lora_weights="gaussian",
        task_type="CAUSAL_LM",
    )
    with quiet_libraries(), no_fetched_kernels():
        return get_peft_model(model, config)


def adapter_tensors(model: Any) -> dict[str, Tensor]:
    """Return the active link's A and B by PEFT's names, not copied."""
    from peft.utils import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(model, save_embedding_layers=False))


def save_link(model: Any, folder: Path, name: str, base_name: str, log: str) -> Link:
    """Store the active link and the log of its steps as an adapter folder; return its entry in the chain."""
    config = model.peft_config["default"]
    with atomic_path(folder) as draft:
        draft.mkdir()
        # PEFT would note the local path that the base was read from.
        config.base_model_name_or_path, config.inference_mode = base_name, True
        config.target_modules = sorted(config.target_modules)  # the order of a set differs between processes
        config.save_pretrained(draft)
        (draft / WEIGHTS).write_bytes(save(to_cpu(adapter_tensors(model)), metadata={"format": "pt"}))
        (draft / LOG).write_text(log, encoding="utf-8")
    return Link(name, folder.name, checksums(folder, (WEIGHTS, CONFIG, LOG)))


def apply_active(model: Any) -> Any:
    """Return the model without PEFT's layers, the active link applied to it as stored links are."""
    link = LinkWeights.from_tensors(adapter_tensors(model), model.active_peft_config.to_dict())
    applied = model.unload()
    link.apply_to(applied)
    return applied.requires_grad_(False).eval()


def to_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as safetensors stores them: on the CPU, contiguous, without gradients."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
