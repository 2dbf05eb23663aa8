"""The forward pass of a model over a row: a trie's inputs, its logits, and the check that they are exact."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.model import llama
from gsa.trie import attention, masks
from gsa.trie.trie import TokenTrie

ROW_CODE = ("backbone.py", "forward.py", "hf_attention.py", "lean.py", "linked.py", "llama.py", "ops.py",
            "../trie/attention.py", "../trie/masks.py", "../trie/trie.py")  # fmt: skip
"""Files of this package that compute a row."""


@dataclass(frozen=True)
class RowFormat:
    """What of a model decides how its rows are laid out."""

    attention: str
    """transformers' name of the attention."""
    dtype: torch.dtype
    """Of the attention scores."""

    @classmethod
    def of(cls, model: Any) -> "RowFormat":
        """Return the format of a model's rows."""
        return cls(model.config._attn_implementation, model.dtype)

    def inputs(self, trie: TokenTrie) -> dict[str, Any]:
        """Return ids, positions and attention mask of a trie on the CPU, for `to_device`."""
        by_blocks = self.attention == "flex_attention" or (
            self.attention == masks.NAME and len(trie) >= masks.FLEX_NODES
        )
        padding = masks.flex_length(len(trie)) - len(trie) if by_blocks else 0
        inputs: dict[str, Any] = {
            "input_ids": torch.from_numpy(np.pad(trie.tokens, (0, padding)))[None],
            "position_ids": torch.from_numpy(np.pad(trie.depth, (0, padding)))[None],
            "use_cache": False,
        }
        if self.attention == attention.NAME:
            inputs["trie_spans"] = attention.spans_of(trie, self.dtype)
        elif by_blocks:
            inputs["attention_mask"] = masks.flex_mask(trie.end)
        else:
            inputs["attention_mask"] = masks.AdditiveMask(torch.from_numpy(trie.end), self.dtype)
        return inputs


def to_device(value: Any, device: torch.device) -> Any:
    """Return an input of a model on a device; masks are made there."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, tuple):
        return value if device.type == "cpu" else tuple(span.to(device) for span in value)
    return value.to(device) if hasattr(value, "to") else value


def trie_inputs(trie: TokenTrie, model: Any) -> dict[str, Any]:
    """Return the keyword arguments with which `model` reads a trie: ids, positions and attention mask."""
    inputs = RowFormat.of(model).inputs(trie)
    return {name: to_device(value, model.device) for name, value in inputs.items()}


def row_logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the logits at `logits_to_keep`, an index of nodes; shape (kept nodes, vocabulary).

    By `llama.logits` where that computes the same, otherwise by the model's own forward pass.
    """
    if llama.suits(model):
        return llama.logits(model, inputs)
    # The model below a link has the link in its layers; PEFT would pass over the hooks of FSDP2.
    logits: torch.Tensor = llama.bare(model)(**inputs).logits[0]
    return logits


def check_exact(model: Any, name: str) -> None:
    """Compare a small trie with its sequences one by one; raise InputError unless the logits agree."""
    vocabulary = model.config.vocab_size
    trunk = [(7 * i + 3) % vocabulary for i in range(6)]
    sequences = [[*trunk, *[(5 * i + j) % vocabulary for i in range(3)]] for j in range(3)]
    trie = TokenTrie.build(sequences)
    with torch.no_grad():
        every = torch.arange(len(trie), device=model.device)
        shared = row_logits(model, {**trie_inputs(trie, model), "logits_to_keep": every}).float()
        worst = 0.0
        for sequence, leaf in zip(sequences, trie.leaf, strict=True):
            alone = (
                model(input_ids=torch.tensor([sequence], device=model.device), use_cache=False)
                .logits[0]
                .float()
            )
            worst = max(worst, float((shared[trie.path(int(leaf))] - alone).norm() / alone.norm()))
    if not worst <= (1e-4 if model.dtype == torch.float32 else 5e-2):
        raise InputError(
            f"backbone '{name}': its logits differ by {worst:.1e} when prefixes are shared: expected a model "
            "whose positions and attention follow position_ids and the mask"
        )


def proof_key(identity: str, *settings: str) -> str:
    """Return the key under which it is kept that a model is exact, with all that this depends on."""
    folder = Path(__file__).parent
    code = hashlib.sha256("".join(sha256(folder / name) for name in ROW_CODE).encode()).hexdigest()[:16]
    versions = torch.__version__, transformers.__version__, torch.backends.cpu.get_cpu_capability()
    return " ".join(["exact", identity, *settings, *versions, code])
