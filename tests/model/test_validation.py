"""A run or model folder from elsewhere runs no code, leads nowhere else, and allocates no absurd memory."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from gsa.chain.base import load_base, load_config
from gsa.chain.chain import Chain
from gsa.chain.link import WEIGHTS
from gsa.chain.run_folder import RunFolder
from gsa.checksums import checksums, from_checked_json, to_checked_json
from gsa.errors import InputError
from gsa.evaluation.evaluate import Evaluator
from gsa.model.validation import check_adapter, refuse_unsuitable, tensor_shapes
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone
from gsa.training.run import tune

EVIL = (
    "open({path!r}, 'w').write('ran')\nimport transformers\nclass Evil(transformers.PreTrainedModel): pass\n"
)


@pytest.fixture
def run(tuned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "run"))


@pytest.fixture
def backbone(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def reseal(run: Path) -> None:
    """Make the checksums right again, as a stranger would."""
    stored = from_checked_json((run / "chain.json").read_text())
    for link in stored["links"]:
        folder = run / "links" / link["folder"]
        link["files"] = checksums(folder, link["files"])
    (run / "chain.json").write_text(to_checked_json(stored))


def change(file: Path, **keys: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"r": 10**9}, "r is 1000000000: expected a rank from 1 to 1024"),
        ({"r": True}, "r is True"),
        ({"r": 3}, "expected a matrix of rank 3"),
        ({"auto_mapping": {"parent_library": "evil", "base_model_class": "E"}}, "auto_mapping is"),
        ({"megatron_core": "evil"}, "megatron_core is 'evil'"),
        ({"megatron_config": {"a": 1}}, "megatron_config is"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is"),
        ({"peft_type": "PROMPT_TUNING"}, "peft_type is 'PROMPT_TUNING'"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"rank_pattern": {".*": 10**9}}, "rank_pattern is"),
        ({"use_dora": True}, "use_dora is True"),
        ({"something_new": "x"}, "something_new is 'x'"),
        ({"target_modules": ".*(a+)+$"}, "target_modules is"),
        ({"target_modules": []}, "target_modules is []"),
        ({"target_modules": ["../x"]}, "target_modules is"),
        ({"target_modules": ["q_proj"]}, "expected a matrix of rank 2 for one of ['q_proj']"),
        ({"lora_alpha": "high"}, "lora_alpha is 'high'"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"trust_remote_code": True}, "trust_remote_code is True"),
    ],
)
def test_an_adapter_that_is_not_plain_lora_is_refused(run: Path, keys: dict[str, object], says: str) -> None:
    change(run / "links" / "1-SA" / "adapter_config.json", **keys)
    reseal(run)
    with pytest.raises(InputError) as caught:
        RunFolder(run).load()
    assert says in str(caught.value)


def test_the_defaults_of_peft_and_layers_stored_transposed_are_plain_lora(run: Path) -> None:
    folder = run / "links" / "1-SA"
    usual = LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True).to_dict()
    change(
        folder / "adapter_config.json", **{k: v for k, v in usual.items() if k not in ("r", "target_modules")}
    )
    assert check_adapter(folder) == folder


def test_an_adapter_that_names_another_base_loads_onto_the_recipes(run: Path) -> None:
    """The name is a note: nothing is fetched by it."""
    change(run / "links" / "1-SA" / "adapter_config.json", base_model_name_or_path="evil/model", revision="x")
    reseal(run)
    assert RunFolder(run).load()[2].model is not None


def spoil_tensors(file: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.pop(sorted(t)[0]),
        lambda t: t.update({"model.embed_tokens.weight": torch.zeros(2, 2)}),
        lambda t: t.update({sorted(t)[0]: torch.zeros(5, 32)}),
        lambda t: t.clear(),
    ],
    ids=["one missing", "one too many", "another shape", "none"],
)
def test_an_adapter_with_other_tensors_is_refused(run: Path, edit: Callable[..., object]) -> None:
    spoil_tensors(run / "links" / "2-ERC" / "adapter_model.safetensors", edit)
    reseal(run)
    with pytest.raises(InputError, match="2-ERC"):
        RunFolder(run).load()


def test_a_link_of_embeddings_is_plain_lora_too(run: Path) -> None:
    folder = run / "links" / "1-SA"
    name = "base_model.model.model.embed_tokens.lora_embedding_"
    save_file({f"{name}A": torch.zeros(2, 257), f"{name}B": torch.zeros(32, 2)}, folder / WEIGHTS)
    change(folder / "adapter_config.json", target_modules=["embed_tokens"])
    assert check_adapter(folder) == folder


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**12, 10**6], "data_offsets": [0, 4 * 10**18]}},
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}},
        [],
    ],
)
def test_absurd_headers_are_refused_before_memory_is_asked_for(tmp_path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"1234")
    with pytest.raises(InputError, match="is not a safetensors file"):
        tensor_shapes(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(InputError, match="is not a safetensors file"):
        tensor_shapes(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "where", ["links/1-SA", "links/1-SA/adapter_model.safetensors", "predictions", "log.jsonl"]
)
def test_a_link_out_of_the_run_is_refused(run: Path, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = run / where
    if place.is_dir():
        shutil.move(place, outside / "moved")
    else:
        place.unlink(missing_ok=True)
        (outside / "moved").write_text("mine")
    place.symlink_to(outside / "moved")
    folder = RunFolder(run)
    for work in (lambda: Evaluator(run).evaluate(), folder.load, folder.read):
        with pytest.raises(InputError, match=r"is a link to .* outside"):
            work()
    recipe = load_recipe(run / "recipe.toml")
    with pytest.raises(InputError, match=r"is a link to .* outside"):
        tune(recipe, run)
    assert [path.name for path in outside.iterdir()] == ["moved"]


def test_paths_in_a_manifest_stay_inside(run: Path) -> None:
    for folder in ("../1-SA", "/etc", "a/b", "..", ""):
        stored = from_checked_json((run / "chain.json").read_text())
        stored["links"][0]["folder"] = folder
        (run / "chain.json").write_text(to_checked_json(stored))
        with pytest.raises(InputError, match="leads elsewhere"):
            Chain.read(run)


def test_a_models_own_code_is_not_run(backbone: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (backbone / "evil.py").write_text(EVIL.format(path=str(mark)))
    names = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil", "AutoTokenizer": "evil.Evil"}
    change(backbone / "config.json", model_type="evil", auto_map=names)
    for load in (load_base, load_config):
        with pytest.raises(InputError, match="cannot be loaded"):
            load(Backbone(name=str(backbone)))
    change(backbone / "config.json", model_type="llama")
    assert load_base(Backbone(name=str(backbone))).model.config.model_type == "llama"
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "keys", "says"),
    [
        ("config.json", {"vocab_size": 10**9}, "vocab_size is 1000000000, more than anything in the weights"),
        ("config.json", {"num_hidden_layers": 10**9}, "num_hidden_layers is"),
        ("config.json", {"hidden_size": 10**12}, "hidden_size is"),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}, "vocab_file is '/etc/passwd'"),
    ],
)
def test_configurations_that_lie_are_refused(
    backbone: Path, file: str, keys: dict[str, object], says: str
) -> None:
    change(backbone / file, **keys)
    with pytest.raises(InputError) as caught:
        load_base(Backbone(name=str(backbone)))
    assert says in str(caught.value)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_kernel_that_a_configuration_names_is_not_fetched(backbone: Path, key: str) -> None:
    change(backbone / "config.json", **{key: "evil/kernel"})
    with pytest.raises(InputError, match=f"{key} is 'evil/kernel'"):
        load_base(Backbone(name=str(backbone)))
    config = LlamaConfig()
    config._attn_implementation_internal = "evil/kernel"  # as one from the hub would have it
    with pytest.raises(InputError, match="names the kernel 'evil/kernel'"):
        refuse_unsuitable(config, "a/b")


def test_parts_of_a_model_lie_beside_each_other(backbone: Path, tmp_path: Path) -> None:
    index = backbone / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(InputError, match="names files elsewhere"):
        load_base(Backbone(name=str(backbone)))
    index.unlink()
    shutil.move(backbone / "model.safetensors", tmp_path / "other.safetensors")
    (backbone / "model.safetensors").symlink_to(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"is a link to .* outside"):
        load_base(Backbone(name=str(backbone)))


def test_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs(backbone: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.parent.mkdir(parents=True)
    blobs.mkdir()
    shutil.move(backbone, snapshot)
    shutil.move(snapshot / "model.safetensors", blobs / "abc")
    (snapshot / "model.safetensors").symlink_to(blobs / "abc")
    assert load_base(Backbone(name=str(snapshot))).identity.startswith("sha256:")


def test_an_adapter_folder_is_no_backbone(backbone: Path, run: Path) -> None:
    shutil.copy(run / "links" / "1-SA" / "adapter_config.json", backbone)
    with pytest.raises(InputError, match="holds a PEFT adapter"):
        load_base(Backbone(name=str(backbone)))
