"""GPUs that a plan can be made for: what their manufacturer publishes, and what is assumed of them."""

from dataclasses import dataclass

from gsa.errors import InputError, suggest

EFFICIENCY = 0.4
"""Share of the published peak that a tuning step reaches: assumed, not measured."""
CONTEXT = 0.8e9
"""Bytes of memory that CUDA and its libraries take: assumed."""


@dataclass(frozen=True)
class Gpu:
    """Published numbers of a GPU; products are dense, without sparsity."""

    bfloat16: float
    """TFLOP/s of matrix products with float32 sums."""
    float32: float
    """TFLOP/s without TF32, which torch leaves off."""
    memory: float
    """GB, of 1e9 bytes."""


GPUS = {
    "l4": Gpu(121, 30, 24),
    "rtx3090": Gpu(71, 36, 24),
    "rtx4090": Gpu(165, 83, 24),
    "l40s": Gpu(362, 92, 48),
    "a100-40gb": Gpu(312, 19.5, 40),
    "a100": Gpu(312, 19.5, 80),
    "h100": Gpu(989, 67, 80),
    "h200": Gpu(989, 67, 141),
    "b200": Gpu(2250, 75, 180),
}


def find_gpu(name: str) -> Gpu:
    """Return a GPU by name; raises InputError for an unknown one."""
    if name not in GPUS:
        raise InputError(f"--for '{name}': expected one of {', '.join(GPUS)}{suggest(name, GPUS)}")
    return GPUS[name]
