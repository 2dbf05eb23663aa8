"""Tokens of one epoch over whole training splits: one sequence per prompt against shared prefixes.

    GSA_DATA=... python benchmarks/tokens.py meld sst2 ...

Prints one JSON line a dataset and layout.
"""

import json
import sys

from gsa.chain.base import load_config
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.recipes.datasets import load_split, task_of
from gsa.recipes.schema import Backbone, DatasetConfig
from gsa.trie.packing import branches, group, pack

LAYOUTS = (("paper", "dialogue"), ("inline", "history"))


def main() -> None:
    _, tokenizer = load_config(Backbone())
    for name in sys.argv[1:]:
        source = DatasetConfig(name=name)
        for layout, context in LAYOUTS:
            chosen = Layout(name=layout, context=context, max_tokens=1024)
            prompts = Encoder(tokenizer, chosen, task_of(source)).encode(load_split(source, "train"))
            flat = sum(len(ids) for prompt in prompts for ids in branches(prompt, score=False))
            shared = sum(len(row.trie) for row in pack(group(prompts), score=False, fill_tokens=1024))
            row = {"dataset": name, "layout": layout, "context": context, "targets": len(prompts)}
            print(
                json.dumps({**row, "flat": flat, "shared": shared, "ratio": round(flat / shared, 1)}),
                flush=True,
            )


if __name__ == "__main__":
    main()
