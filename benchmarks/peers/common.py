"""What every peer shares: the exported examples, the clock, the memory, the one JSON line.

In: a folder written by `export.py`. Out: one JSON line on standard output. Imports nothing of gsa, so that a
peer runs in an environment of its own; torch only where a function needs it.
"""

import argparse
import contextlib
import json
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

THREADS = 2
CALIBRATION = 16
"""Examples on which batch sizes are tried."""


def options(doc: str | None, *precisions: str) -> argparse.Namespace:
    """Read the command line that all peers have in common; `precisions` are those beside float32."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("data", type=Path, help="folder written by export.py")
    parser.add_argument("--batch", type=int, default=0, help="sequences a batch")
    parser.add_argument(
        "--calibrate", action="store_true", help="only time a few examples at this batch size"
    )
    parser.add_argument("--check", type=int, default=16, help="examples whose loss is compared; 0 is none")
    parser.add_argument(
        "--precision",
        default="float32",
        choices=("float32", *precisions),
        help="what the frozen weights are in",
    )
    parser.add_argument("--packed", action="store_true", help="pack sequences into rows of 1,024 tokens")
    parser.add_argument("--ceiling", type=int, default=1024, help="tokens a packed row")
    return parser.parse_args()


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what `export.py` wrote: meta.json and the examples in order."""
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads((folder / "meta.json").read_text(encoding="utf-8")), [
        json.loads(line) for line in lines
    ]


def spread(examples: list[Any], n: int) -> list[Any]:
    """Return `n` examples at even distances, so that short and long ones are among them."""
    return [examples[i * len(examples) // n] for i in range(n)] if len(examples) > n else examples


def chunks(examples: list[Any], size: int) -> list[list[Any]]:
    """Cut a list into batches."""
    return [examples[i : i + size] for i in range(0, len(examples), size)]


def by_length(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the examples from long to short, so that a batch pads little and the largest comes first."""
    return sorted(examples, key=lambda e: -len(e["prompt"]))


def reset_peak() -> None:
    """Start measuring peak memory anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the largest resident memory since `reset_peak`, else since the process began, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Times a block and notes its peak memory."""

    def __enter__(self) -> "Clock":
        reset_peak()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began
        self.peak_rss_mb = peak_mb()


def report(peer: str, packages: tuple[str, ...], targets: int, clock: Clock, **more: Any) -> None:
    """Print the one line."""
    row = {
        "peer": peer,
        "versions": {name: version(name) for name in packages},
        "targets": targets,
        "seconds": round(clock.seconds, 3),
        "peak_rss_mb": round(clock.peak_rss_mb),
        **more,
    }
    print(json.dumps(row), flush=True)


def load_model(meta: dict[str, Any], precision: str = "float32") -> Any:
    """Load the backbone as gsa has it: plain SDPA attention, 2 threads."""
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(THREADS)
    return AutoModelForCausalLM.from_pretrained(
        meta["backbone"], dtype=getattr(torch, precision), attn_implementation="sdpa"
    )


def gold_loss(model: Any, examples: list[dict[str, Any]]) -> float:
    """Return the mean cross-entropy of the gold answers' tokens, read from left-padded batches of 4."""
    import torch

    total, count = 0.0, 0
    for batch in chunks(examples, 4):
        inputs = padded([e["prompt"] + e["answer"] for e in batch])
        with torch.inference_mode():
            scores = model(**inputs).logits.log_softmax(-1)
        for row, example in enumerate(batch):
            n = len(example["answer"])
            total -= float(scores[row, -n - 1 : -1].gather(1, torch.tensor(example["answer"])[:, None]).sum())
            count += n
    return total / count


def padded(sequences: list[list[int]], pad: int = 0) -> dict[str, Any]:
    """Return left-padded input ids, attention mask and positions, each of shape (sequences, longest)."""
    import torch

    longest = max(map(len, sequences))
    ids = torch.tensor([[pad] * (longest - len(s)) + s for s in sequences])
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
