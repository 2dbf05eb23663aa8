"""llama.cpp through llama-cpp-python: each label's log-probability, the common prefix kept.

    python benchmarks/peers/llamacpp.py DATA --precision q8_0

Reads the backbone's weights from the GGUF in this precision beside the one that meta.json names. Keys and
values are float32 with float32 weights, else float16, llama.cpp's default.
"""

from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from common import THREADS, Clock, options, read, report


class Model:
    """A llama.cpp model that keeps what it has read."""

    def __init__(self, gguf: str, context: int, cache: int) -> None:
        """Load the weights; `cache` is GGML's type of keys and values."""
        self.llama = llama_cpp.Llama(
            gguf,
            n_ctx=context,
            n_batch=context,
            n_threads=THREADS,
            n_threads_batch=THREADS,
            type_k=cache,
            type_v=cache,
            verbose=False,
        )
        self.held: list[int] = []

    def after(self, ids: list[int]) -> np.ndarray:
        """Return the log-probabilities of the token after `ids`; reads only what the cache does not hold."""
        n = 0
        while n < min(len(ids) - 1, len(self.held)) and ids[n] == self.held[n]:
            n += 1
        self.llama.n_tokens = n
        self.llama.eval(ids[n:])
        self.held = ids
        logits = llama_cpp.llama_get_logits_ith(self.llama._ctx.ctx, -1)
        row = np.ctypeslib.as_array(logits, shape=(self.llama.n_vocab(),)).astype(np.float64)
        row -= row.max()
        return row - np.log(np.exp(row).sum())

    def likelihoods(self, prompt: list[int], candidates: list[list[int]]) -> list[float]:
        """Return each label's log-likelihood; labels that begin alike share what they share."""
        known: dict[tuple[int, ...], np.ndarray] = {}
        found = []
        for answer in candidates:
            total = 0.0
            for i, token in enumerate(answer):
                head = tuple(answer[:i])
                if head not in known:
                    known[head] = self.after(prompt + answer[:i])
                total += float(known[head][token])
            found.append(total)
        return found


def score(model: Model, examples: list[dict[str, Any]]) -> list[list[float]]:
    """Return the log-likelihood of each label of each example."""
    return [model.likelihoods(e["prompt"], e["candidates"]) for e in examples]


def main() -> None:
    """Measure."""
    asked = options(__doc__, "bfloat16", "q8_0")
    meta, examples = read(asked.data)
    longest = max(len(e["prompt"]) + meta["longest_answer"] for e in examples)
    weights = Path(meta["gguf"]).with_name(f"smollm2-135m-{asked.precision}.gguf")
    cache = "float32" if asked.precision == "float32" else "float16"
    kind = llama_cpp.GGML_TYPE_F32 if cache == "float32" else llama_cpp.GGML_TYPE_F16
    model = Model(str(weights), -(-longest // 256) * 256, kind)
    checked = examples[: max(asked.check, 1)]
    gold = [row[e["gold"]] for e, row in zip(checked, score(model, checked), strict=True)]
    model.held = []
    with Clock() as clock:
        found = score(model, examples)
    report(
        "llama.cpp",
        ("llama_cpp_python",),
        len(examples),
        clock,
        loss=-sum(gold) / sum(len(e["answer"]) for e in checked),
        predictions=[row.index(max(row)) for row in found],
        settings={"weights": asked.precision, "cache": f"{cache}, longest common prefix"},
    )


if __name__ == "__main__":
    main()
