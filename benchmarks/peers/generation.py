"""Batched `generate()`: one prompt an utterance, greedy, left-padded, with its key-value cache.

    python benchmarks/peers/generation.py DATA --batch 8

`predictions` are the labels that were generated, null where greedy decoding leaves the label list.
"""

from typing import Any

import torch

from common import (
    CALIBRATION,
    Clock,
    by_length,
    chunks,
    gold_loss,
    load_model,
    options,
    padded,
    read,
    report,
    spread,
)


def generate(model: Any, batch: list[dict[str, Any]], longest: int) -> list[int | None]:
    """Return the label that is generated for each prompt."""
    inputs = padded([e["prompt"] for e in batch])
    width = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        out = model.generate(
            **inputs, max_new_tokens=longest, do_sample=False, use_cache=True, pad_token_id=0
        )
    return [answered(ids, e["candidates"]) for ids, e in zip(out[:, width:].tolist(), batch, strict=True)]


def answered(ids: list[int], candidates: list[list[int]]) -> int | None:
    """Return the candidate that the generated ids begin with."""
    return next((i for i, answer in enumerate(candidates) if ids[: len(answer)] == answer), None)


def main() -> None:
    """Measure, or calibrate one batch size."""
    asked = options(__doc__)
    meta, examples = read(asked.data)
    model = load_model(meta).eval()
    longest = meta["longest_answer"]
    if asked.calibrate:
        sample = chunks(by_length(spread(examples, CALIBRATION)), asked.batch)
        generate(model, sample[0], longest)
        with Clock() as clock:
            for batch in sample:
                generate(model, batch, longest)
        report("generate", (), sum(map(len, sample)), clock, settings={"batch": asked.batch})
        return
    loss = gold_loss(model, examples[: asked.check]) if asked.check else None
    batches = chunks(by_length(examples), asked.batch)
    generate(model, batches[0], longest)
    found: dict[str, int | None] = {}
    with Clock() as clock:
        for batch in batches:
            for example, answer in zip(batch, generate(model, batch, longest), strict=True):
                found[example["id"]] = answer
    report(
        "generate",
        ("torch", "transformers"),
        len(examples),
        clock,
        loss=loss,
        decoding="greedy",
        predictions=[found[e["id"]] for e in examples],
        settings={"batch": asked.batch, "max_new_tokens": longest, "padding": "left", "use_cache": True},
    )


if __name__ == "__main__":
    main()
