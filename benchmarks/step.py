"""Where a tuning step's time goes: products, attention, the rest; one row of MELD a layout and length.

    GSA_DATA=... python benchmarks/step.py [--rounds 5]

Appends JSON rows to results/bench/steps.jsonl: tokens per second, the arithmetic that the linear layers need
as a share of the machine's best float32 product (measured between the rounds), and attention's share.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from gsa.chain.base import load_base
from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder
from gsa.data.selection import group_by_dialogue
from gsa.data.task import EMOTION
from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.datasets import load_split
from gsa.recipes.loader import parse_layout
from gsa.recipes.schema import Backbone, DatasetConfig, Lora
from gsa.training.plan import matmul_gflops
from gsa.trie.packing import PackedRow, group, pack

OUT = Path(__file__).parents[1] / "results" / "bench" / "steps.jsonl"
CONTEXT = {"paper": "dialogue", "inline": "history"}
ATTENTION = ("_TrieAttention", "_TrieAttentionBackward")


def arithmetic(model: Any, tokens: int, kept: int) -> float:
    """Return the operations that a step's linear layers need: two products a frozen weight, three a link's.

    In the last layer, what follows attention is needed at the kept nodes only, as is the head.
    """
    base = model.get_base_model()
    last = base.model.layers[-1]
    late = {id(m) for m in (*last.mlp.modules(), *last.self_attn.o_proj.modules())} | {id(base.lm_head)}
    total = 0.0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            rows = kept if id(module) in late else tokens
            total += (6 if module.weight.requires_grad else 4) * module.weight.numel() * rows
    return total


def longest_row(tokenizer: Any, layout: str, budget: int) -> PackedRow:
    """Return the fullest of the rows that 40 training dialogues of MELD make."""
    encoder = Encoder(tokenizer, parse_layout(name=layout, context=CONTEXT[layout]), EMOTION)
    parts = group_by_dialogue(load_split(DatasetConfig(name="meld"), "train"))[:40]
    rows = pack(group(encoder.encode([e for part in parts for e in part])), score=False, fill_tokens=budget)
    return max(rows, key=lambda row: len(row.trie))


def measure(model: Any, row: PackedRow, rounds: int) -> dict[str, Any]:
    """Time the step and profile it once."""

    def step() -> None:
        answer_loss(model, PackedBatch.from_row(row, model)).backward()
        model.zero_grad()

    step()
    seconds, gflops = [], []
    for _ in range(rounds):
        gflops.append(matmul_gflops(model.config.hidden_size))
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    attention = sum(event.cpu_time_total for event in events if event.key in ATTENTION)
    median, peak = statistics.median(seconds), statistics.median(gflops)
    tokens, kept = len(row.trie), len(set(row.predicted[0].tolist()))
    return {
        "tokens": tokens,
        "mean_depth": round(float(row.trie.depth.mean()) + 1),
        "targets": len(row.prompts),
        "seconds": round(median, 3),
        "tokens_per_s": round(tokens / median),
        "gflops": round(peak),
        "linear_share_of_peak": round(arithmetic(model, tokens, kept) / median / peak / 1e9, 3),
        "attention_share_of_step": round(attention / total, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(2)
    loaded = load_base(Backbone())
    model = fresh_link(loaded.model, Lora(), 0).train()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for layout in CONTEXT:
        for budget in (1024, 2048):
            row = longest_row(loaded.tokenizer, layout, budget)
            line = {"layout": layout, "row_tokens": budget, **measure(model, row, options.rounds)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
