"""llama.cpp through llama-cpp-python: each label's log-probability, the common prefix kept.

    python benchmarks/peers/llamacpp.py DATA

Reads the backbone's weights from a float32 GGUF, named in meta.json; keys and values are float32 too.
"""

from typing import Any

import llama_cpp
import numpy as np

from common import THREADS, Clock, options, read, report


class Model:
    """A llama.cpp model that keeps what it has read."""

    def __init__(self, gguf: str, context: int) -> None:
        """Load the weights."""
        self.llama = llama_cpp.Llama(
            gguf,
            n_ctx=context,
            n_batch=context,
            n_threads=THREADS,
            n_threads_batch=THREADS,
            type_k=llama_cpp.GGML_TYPE_F32,
            type_v=llama_cpp.GGML_TYPE_F32,
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
    asked = options(__doc__)
    meta, examples = read(asked.data)
    longest = max(len(e["prompt"]) + meta["longest_answer"] for e in examples)
    model = Model(meta["gguf"], -(-longest // 256) * 256)
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
        settings={"weights": "float32", "cache": "float32, longest common prefix"},
    )


if __name__ == "__main__":
    main()
