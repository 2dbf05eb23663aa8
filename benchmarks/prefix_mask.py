"""A trial: the dialogue is read in both directions (prefix-LM), instead of from left to right alone.

    python benchmarks/prefix_mask.py --out DIR [--train 2000] [--rate 1e-3] [--seed 0] [--causal]

One link on MELD in the paper's layout with the whole dialogue as context, then dev. Tokens of a dialogue
that no other dialogue of the row has see each other; all else is as ever, so a dialogue is still read
once for all its targets, and alone in a row it gives the numbers that each target would have alone. First
words that dialogues of one row have in common stay causal there: for a trial, not for the package. The
backbone has never read that way. With --causal the mask is left alone: what to compare with. Prints a line a
dataset, as `gsa eval`.
"""

import argparse
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from gsa.chain.base import load_base
from gsa.data.encoder import Prompt
from gsa.evaluation.evaluate import Evaluator
from gsa.recipes.schema import Recipe
from gsa.training.run import tune
from gsa.trie import packing as rows
from gsa.trie.packing import PackedRow
from gsa.trie.trie import TokenTrie

CAUSAL = vars(PackedRow)["trie"]
SEAM = "\nTarget utterance:"
"""What follows the dialogue in the paper's layout."""


class BothWays(TokenTrie):
    """A trie whose `spans` of nodes see each other."""

    spans: list[tuple[int, int]]

    def mask(self) -> NDArray[np.bool_]:
        """Return the causal mask with the spans opened."""
        mask = super().mask()
        for start, stop in self.spans:
            mask[start:stop, start:stop] = True
        return mask


def dialogue_tokens(prompt: Prompt, seam: list[int]) -> int:
    """Return how many tokens of a prompt come before its target is named."""
    ids, size = list(prompt.ids), len(seam)
    return next(i for i in range(len(ids) - size, -1, -1) if ids[i : i + size] == seam)


def opened(row: PackedRow, seam: list[int]) -> BothWays:
    """Return a row's trie with a span for each dialogue: the nodes that it alone has, up to its targets."""
    plain = CAUSAL.func(row)
    leaves, paths = iter(plain.leaf), []
    for _, members in groupby(row.prompts, key=lambda p: (p.example.dataset, p.example.dialogue.id)):
        prompts = list(members)
        count = sum(len(rows.branches(p, row.score)) for p in prompts)
        nodes = [plain.path(int(next(leaves))) for _ in range(count)]
        stop = min(dialogue_tokens(p, seam) for p in prompts)
        paths.append((nodes[0][:stop], {node for path in nodes for node in path}))
    trie = BothWays(plain.tokens, plain.depth, plain.parent, plain.end, plain.leaf)
    spans = []
    for number, (trunk, _) in enumerate(paths):
        others = set().union(*(nodes for i, (_, nodes) in enumerate(paths) if i != number))
        own = [node for node in trunk if node not in others]
        spans += [(own[0], own[-1] + 1)] if own and own[-1] - own[0] + 1 == len(own) else []
    object.__setattr__(trie, "spans", spans)
    return trie


def read_both_ways(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let every row of this process be read in both directions."""
    seam = list(tokenizer(SEAM)["input_ids"])
    trie = cached_property(lambda row: opened(row, seam))
    trie.__set_name__(PackedRow, "trie")
    PackedRow.trie = trie  # type: ignore[method-assign]  # a trial changes the class for its own process


def main() -> None:
    """Tune and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--dataset", default="meld")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--causal", action="store_true")
    given = parser.parse_args()
    recipe = Recipe.model_validate(
        {
            "name": "prefix-mask",
            "seed": given.seed,
            "backbone": {"name": given.backbone, "attention": "dense"},
            "layout": {"name": "paper", "context": "dialogue"},
            "levels": [
                {
                    "name": "ERC",
                    "datasets": [{"name": given.dataset, "limit": given.train}],
                    "learning_rate": given.rate,
                    "loss": "labels",
                }
            ],
        }
    )
    if not given.causal:
        read_both_ways(load_base(recipe.backbone).tokenizer)
    tune(recipe, given.out)
    for row in Evaluator(given.out).evaluate([1], split=given.split, limit=given.limit):
        print(f"level {row.level} {row.dataset} {row.metric} {row.value:.1f} (n {row.n})")


if __name__ == "__main__":
    main()
