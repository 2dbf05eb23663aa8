"""Gradients of a fresh link on a model with its links merged.

A fresh link has B = 0, so the gradient of A is zero and that of B is G A^T times a constant, with G the
gradient of the merged weight. A is Gaussian, so over its draws the mean of <G1 A^T, G2 A^T> is in proportion
to <G1, G2>: with the same A's, cosines of such gradients estimate those of the merged weights' gradients. A
link of several times the recipe's rank is several links at once, since with B = 0 none changes the output.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsa.chain.lora import fresh_link
from gsa.model.losses import Loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Lora
from gsa.trie.packing import PackedRow


def with_fresh_links(model: Any, lora: Lora, draws: int, seed: int) -> Any:
    """Return the model with `draws` fresh links of the recipe's shape, concatenated in one wide link."""
    wide = lora.model_copy(update={"rank": lora.rank * draws, "dropout": 0.0})
    return fresh_link(model, wide, seed).eval()


def mean_gradient(model: Any, rows: Sequence[PackedRow], loss: Loss, draws: int) -> Tensor:
    """Return the mean gradient of the B's over the rows' examples, with the loss that tuning takes.

    Shape (draws, elements of one link's B's), float32, on the CPU.
    """
    examples = sum(len(row.prompts) for row in rows)
    model.zero_grad(set_to_none=True)
    for row in rows:
        (loss(model, PackedBatch.from_row(row, model)) * (len(row.prompts) / examples)).backward()
    weights = [weight for name, weight in model.named_parameters() if ".lora_B." in name]
    gradients = [_by_draw(weight.grad, draws) for weight in weights]
    model.zero_grad(set_to_none=True)
    return torch.cat(gradients, dim=1)


def _by_draw(grad: Tensor, draws: int) -> Tensor:
    """Return a B's gradient (out, draws * rank) as one row per draw, (draws, out * rank)."""
    out = grad.shape[0]
    return grad.detach().float().cpu().reshape(out, draws, -1).transpose(0, 1).reshape(draws, -1)
