"""The forward pass of a model over a row: a trie's inputs, its logits, and the check that they are exact."""

import hashlib
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.nn.attention.flex_attention import create_block_mask

from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.model import llama
from gsa.trie import attention
from gsa.trie.trie import TokenTrie

ROW_CODE = ("backbone.py", "forward.py", "hf_attention.py", "lean.py", "linked.py", "llama.py", "ops.py",
            "../trie/attention.py", "../trie/trie.py")  # fmt: skip
"""Files of this package that compute a row."""


def trie_inputs(trie: TokenTrie, model: Any) -> dict[str, Any]:
    """Return the keyword arguments with which `model` reads a trie: ids, positions and attention mask."""
    device = model.device
    inputs: dict[str, Any] = {
        "input_ids": torch.from_numpy(trie.tokens)[None].to(device),
        "position_ids": torch.from_numpy(trie.depth)[None].to(device),
        "use_cache": False,
    }
    kind = model.config._attn_implementation
    if kind == attention.NAME:
        inputs["trie_spans"] = attention.spans_of(trie, model.dtype, device)
    elif kind == "flex_attention":
        inputs["attention_mask"] = _block_mask(trie, device)
    else:
        inputs["attention_mask"] = torch.from_numpy(trie.mask())[None, None].to(device)
    return inputs


def _block_mask(trie: TokenTrie, device: torch.device) -> Any:
    """Return the trie's one-line rule as FlexAttention takes it, blocks without a visible key left out."""
    end = torch.from_numpy(trie.end).to(device)

    def visible(_batch: Any, _head: Any, query: Any, key: Any) -> Any:
        return (key <= query) & (query < end[key])

    return create_block_mask(visible, None, None, len(trie), len(trie), device=str(device))


def row_logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the logits at `logits_to_keep`, an index of nodes; shape (kept nodes, vocabulary).

    By `llama.logits` where that computes the same, otherwise by the model's own forward pass.
    """
    if llama.suits(model):
        return llama.logits(model, inputs)
    logits: torch.Tensor = model(**inputs).logits[0]
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
