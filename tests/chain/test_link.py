"""Stored links as plain tensors: folded in as PEFT does it, to the bit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny import tiny_llama

from gsa.chain.chain import Chain
from gsa.chain.link import LinkWeights
from gsa.chain.lora import apply_active
from gsa.errors import InputError
from gsa.model.hf_logging import quiet_libraries


def stored(tuned: Path) -> Path:
    return tuned / "links" / Chain.read(tuned).links[0].folder


def test_merging_equals_pefts(tuned: Path) -> None:
    mine = tiny_llama().requires_grad_(False)
    theirs = tiny_llama().requires_grad_(False)
    untouched = mine.state_dict()["model.layers.0.self_attn.q_proj.weight"].clone()
    LinkWeights.read(stored(tuned)).apply_to(mine)
    with quiet_libraries():
        linked = PeftModel.from_pretrained(theirs, stored(tuned))
        other = tiny_llama().requires_grad_(False)
        merged = apply_active(PeftModel.from_pretrained(other, stored(tuned)))
    theirs = linked.merge_and_unload(safe_merge=True)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(mine.state_dict()[name], weight), name
        assert torch.equal(mine.state_dict()[name], merged.state_dict()[name]), name
    assert not torch.equal(mine.state_dict()["model.layers.0.self_attn.q_proj.weight"], untouched)


def test_layers_stored_the_other_way_round() -> None:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(3, 2))  # (in, out), as GPT-2's

    model = torch.nn.Module()
    model.layer = Layer()
    a, b = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0], [10.0]])
    LinkWeights({"layer": (a, b)}, 2.0, True, {}).apply_to(model)
    assert torch.equal(model.layer.weight.data, torch.tensor([[2.0, 20.0], [4.0, 40.0], [6.0, 60.0]]))


def test_what_is_not_plain_lora_is_refused(tuned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "link"
    shutil.copytree(stored(tuned), folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    with pytest.raises(InputError, match="has use_dora: expected plain LoRA"):
        LinkWeights.read(folder)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({**tensors, "base_model.model.odd": torch.zeros(1)}, folder / "adapter_model.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        LinkWeights.read(folder)
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        LinkWeights.read(folder)
