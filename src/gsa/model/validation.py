"""Checks before a run or model folder from elsewhere is read: it names no code and no files outside itself.

In: a folder. Out: nothing or the same folder, or an InputError that says what is refused. Weights are
safetensors, all else is JSON or TOML; sizes are compared with those of the files before memory is allocated.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from gsa.errors import InputError

MAX_RANK = 1024
"""Largest rank of a link, as in a recipe."""
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads", "head_dim")  # fmt: skip
SMALLEST_WINDOW = 64
"""Tokens that any prompt may have; a window that is shorter suits none."""
KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
"""Keys of a model's configuration that transformers takes for the address of a kernel to fetch and run."""
FREE = {"base_model_name_or_path", "r", "lora_alpha", "lora_dropout", "target_modules", "peft_version",
        "inference_mode", "init_lora_weights", "revision", "fan_in_fan_out"}  # fmt: skip
"""Keys of an adapter's configuration that may have any value."""
FIXED = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "megatron_core": "megatron.core"}
"""Keys that may have PEFT's own value for plain LoRA; all others must be empty, False or a number."""


def check_symlinks(root: Path, also: Path | None = None) -> None:
    """Raise InputError if a symbolic link below `root` leads to neither `root` nor `also`."""
    inside = [folder.resolve() for folder in (root, also) if folder]
    for folder, folders, files in os.walk(root):
        for path in (Path(folder) / name for name in (*folders, *files)):
            if path.is_symlink() and not any(path.resolve().is_relative_to(known) for known in inside):
                raise InputError(
                    f"'{path}' is a link to '{path.resolve()}', outside '{root}': expected a plain file"
                )


def check_adapter(folder: Path) -> Path:
    """Return an adapter folder if it holds plain LoRA; raises InputError otherwise.

    PEFT imports modules that a configuration names, so every key that gsa does not set must be empty.
    """
    config = read_json_object(folder / "adapter_config.json")
    _check_adapter_config(config, folder / "adapter_config.json")
    shapes = tensor_shapes(folder / "adapter_model.safetensors")
    targets = "|".join(re.escape(target) for target in config["target_modules"])
    name_of = re.compile(rf"(.*\.(?:{targets}))\.lora_(?:embedding_)?([AB])(?:\.weight)?")
    sides: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        match = name_of.fullmatch(name)
        rank = shape[0 if match[2] == "A" else -1] if match and len(shape) == 2 else None
        if not match or rank != config["r"]:
            raise InputError(
                f"'{folder}': the tensor '{name}' has the shape {list(shape)}: expected a matrix of rank "
                f"{config['r']} for one of {sorted(config['target_modules'])}"
            )
        sides.setdefault(match[1], set()).add(match[2])
    if not sides or any(len(pair) != 2 for pair in sides.values()):
        raise InputError(f"'{folder}': found {len(shapes)} tensors: expected an A and a B for each layer")
    return folder


def _check_adapter_config(config: dict[str, Any], file: Path) -> None:
    rank, targets = config.get("r"), config.get("target_modules")
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        raise InputError(f"'{file}': r is {rank!r}: expected a rank from 1 to {MAX_RANK}")
    if not isinstance(targets, list) or not targets or not all(_is_plain_name(target) for target in targets):
        raise InputError(f"'{file}': target_modules is {targets!r}: expected a list of layer names")
    for key in ("lora_alpha", "lora_dropout"):
        if not isinstance(config.get(key, 0), int | float) or not 0 <= config.get(key, 0) < 1e9:
            raise InputError(f"'{file}': {key} is {config[key]!r}: expected a number")
    for key, value in config.items():
        number = isinstance(value, int | float) and value is not True
        if key not in FREE and not number and value not in (FIXED.get(key), None, [], {}, ""):
            raise InputError(
                f"'{file}': {key} is {value!r}: expected {json.dumps(FIXED.get(key))}, as links are plain "
                "LoRA and name no code"
            )


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]{1,100}", name) is not None


