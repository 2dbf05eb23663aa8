"""A plan's memory for a GPU against the peak of the same step here, in transformers' forward pass on CPU.

    python benchmarks/plan_memory.py [--size small] [--out results/bench/plan_memory.jsonl]

The step is the forward and backward pass of the longest row of a small recipe on a random Llama. Its peak is
counted by torch's MemTracker: all tensors that are alive at once, weights included. What a plan adds for the
optimizer (a few bytes a parameter of the link) and for CUDA's own memory is left out of it.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.distributed._tools.mem_tracker import MemTracker

from gpu_check import build_model, recipe_of
from gsa.chain.lora import fresh_link
from gsa.model import llama
from gsa.model.backbone import load_backbone
from gsa.model.losses import answer_loss
from gsa.model.precision import supports_bfloat16
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Recipe
from gsa.training import gpus
from gsa.training.plan import make_plan
from gsa.training.training_data import build_training_data

OUT = Path(__file__).parents[1] / "results" / "bench" / "plan_memory.jsonl"


def peak(recipe: Recipe) -> int:
    """Return the most bytes that tensors take during the step of the longest row."""
    loaded = load_backbone(recipe.backbone, "cpu")
    rows = build_training_data(recipe, recipe.levels[0], loaded.tokenizer).rows
    row = max(rows, key=lambda row: len(row.trie))
    linked = fresh_link(loaded.model, recipe.lora, 0).train()
    if recipe.training.recompute:
        llama.recompute(linked)
    else:
        llama.limit_activations(linked, len(row.trie), recipe.training.activation_tokens)
    tracker = MemTracker()
    tracker.track_external(linked)
    with tracker:
        answer_loss(linked, PackedBatch.from_row(row, linked)).backward()
    snapshot: dict[Any, dict[Any, int]] = tracker.get_tracker_snapshot("peak")
    return snapshot[torch.device("cpu")]["Total"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="small")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / options.size
        build_model(folder, options.size)
        for precision in ("float32", *(["bfloat16"] if supports_bfloat16() else [])):
            for recompute in (False, True):
                recipe = recipe_of(folder, precision, "dense")
                training = recipe.training.model_copy(update={"recompute": recompute})
                recipe = recipe.model_copy(update={"training": training})
                planned, measured = make_plan(recipe, "h200").memory - gpus.CONTEXT, peak(recipe)
                lines.append(
                    {
                        "size": options.size,
                        "precision": precision,
                        "recompute": recompute,
                        "planned_mib": round(planned / 2**20),
                        "measured_mib": round(measured / 2**20),
                        "ratio": round(planned / measured, 3),
                    }
                )
                print(json.dumps(lines[-1]), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
