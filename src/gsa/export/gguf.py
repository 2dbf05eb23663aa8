"""A merged model as one GGUF file of 16 or 8 bits, with its tokenizer, for llama.cpp and what builds on it.

In: a model of the Llama architecture with a byte-level BPE tokenizer. Out: the file. What llama.cpp would
read differently is refused with an InputError.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from gsa.errors import InputError
from gsa.model.backbone import LoadedModel

DIGITS = {"type": "Digits", "individual_digits": True}
PRE = {"gpt-2": ["ByteLevel"], "smollm": ["Digits", "ByteLevel"]}
"""llama.cpp's names of the ways to cut a text before BPE, and the parts of a tokenizer that do the same."""

BLOCK = 32
"""Numbers of a block of Q8_0."""
_F16, _Q8_0 = gguf.LlamaFileType.MOSTLY_F16, gguf.GGMLQuantizationType.Q8_0


def check_architecture(config: Any, name: str) -> None:
    """Raise InputError unless a GGUF of the Llama architecture holds all of the model."""
    rope = getattr(config, "rope_parameters", None) or {}
    odd = ""
    if config.model_type != "llama":
        odd = f"the architecture {config.model_type}"
    elif rope.get("rope_type", "default") != "default":
        odd = f"scaled positions ({rope['rope_type']})"
    elif config.attention_bias or config.mlp_bias:
        odd = "biases"
    if odd:
        raise InputError(
            f"backbone '{name}' has {odd}: expected the plain Llama architecture for gguf; "
            "'merged' and 'adapter' take any"
        )


def write_gguf(loaded: LoadedModel, name: str, path: Path, quantized: bool = False) -> None:
    """Write the file: matrices as float16, or quantized as Q8_0, and norms as float32.

    Q8_0 stores blocks of 32 numbers as 8-bit integers with one scale; a matrix whose rows are no whole number
    of blocks stays float16.

    Raises InputError for a tokenizer that is not byte-level BPE as llama.cpp knows it.
    """
    config = loaded.model.config
    check_architecture(config, name)
    writer = gguf.GGUFWriter(path, "llama")
    _settings(writer, config, name, gguf.LlamaFileType.MOSTLY_Q8_0 if quantized else _F16)
    _tokenizer(writer, loaded.tokenizer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for key, weight in loaded.model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = weight.float().numpy()
        if key.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in key else config.num_key_value_heads
            array = interleaved(array, heads)
        target = names.get_name(key, try_suffixes=(".weight",))
        if target is None:
            raise InputError(f"'{name}': GGUF has no place for the weights '{key}'")
        if quantized and array.ndim > 1 and array.shape[-1] % BLOCK == 0:
            writer.add_tensor(target, gguf.quantize(array, _Q8_0), raw_dtype=_Q8_0)
        else:
            writer.add_tensor(target, array.astype(np.float16 if array.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of a query or key projection, shape (heads * size, in).

    transformers turns the first half of a head's rows against the second, llama.cpp each even row
    against the odd one after it.
    """
    out, into = weight.shape
    halves = weight.reshape(heads, 2, out // heads // 2, into)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(out, into))


def _settings(writer: gguf.GGUFWriter, config: Any, name: str, kind: gguf.LlamaFileType) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_type("model")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(kind)


def _tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, config: Any) -> None:
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    model = core["model"]
    pre = _pre(core)
    by_id = {i: token for token, i in model["vocab"].items()}
    kinds = dict.fromkeys(by_id, gguf.TokenType.NORMAL)
    for added in core["added_tokens"]:
        by_id[added["id"]] = added["content"]
        kinds[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    ids = range(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([by_id.get(i, f"[PAD{i}]") for i in ids])
    writer.add_token_types([kinds.get(i, gguf.TokenType.UNUSED) for i in ids])
    if model["merges"]:
        pairs = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
        writer.add_token_merges(pairs)
    else:  # no list can be empty, and readers that find none look for scores
        writer.add_token_scores([0.0] * config.vocab_size)
    writer.add_add_space_prefix(False)
    begins = tokenizer("a")["input_ids"][0]
    writer.add_add_bos_token(begins == tokenizer.bos_token_id)
    for add, id in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if id is not None:
            add(id)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _pre(core: Any) -> str:
    """Return llama.cpp's name of how the tokenizer cuts a text; raises InputError where it has none."""
    pre_tokenizer = core["pre_tokenizer"] or {}
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    plain = all(
        part == DIGITS
        or (part.get("type") == "ByteLevel" and not part["add_prefix_space"] and part["use_regex"])
        for part in parts
    )
    kinds = [part.get("type") for part in parts]
    name = next((name for name, known in PRE.items() if known == kinds), "")
    if core["model"]["type"] != "BPE" or core["normalizer"] or not plain or not name:
        raise InputError(
            f"the tokenizer is {core['model']['type']}, cut by {kinds}: expected byte-level BPE as GPT-2's "
            "or SmolLM's for gguf; 'merged' and 'adapter' take any"
        )
    return name
