"""Tuning steps on MELD dialogues: shared prefixes against one sequence per prompt, same loss, same LoRA.

    GSA_DATA=... python benchmarks/trie_vs_flat.py [--dialogues 24] [--rounds 3] [--layout paper]

Prints one JSON line a round and the medians: targets per second of both, their ratio, and the relative
differences of loss and gradient.
"""

import argparse
import json
import statistics
import time
from typing import Any

import torch

from gsa.chain.base import load_base
from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.selection import group_by_dialogue
from gsa.data.task import EMOTION
from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.datasets import load_split
from gsa.recipes.schema import Backbone, DatasetConfig, Lora
from gsa.trie import attention
from gsa.trie.packing import group, pack


def shared(model: Any, prompts: list[Prompt], budget: int) -> float:
    """Add up the gradients of all rows; returns the loss, summed over targets."""
    total = 0.0
    for row in pack(group(prompts), score=False, fill_tokens=budget):
        batch = PackedBatch.from_row(row, model)
        loss = answer_loss(model, batch) * len(batch.tokens)
        loss.backward()
        total += loss.item()
    return total


def flat(model: Any, prompts: list[Prompt]) -> float:
    """Do the same with each prompt in a sequence of its own, no padding."""
    total = 0.0
    for prompt in prompts:
        answer = prompt.answers[prompt.gold or 0]
        ids = torch.tensor([prompt.ids + answer[:-1]])
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer)).logits[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum")
        loss.backward()
        total += loss.item()
    return total


def gradient(model: Any) -> torch.Tensor:
    """Take the link's gradient as one vector and clear it."""
    parts = [p.grad.flatten().clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layout", default="paper")
    parser.add_argument("--row-tokens", type=int, default=1024)
    options = parser.parse_args()
    loaded = load_base(Backbone())
    model = fresh_link(loaded.model, Lora(), 0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.01)
    context = "dialogue" if options.layout == "paper" else "history"
    encoder = Encoder(loaded.tokenizer, Layout(name=options.layout, context=context), EMOTION)
    parts = group_by_dialogue(load_split(DatasetConfig(name="meld"), "train"))[: options.dialogues]
    prompts = encoder.encode([example for part in parts for example in part])
    rows: list[dict[str, float]] = []
    for _ in range(options.rounds):
        model.base_model.model.set_attn_implementation(attention.NAME)
        began = time.perf_counter()
        loss_a = shared(model, prompts, options.row_tokens)
        middle = time.perf_counter()
        grad_a = gradient(model)
        model.base_model.model.set_attn_implementation("sdpa")
        again = time.perf_counter()
        loss_b = flat(model, prompts)
        end = time.perf_counter()
        grad_b = gradient(model)
        n = len(prompts)
        rows.append(
            {
                "targets": n,
                "shared_targets_per_s": n / (middle - began),
                "flat_targets_per_s": n / (end - again),
                "ratio": (end - again) / (middle - began),
                "loss_shared": loss_a / n,
                "loss_flat": loss_b / n,
                "loss_difference": abs(loss_a - loss_b) / loss_b,
                "gradient_difference": float((grad_a - grad_b).norm() / grad_b.norm()),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"median": {key: statistics.median(row[key] for row in rows) for key in rows[0]}}))


if __name__ == "__main__":
    main()
