"""The precision of frozen weights: a recipe's or an option's word in, the precision to load in out.

float32 is the reference. bfloat16 halves the memory of the weights and is about 1.4 times as fast where
the processor multiplies it natively; links, norms, attention and logits stay float32 beside it.
"""

from typing import Literal

import torch

from gsa.errors import InputError, suggest

PRECISIONS = ("auto", "float32", "bfloat16")


def supports_bfloat16(device: str = "cpu") -> bool:
    """Return whether products of bfloat16 are computed natively: AVX512-BF16 or AMX on CPU, any on a GPU."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def resolve_precision(precision: str, device: str = "cpu") -> Literal["float32", "bfloat16"]:
    """Return the precision of frozen weights; "auto" is bfloat16 where the device computes it natively.

    The result names a torch dtype. Raises InputError for an unknown precision and for one that the device
    does not compute natively.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision '{precision}': expected one of {', '.join(PRECISIONS)}"
            f"{suggest(precision, PRECISIONS)}"
        )
    if precision == "float32":
        return "float32"
    if supports_bfloat16(device):
        return "bfloat16"
    if precision == "bfloat16":
        raise InputError(
            f"precision 'bfloat16': {device} has no bfloat16 products (on CPU those of AVX512-BF16 or AMX): "
            "expected 'float32' or 'auto'"
        )
    return "float32"
