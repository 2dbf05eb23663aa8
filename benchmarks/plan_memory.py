"""A plan's memory for a GPU against the peak of the same tuning here, in transformers' forward pass on CPU.

    python benchmarks/plan_memory.py [--size small] [--out results/bench/plan_memory.jsonl]

Each setting tunes two steps of a random Llama in a process of its own; the peak is the largest resident
memory beyond that after tuning a tiny one. What a plan adds for CUDA's own memory is left out.
"""

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from gpu_check import build_model, recipe_of
from gsa.model.precision import supports_bfloat16
from gsa.recipes.schema import Recipe
from gsa.training import gpus
from gsa.training.plan import make_plan
from gsa.training.run import tune

OUT = Path(__file__).parents[1] / "results" / "bench" / "plan_memory.jsonl"


def recipe(folder: Path, precision: str, recompute: bool) -> Recipe:
    """Return a recipe of two steps whose rows are read with a dense mask, as a GPU reads them."""
    made = recipe_of(folder, precision, "dense")
    training = made.training.model_copy(update={"recompute": recompute})
    level = made.levels[0].model_copy(update={"stop_step": 2})
    return made.model_copy(update={"training": training, "levels": (level,)})


def resident() -> int:
    """Return this process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(chosen: Recipe, tiny: Recipe) -> None:
    """Tune, and print the peak in bytes beyond what the libraries take once the tiny model was tuned."""
    with tempfile.TemporaryDirectory() as name:
        tune(tiny, Path(name) / "tiny")
        gc.collect()
        before = resident()
        tune(chosen, Path(name) / "run")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(peak - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="small")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, precision, recompute = options.child
        tiny = recipe(Path(folder).parent / "tiny", precision, True)
        measure(recipe(Path(folder), precision, recompute == "True"), tiny)
        return
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / options.size
        build_model(folder, options.size)
        build_model(Path(name) / "tiny", "tiny")
        for precision in ("float32", *(["bfloat16"] if supports_bfloat16() else [])):
            for recompute in (False, True):
                command = [sys.executable, __file__, "--child", str(folder), precision, str(recompute)]
                peak = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                plan = make_plan(recipe(folder, precision, recompute), "h200")
                planned = plan.memory - gpus.CONTEXT
                lines.append(
                    {
                        "size": options.size,
                        "precision": precision,
                        "recompute": recompute,
                        "planned_mib": round(planned / 2**20),
                        "measured_mib": round(peak / 2**20),
                        "ratio": round(planned / peak, 3),
                    }
                )
                print(json.dumps(lines[-1]), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    main()
