"""A backbone split over two ranks: the gradients and links of one process, from weights that are split."""

from pathlib import Path

import pytest
import torch
from ranks import Launch
from safetensors.torch import load_file, save_file
from tiny import tiny_llama
from torch import distributed

from gsa.chain.chain import Chain
from gsa.chain.lora import fresh_link
from gsa.errors import InputError
from gsa.model.forward import row_logits, trie_inputs
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, Lora, Recipe
from gsa.training.distributed import Ranks, process_group
from gsa.training.run import tune
from gsa.training.sharding import is_sharded, shard
from gsa.trie.trie import TokenTrie

TRIES = [TokenTrie.build([[1, 2, 3, *[i] * 4] for i in range(4, 12 + k)]) for k in range(2)]
DENSE = Backbone(name="tiny", attention="dense")  # transformers' own forward pass, in one process too


def gradients(model: torch.nn.Module, numbers: list[int]) -> torch.Tensor:
    """Of a link with weights that are not zero, summed over some rows."""
    linked = fresh_link(model, Lora(rank=2, targets=("q_proj", "down_proj")), 0).train()
    trained = {name: weight for name, weight in linked.named_parameters() if weight.requires_grad}
    for name, weight in trained.items():
        torch.manual_seed(len(name))
        weight.data = torch.randn(weight.shape) * 0.3
    for number in numbers:
        trie = TRIES[number]
        inputs = {**trie_inputs(trie, linked), "logits_to_keep": torch.tensor([len(trie) - 1, 2, 9])}
        row_logits(linked, inputs).float().logsumexp(-1).sum().backward()
    return torch.cat([weight.grad.flatten() for weight in trained.values() if weight.grad is not None])


def backbone(dtype: torch.dtype, tied: bool) -> torch.nn.Module:
    model = tiny_llama(tie_word_embeddings=tied, attn_implementation="sdpa")
    return model.to(dtype).requires_grad_(False)


@pytest.mark.parametrize(("dtype", "tied"), [(torch.float32, True), (torch.bfloat16, False)])
def test_the_gradients_of_a_link_are_those_of_one_process(
    dtype: torch.dtype, tied: bool, tmp_path: Path
) -> None:
    def work() -> None:
        with process_group() as ranks:
            model = shard(backbone(dtype, tied), DENSE, ranks)
            weight = model.model.layers[0].self_attn.q_proj.weight
            assert weight.to_local().numel() * 2 == weight.numel()
            sums = gradients(model, [ranks.rank])
            assert weight.to_local().numel() * 2 == weight.numel(), "freed again"
            distributed.all_reduce(sums)
            if ranks.is_main:
                save_file({"sums": sums}, tmp_path / "sums.safetensors")

    expected = gradients(backbone(dtype, tied), [0, 1])
    codes, said = Launch(work).end()
    assert codes == [0, 0], said
    sums = load_file(tmp_path / "sums.safetensors")["sums"]
    assert float((sums - expected).norm() / expected.norm()) <= 1e-6


@pytest.fixture(scope="module")
def recipe(recipe_file: Path) -> Recipe:
    """Two levels; the first has two rows a step and one in its last, the second three or four."""
    changes = ["training.max_row_tokens=500", "training.fsdp=true", "backbone.attention=dense"]
    recipe = load_recipe(recipe_file, changes)
    return recipe.model_copy(update={"levels": recipe.levels[:2]})


def test_a_run_gives_the_links_of_one_process(recipe: Recipe, tmp_path: Path) -> None:
    """With layers recomputed too; resumed by one process, which splits nothing."""
    tune(recipe, tmp_path / "one")
    again = recipe.model_copy(update={"training": recipe.training.model_copy(update={"recompute": True})})
    first = recipe.model_copy(update={"levels": recipe.levels[:1]})

    for chosen, name in ((recipe, "two"), (again, "again"), (first, "resumed")):
        codes, said = Launch(lambda: tune(chosen, tmp_path / name)).end()  # noqa: B023
        assert codes == [0, 0], said
    tune(recipe, tmp_path / "resumed")
    one = Chain.read(tmp_path / "one").links
    for name in ("two", "again", "resumed"):
        links = Chain.read(tmp_path / name).links
        assert links[0].sha256 == one[0].sha256, name
        files = [tmp_path / run / "links" / "2-ERC" / "adapter_model.safetensors" for run in (name, "one")]
        a, b = (torch.cat([t.flatten() for _, t in sorted(load_file(file).items())]) for file in files)
        assert float((a - b).norm() / b.norm()) < 1e-6, name


def test_what_is_split_and_what_is_refused(recipe: Recipe) -> None:
    assert is_sharded(recipe, Ranks(0, 2))
    assert not is_sharded(recipe, Ranks())
    quantized = recipe.model_copy(update={"backbone": recipe.backbone.model_copy(update={"quantize": "nf4"})})
    with pytest.raises(InputError, match=r"training\.fsdp: expected a backbone without backbone\.quantize"):
        is_sharded(quantized, Ranks())
