"""A GGUF holds the weights and the tokenizer as they were, or is refused."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tiny import byte_tokenizer, tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from gsa.chain.run_folder import RunFolder
from gsa.errors import InputError
from gsa.export.gguf import check_architecture, interleaved, write_gguf
from gsa.model.backbone import LoadedModel


def test_a_gguf_reads_back_as_what_it_was(folders: dict[str, Path], tuned: Path) -> None:
    (file,) = folders["gguf"].glob("*-f16.gguf")
    plain = AutoModelForCausalLM.from_pretrained(folders["gguf"], gguf_file=file.name, dtype=torch.float32)
    expected = RunFolder(tuned).load()[2].model
    weights = plain.state_dict()
    for name, weight in expected.state_dict().items():
        kept = weight.half().float() if weight.ndim > 1 else weight
        assert torch.equal(weights[name], kept), name
    assert plain.config.num_key_value_heads == 2
    tokenizer = AutoTokenizer.from_pretrained(folders["gguf"], gguf_file=file.name)
    text = "Ana: 12  naïve\n=> positive"
    assert tokenizer(text)["input_ids"] == byte_tokenizer()(text)["input_ids"]
    fields = gguf.GGUFReader(file).fields
    said = {
        key: fields[f"tokenizer.ggml.{key}"].contents()
        for key in ("model", "pre", "add_bos_token", "eos_token_id")
    }
    assert said == {"model": "gpt2", "pre": "gpt-2", "add_bos_token": False, "eos_token_id": 256}


def test_a_quantized_gguf_is_close_and_keeps_what_has_no_whole_blocks(folders: dict[str, Path]) -> None:
    (small,), (large,) = (folders["gguf"].glob(f"*-{kind}.gguf") for kind in ("q8_0", "f16"))
    reader = gguf.GGUFReader(small)
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    expected = {tensor.name: tensor for tensor in gguf.GGUFReader(large).tensors}
    kinds = gguf.GGMLQuantizationType
    for tensor in reader.tensors:
        whole = tensor.shape[0] % 32 == 0
        kind = kinds.F32 if len(tensor.shape) == 1 else kinds.Q8_0 if whole else kinds.F16
        assert tensor.tensor_type == kind, tensor.name
        weight = expected[tensor.name].data.astype(np.float32)
        difference = gguf.dequantize(tensor.data, kind) - weight
        assert np.linalg.norm(difference) < 0.01 * np.linalg.norm(weight), tensor.name
    assert {tensor.tensor_type for tensor in reader.tensors} == {kinds.F32, kinds.F16, kinds.Q8_0}


def test_rows_of_a_head_are_paired_as_llama_cpp_turns_them() -> None:
    weight = np.arange(8)[:, None].repeat(2, 1)  # two heads of four rows
    assert interleaved(weight, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_a_gguf_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scaled positions"):
        check_architecture(
            tiny_llama(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}).config, "x"
        )
    with pytest.raises(InputError, match="has biases: expected the plain Llama architecture"):
        check_architecture(tiny_llama(attention_bias=True).config, "x")
    other = tiny_llama().config
    other.model_type = "mamba"
    with pytest.raises(InputError, match="has the architecture mamba"):
        check_architecture(other, "x")
    tokenizer = byte_tokenizer()
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(InputError, match="expected byte-level BPE as GPT-2's"):
        write_gguf(LoadedModel(tiny_llama(), tokenizer, ""), "x", tmp_path / "x.gguf")


def test_digits_cut_one_by_one_are_smollms(tmp_path: Path) -> None:
    from tokenizers import pre_tokenizers

    tokenizer = byte_tokenizer()
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    untied = tiny_llama(tie_word_embeddings=False, vocab_size=260)
    write_gguf(LoadedModel(untied, tokenizer, ""), "x", tmp_path / "x.gguf")
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    assert reader.fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert len(reader.fields["tokenizer.ggml.tokens"].data) == 260
    assert "output.weight" in {tensor.name for tensor in reader.tensors}
