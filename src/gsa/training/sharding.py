"""A backbone split over the ranks of a launch, by FSDP2, where no device holds all of it.

Only frozen weights are split: those of a layer are gathered for its forward and for its backward pass, and
freed behind each. A link is added afterwards and is whole on every rank, so its gradients are summed, its
optimizer runs and its checkpoints are stored as without FSDP2.
"""

from typing import Any

import torch

from gsa.errors import InputError
from gsa.model.backbone import attention_name, default_device
from gsa.recipes.schema import Backbone, Recipe
from gsa.training.distributed import Ranks


def is_sharded(recipe: Recipe, ranks: Ranks) -> bool:
    """Return whether a run splits its backbone: one process has nothing to split.

    Raises InputError for a backbone in 4 bits, whose scales would not be split.
    """
    if recipe.training.fsdp and recipe.backbone.quantize:
        raise InputError("training.fsdp: expected a backbone without backbone.quantize, found 'nf4'")
    return bool(recipe.training.fsdp) and ranks.size > 1


def shard(model: Any, backbone: Backbone, ranks: Ranks) -> Any:
    """Return a model from host memory with its weights split over the ranks' devices, layer by layer."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = default_device()
    if device != "cpu":
        torch.cuda.set_device(device)  # FSDP2 takes the current one
    mesh = init_device_mesh(torch.device(device).type, (ranks.size,))
    model.set_attn_implementation(attention_name(backbone, device))
    layers = [module for module in model.modules() if type(module).__name__ in set(model._no_split_modules)]
    for module in (*layers, model):
        fully_shard(module, mesh=mesh)
    return model