def read_json_object(file: Path) -> dict[str, Any]:
    """Return the object of a JSON file; raises InputError for anything else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{file}' is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"'{file}' is not a JSON object: expected a configuration")
    return content


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a safetensors file, from its header alone; raises InputError."""
    try:
        with safe_open(file, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise InputError(f"'{file}' is not a safetensors file: {error}") from None


def check_model_folder(folder: Path) -> None:
    """Raise InputError for a model folder that leads out of itself, names code, or states wrong sizes."""
    # The hub's own cache keeps every file of a snapshot as a link to the blobs beside it.
    blobs = folder.resolve().parent.parent / "blobs" if folder.resolve().parent.name == "snapshots" else None
    check_symlinks(folder, blobs)
    if (folder / "adapter_config.json").exists():
        raise InputError(f"backbone folder '{folder}' holds a PEFT adapter: expected a whole model")
    config = read_json_object(folder / "config.json")
    if (folder / "model.safetensors.index.json").exists():
        parts = read_json_object(folder / "model.safetensors.index.json").get("weight_map")
        if not isinstance(parts, dict) or any(Path(str(p)).name != p for p in parts.values()):
            raise InputError(
                f"'{folder}/model.safetensors.index.json' names files elsewhere: expected plain names"
            )
    for name in ("tokenizer_config.json", "config.json"):
        for key, value in (read_json_object(folder / name) if (folder / name).exists() else {}).items():
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


def refuse_unsuitable(config: Any, name: str, max_tokens: int = SMALLEST_WINDOW) -> None:
    """Raise InputError for architectures where one prefix cannot serve several continuations.

    `max_tokens` is the length of the longest prompt, which a sliding window and the positions must hold.
    """
    kernel = str(getattr(config, "_attn_implementation", None) or "")
    if "/" in kernel:
        raise InputError(
            f"backbone '{name}' names the kernel '{kernel}': expected none, as no code is fetched"
        )
    architectures = getattr(config, "architectures", None) or ()
    if any(architecture.endswith("ForSequenceClassification") for architecture in architectures):
        raise InputError(
            f"'{name}' is a classifier, which transformers' pipelines load: expected a causal language model"
        )
    kinds = set(getattr(config, "layer_types", None) or []) - {"full_attention"}
    window = _sliding_window(config)
    unsuitable = "alibi positions" if getattr(config, "alibi", False) else ""
    if kinds - {"sliding_attention"} or (kinds and not window):
        unsuitable = f"layers of {sorted(kinds)}"
    if unsuitable:
        raise InputError(
            f"backbone '{name}' has {unsuitable}: expected full attention and explicit positions in every "
            "layer, because shared prefixes need each earlier token in reach"
        )
    for size, what in ((window, "a sliding window"), (_positions(config), "positions")):
        if 0 < size < max_tokens:
            raise InputError(
                f"backbone '{name}' has {what} of {size} tokens: expected at least {max_tokens}, the longest "
                f"prompt; layout.max_tokens = {size} makes prompts shorter"
            )


def longest_prompt(config: Any) -> int:
    """Return how many tokens the model's sliding window and its positions hold, 0 for any number."""
    return min(filter(None, (_sliding_window(config), _positions(config))), default=0)


def _positions(config: Any) -> int:
    """Return how many positions the model has, 0 where its configuration does not say."""
    return int(getattr(config, "max_position_embeddings", None) or 0)


def _sliding_window(config: Any) -> int:
    """Return how many tokens back the model's attention reaches, 0 for all of them."""
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"]
    is_used = getattr(config, "use_sliding_window", True) and "sliding_attention" in kinds
    return int(getattr(config, "sliding_window", None) or 0) if is_used else 0


def check_tokenizer(tokenizer: Any, config: Any, name: str) -> None:
    """Raise InputError if the tokenizer makes ids of texts that the model has no embedding of."""
    rows = int(getattr(config, "vocab_size", 0) or 0)
    if not rows or len(tokenizer) <= rows:
        return
    unread = set(tokenizer.all_special_ids) - {
        tokenizer.eos_token_id
    }  # texts are read without special tokens
    largest = max((id for id in tokenizer.get_vocab().values() if id not in unread), default=0)
    if largest >= rows:
        raise InputError(
            f"backbone '{name}': its tokenizer has the token id {largest}, its model {rows} embeddings: "
            "expected a tokenizer of this model"
        )
