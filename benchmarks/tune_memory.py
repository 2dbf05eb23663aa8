"""The memory that tuning takes, beside what `gsa tune --plan` says: each case a process of its own.

    python benchmarks/tune_memory.py [CASE ...] [--steps 8]

A case is MODEL/PRECISION/ROWS: a random Llama of 26M parameters, SmolLM2-135M or the shipped model with
its links; rows of short texts, or of one long conversation each. Prints one line of JSON a case: planned and
measured peak of resident memory in MB, and their ratio.
"""

import argparse
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = {"random-26m": "", "smollm2-135m": "smollm2-135m", "gsa-135m": "gsa-135m"}
ROWS = {"short": 1, "long": 120, "recompute": 120}
"""Turns of a conversation."""
PRECISIONS = ("float32", "bfloat16")
CASES = [f"{model}/{precision}/{rows}" for model in MODELS for precision in PRECISIONS for rows in ROWS]
WORDS = ("the", "room", "was", "clean", "but", "breakfast", "cold", "view", "lovely", "price", "high", "slow")


def build_model(folder: Path) -> None:
    """Store a random Llama of 26M parameters with a byte tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from gpu_check import byte_tokenizer

    config = LlamaConfig(
        vocab_size=32000, hidden_size=256, intermediate_size=704, num_hidden_layers=12,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=8192,
        bos_token_id=None, eos_token_id=256,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def invent_data(folder: Path, turns: int, words: int) -> None:
    """Write 256 labelled texts, or conversations of `turns` turns with as many labels."""
    rng, lines = random.Random(0), ["dialogue_id,text,label"]
    for dialogue in range(256 if turns == 1 else 12):
        for _ in range(turns):
            text = " ".join(rng.choices(WORDS, k=rng.randint(words // 2, words)))
            lines.append(f"{dialogue},{text},{rng.choice(['good', 'bad'])}")
    folder.mkdir()
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(case: str, steps: int) -> dict[str, Any]:
    """Tune some steps in this process; return the planned and the measured peak of resident memory."""
    import torch

    from gsa.recipes.schema import Recipe
    from gsa.training.plan import make_plan
    from gsa.training.run import tune

    torch.set_num_threads(1)
    model, precision, rows = case.split("/")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if not MODELS[model]:
            builder = multiprocessing.get_context("spawn").Process(
                target=build_model, args=(scratch / "model",)
            )
            builder.start()
            builder.join()
        invent_data(scratch / "data", ROWS[rows], 6 if not MODELS[model] else 20)
        recipe = Recipe.model_validate(
            {
                "name": "memory",
                "backbone": {"name": MODELS[model] or str(scratch / "model"), "precision": precision},
                "layout": {"name": "inline", "context": "history"},
                "training": {"examples_per_step": 16, "recompute": rows == "recompute"},
                "levels": [
                    {
                        "name": "A", "learning_rate": 1e-4, "loss": "labels", "stop_step": steps,
                        "datasets": [
                            {
                                "name": "own", "path": str(scratch / "data"), "labels": ["good", "bad"],
                                "task": "opinion", "instruction": "Is it good?", "context": ROWS[rows] > 1,
                            }
                        ],
                    }
                ],
            }
        )  # fmt: skip
        tune(recipe, scratch / "run")
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
        measured = int(peak.split()[1]) * 1024
        planned = make_plan(recipe).memory
    ratio = planned / measured
    return {
        "case": case, "planned_mb": round(planned / 1e6), "measured_mb": round(measured / 1e6),
        "ratio": round(ratio, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for case in options.cases:
        if options.here:
            print(json.dumps(measure(case, options.steps)), flush=True)
            continue
        command = [sys.executable, __file__, case, "--steps", str(options.steps), "--here"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
