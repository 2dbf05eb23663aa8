"""Where the next link would go: a model with its links merged and rows in, the gradient of a fresh link out.

A fresh link has B = 0, so the gradient of A is zero and that of B is G A^T times a constant, with G the
gradient of the merged weight. A is Gaussian, so over its draws the mean of <G1 A^T, G2 A^T> is in proportion
to <G1, G2>: with the same A's, cosines of such gradients estimate those of the merged weights' gradients. A
link of several times the recipe's rank is several links at once, since with B = 0 none of them is felt.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gsa.chain.chain import fresh_link
from gsa.model.losses import Loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Lora
from gsa.trie.packing import PackedRow


def probe(model: Any, lora: Lora, draws: int, seed: int) -> Any:
    """Put `draws` fresh links of the recipe's shape on merged, frozen weights, side by side in one."""
    wide = lora.model_copy(update={"rank": lora.rank * draws, "dropout": 0.0})
    return fresh_link(model, wide, seed).eval()


def gradient(probed: Any, rows: Sequence[PackedRow], loss: Loss, draws: int) -> Tensor:
    """Return the mean gradient of the B's over the rows' examples, a row's loss as tuning takes it.

    Shape (draws, numbers of one link's B's), float32, on the CPU.
    """
    examples = sum(len(row.prompts) for row in rows)
    probed.zero_grad(set_to_none=True)
    for row in rows:
        (loss(probed, PackedBatch.from_row(row, probed)) * (len(row.prompts) / examples)).backward()
    weights = [weight for name, weight in probed.named_parameters() if ".lora_B." in name]
    found = [_by_draw(weight.grad, draws) for weight in weights]
    probed.zero_grad(set_to_none=True)
    return torch.cat(found, dim=1)


def _by_draw(grad: Tensor, draws: int) -> Tensor:
    """Cut the columns of a B's gradient, (out, draws * rank), into draws: (draws, out * rank)."""
    out = grad.shape[0]
    return grad.detach().float().cpu().reshape(out, draws, -1).transpose(0, 1).reshape(draws, -1)
