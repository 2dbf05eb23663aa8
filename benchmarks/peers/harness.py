"""lm-evaluation-harness: the log-likelihood of every label, its own sorting, batching and caching.

python benchmarks/peers/harness.py DATA --batch 8
"""

from typing import Any

from common import CALIBRATION, THREADS, Clock, options, read, report, spread


def requests(examples: list[dict[str, Any]]) -> list[tuple[tuple[str, str], list[int], list[int]]]:
    """Return one request a label, as the harness hands them to a model after tokenising."""
    return [
        ((e["prompt_text"], str(i)), e["prompt"], answer)
        for e in examples
        for i, answer in enumerate(e["candidates"])
    ]


def likelihoods(model: Any, examples: list[dict[str, Any]]) -> list[list[float]]:
    """Return the log-likelihood of each label of each example."""
    found = iter(model._loglikelihood_tokens(requests(examples), disable_tqdm=True))
    return [[next(found)[0] for _ in e["candidates"]] for e in examples]


def main() -> None:
    """Measure, or calibrate one batch size."""
    asked = options(__doc__)
    meta, examples = read(asked.data)
    import torch
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(THREADS)
    model = HFLM(
        pretrained=meta["backbone"], backend="causal", dtype="float32", device="cpu", batch_size=asked.batch
    )
    if asked.calibrate:
        sample = spread(examples, CALIBRATION)
        likelihoods(model, sample[: asked.batch])
        with Clock() as clock:
            likelihoods(model, sample)
        report("lm-eval", (), len(sample), clock, settings={"batch": asked.batch})
        return
    checked = examples[: max(asked.check, 1)]
    gold = [row[e["gold"]] for e, row in zip(checked, likelihoods(model, checked), strict=True)]
    loss = -sum(gold) / sum(len(e["answer"]) for e in checked)
    with Clock() as clock:
        found = likelihoods(model, examples)
    report(
        "lm-eval",
        ("torch", "transformers", "lm_eval"),
        len(examples),
        clock,
        loss=loss,
        predictions=[row.index(max(row)) for row in found],
        settings={"batch": asked.batch, "logits_cache": model.logits_cache},
    )


if __name__ == "__main__":
    main()
