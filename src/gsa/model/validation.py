"""What is checked before a stranger's run or model folder is read: that it neither leads out nor runs code.

In: a folder. Out: the same folder, or an InputError that says what of it is refused. Weights are safetensors,
all else is JSON or TOML; sizes are compared with those of the files before memory is asked for.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from peft import LoraConfig
from safetensors import SafetensorError, safe_open

from gsa.errors import InputError

RANK = 1024
"""Largest rank of a link, as in a recipe."""
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads", "head_dim")  # fmt: skip
KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
"""Keys of a model's configuration that transformers takes for the address of a kernel to fetch and run."""
FREE = {"base_model_name_or_path", "r", "lora_alpha", "lora_dropout", "target_modules", "peft_version",
        "inference_mode", "init_lora_weights", "revision"}  # fmt: skip
"""Keys of an adapter's configuration that may have any value; all others must be as PEFT sets them."""


def nothing_outside(root: Path, also: Path | None = None) -> None:
    """Raise InputError if a symbolic link below `root` leads out of it, and not into `also` either."""
    home = root.resolve()
    for folder, folders, files in os.walk(root):
        for path in (Path(folder) / name for name in (*folders, *files)):
            if not path.is_symlink():
                continue
            target = path.resolve()
            if not target.is_relative_to(home) and not (also and target.is_relative_to(also.resolve())):
                raise InputError(f"'{path}' is a link to '{target}', outside '{root}': expected a plain file")


def adapter(folder: Path) -> Path:
    """Return a link's folder if it holds a plain LoRA; raises InputError.

    PEFT imports modules that a configuration names, so every key that gsa does not set must be empty.
    """
    file = folder / "adapter_config.json"
    config = read_object(file)
    _check_config(config, file)
    shapes = tensor_shapes(folder / "adapter_model.safetensors")
    targets = "|".join(re.escape(target) for target in config["target_modules"])
    name_of = re.compile(rf"(.*\.(?:{targets}))\.lora_(?:embedding_)?([AB])(?:\.weight)?")
    sides: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        found = name_of.fullmatch(name)
        rank = shape[0 if found[2] == "A" else -1] if found and len(shape) == 2 else None
        if not found or rank != config["r"]:
            raise InputError(
                f"'{folder}': the tensor '{name}' has the shape {list(shape)}: expected a matrix of rank "
                f"{config['r']} for one of {sorted(config['target_modules'])}"
            )
        sides.setdefault(found[1], set()).add(found[2])
    if not sides or any(len(both) != 2 for both in sides.values()):
        raise InputError(f"'{folder}': found {len(shapes)} tensors: expected an A and a B for each layer")
    return folder


def _check_config(config: dict[str, Any], file: Path) -> None:
    rank, targets = config.get("r"), config.get("target_modules")
    if type(rank) is not int or not 1 <= rank <= RANK:
        raise InputError(f"'{file}': r is {rank!r}: expected a rank from 1 to {RANK}")
    if not isinstance(targets, list) or not targets or not all(_plain(target) for target in targets):
        raise InputError(f"'{file}': target_modules is {targets!r}: expected a list of layer names")
    for key in ("lora_alpha", "lora_dropout"):
        if not isinstance(config.get(key, 0), int | float) or not 0 <= config.get(key, 0) < 1e9:
            raise InputError(f"'{file}': {key} is {config[key]!r}: expected a number")
    usual = LoraConfig(task_type="CAUSAL_LM").to_dict()
    for key, value in config.items():
        # A number that another version of PEFT knew is no harm: this one passes it over.
        plain = (usual[key],) if key in usual else (value if isinstance(value, int | float) else None,)
        if key not in FREE and value not in (*plain, None, False, [], {}, ""):
            raise InputError(
                f"'{file}': {key} is {value!r}: expected {json.dumps(usual.get(key), default=str)}, "
                "as links are plain LoRA and name no code"
            )


def _plain(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]{1,100}", name) is not None


def read_object(file: Path) -> dict[str, Any]:
    """Return the object of a JSON file; raises InputError for anything else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{file}' is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"'{file}' is not a JSON object: expected a configuration")
    return found


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a safetensors file, from its header alone; raises InputError."""
    try:
        with safe_open(file, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise InputError(f"'{file}' is not a safetensors file: {error}") from None


def backbone(folder: Path) -> None:
    """Raise InputError for a model folder that leads out of itself, names code, or lies about its sizes."""
    # The hub's own cache keeps every file of a snapshot as a link to the blobs beside it.
    blobs = folder.resolve().parent.parent / "blobs" if folder.resolve().parent.name == "snapshots" else None
    nothing_outside(folder, blobs)
    if (folder / "adapter_config.json").exists():
        raise InputError(f"backbone folder '{folder}' holds a PEFT adapter: expected a whole model")
    config = read_object(folder / "config.json")
    if (folder / "model.safetensors.index.json").exists():
        parts = read_object(folder / "model.safetensors.index.json").get("weight_map")
        if not isinstance(parts, dict) or any(Path(str(p)).name != p for p in parts.values()):
            raise InputError(
                f"'{folder}/model.safetensors.index.json' names files elsewhere: expected plain names"
            )
    for name in ("tokenizer_config.json", "config.json"):
        for key, value in (read_object(folder / name) if (folder / name).exists() else {}).items():
            if value and (key.endswith("_file") or (key in KERNELS and "/" in str(value))):
                raise InputError(
                    f"'{folder / name}': {key} is {value!r}: expected none, as files and code that a "
                    "configuration names are never used"
                )
    shapes = [s for file in sorted(folder.glob("*.safetensors")) for s in tensor_shapes(file).values()]
    largest = max([len(shapes), *(side for shape in shapes for side in shape)])
    for key in SIZES:
        if isinstance(config.get(key), int) and config[key] > largest:
            raise InputError(
                f"'{folder / 'config.json'}': {key} is {config[key]}, more than anything in the weights: "
                f"expected at most {largest}"
            )
