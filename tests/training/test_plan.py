"""Dry runs: counted from the same rows as tuning, without weights."""

import re
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from gsa.cli import format as terminal
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, Recipe
from gsa.training import plan as planning
from gsa.training.training_data import build_training_data
from gsa.trie.packing import branches
from gsa.trie.trie import size


def test_a_plan_counts_what_tuning_reads(recipe_file: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    recipe = load_recipe(recipe_file)
    plan = planning.make_plan(recipe)
    assert plan.gflops > 0
    assert plan.notes == ()
    for level, planned in zip(recipe.levels, plan.levels, strict=True):
        real = build_training_data(recipe, level, tokenizer)
        assert planned.steps == len(real.steps)
        assert planned.trie_tokens == sum(len(row.trie) for row in real.rows)
        assert planned.flat_tokens > planned.trie_tokens
        assert planned.examples == {name: len(prompts) for name, prompts in real.prompts.items()}
        # rank 2 on q, k, v, o of two layers: inputs of 32; outputs of 32, 16, 16, 32
        assert planned.trainable == 2 * 2 * (4 * 32 + 32 + 16 + 16 + 32)
        assert planned.seconds > 0
    text = terminal.plan(recipe, plan)
    for word in ("SA", "ERC", "SD", "tokens shared", "sampler-emotion 20", "GiB"):
        assert word in text


@pytest.fixture
def default_tokenizer(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default backbone, whose tokenizer counts for models out of reach, is the tiny one."""
    honest = planning.load_config

    def stand_in(backbone: Backbone) -> object:
        return honest(Backbone(name=str(tiny_folder)) if backbone.name == "smollm2-135m" else backbone)

    monkeypatch.setattr(planning, "load_config", stand_in)


def large_recipe(recipe_file: Path, changes: list[str]) -> Recipe:
    """One level on a model of 7 billion weights."""
    recipe = load_recipe(recipe_file, ["backbone.name=meta-llama/Llama-2-7b-hf", *changes])
    return recipe.model_copy(update={"levels": recipe.levels[:1]})


@pytest.mark.usefixtures("default_tokenizer")
def test_a_known_model_out_of_reach_is_planned_on_the_meta_device(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "matmul_gflops", lambda hidden: 1.0)
    plan = planning.make_plan(large_recipe(recipe_file, ["backbone.precision=bfloat16"]))
    assert plan.parameters == 6_738_415_616
    assert plan.memory > 2 * plan.parameters
    assert "cannot be loaded: tokens are" in plan.notes[0]


def test_datasets_that_are_not_here_are_left_out_in_words(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    added = load_recipe(recipe_file, ['levels.ERC.datasets=["sampler-emotion", "iemocap"]'])
    plan = planning.make_plan(added)
    assert set(plan.levels[1].examples) == {"sampler-emotion"}
    assert any("left out of the plan: dataset 'iemocap'" in note for note in plan.notes)
    with pytest.raises(InputError, match="level 'ERC': dataset 'iemocap'"):
        planning.make_plan(load_recipe(recipe_file, ['levels.ERC.datasets=["iemocap"]']))


def test_an_unknown_model_out_of_reach_is_refused(recipe_file: Path) -> None:
    with pytest.raises(InputError, match="'nobody/nothing' cannot be loaded"):
        planning.make_plan(load_recipe(recipe_file, ["backbone.name=nobody/nothing"]))


def test_a_plan_for_a_gpu_uses_what_is_published_of_it(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["backbone.precision=auto"])
    h200, l4 = planning.make_plan(recipe, "h200"), planning.make_plan(recipe, "l4")
    assert (h200.device, h200.gflops) == ("h200", 989e3)
    for fast, slow in zip(h200.levels, l4.levels, strict=True):
        assert slow.seconds == pytest.approx(fast.seconds * 989 / 121)
    exact = planning.make_plan(load_recipe(recipe_file), "h200")
    assert exact.gflops == 67e3, "float32 does not use the tensor cores"
    assert "assumption" in h200.notes[-1]
    assert "on h200 (989,000 GFLOP/s)" in terminal.plan(recipe, h200)
    again = planning.make_plan(load_recipe(recipe_file, ["training.recompute=true"]), "h200")
    assert again.levels[0].seconds == pytest.approx(1.5 * exact.levels[0].seconds)
    with pytest.raises(InputError, match=r"--for 'h20': expected one of l4, .* \(did you mean 'h200'\?\)"):
        planning.make_plan(recipe, "h20")


def test_a_plan_knows_split_and_4_bit_weights(recipe_file: Path) -> None:
    plain = planning.make_plan(load_recipe(recipe_file), "h200")
    split = planning.make_plan(load_recipe(recipe_file, ["training.fsdp=true"]), "h200")
    assert split.memory == plain.memory
    assert "are divided by the number of processes" in split.notes[0]
    packed = planning.make_plan(load_recipe(recipe_file, ["backbone.quantize=nf4"]), "h200")
    linear = 2 * (4 * 32 * 32 - 2 * 32 * 16 + 3 * 32 * 48)  # k and v have half the heads; norms are few
    links = 4 * sum(level.trainable for level in packed.levels[:-1])  # merged into float32, beside 4 bits
    assert plain.memory - packed.memory + links == pytest.approx(linear * (4 - 0.516), rel=0.02)


def test_a_gpu_that_is_too_small_is_told(
    recipe_file: Path,
    default_tokenizer: None,
) -> None:
    small = planning.make_plan(large_recipe(recipe_file, []), "rtx4090")
    assert "rtx4090 has 22.4 GiB, less than this needs" in small.notes[-1]
    changes = ["backbone.precision=bfloat16", "training.recompute=true"]
    fits = planning.make_plan(large_recipe(recipe_file, changes), "rtx4090")
    assert not any("less than this needs" in note for note in fits.notes)


TURNS = 60
CHAT = """
name = "chat"
[backbone]
name = "{backbone}"
[[levels]]
name = "ERC"
datasets = [{{ name = "chat", path = "{folder}", task = "emotion", labels = ["joy", "fear"] }}]
"""


@pytest.fixture
def chat(tiny_folder: Path, tmp_path: Path) -> Path:
    """A level on one conversation, of which each turn is labelled."""
    rows = [f"d,{i} is the number of a sentence,{('joy', 'fear')[i % 2]}" for i in range(TURNS)]
    (tmp_path / "train.csv").write_text("\n".join(["dialogue_id,text,label", *rows]) + "\n")
    path = tmp_path / "chat.toml"
    path.write_text(CHAT.format(backbone=tiny_folder.as_posix(), folder=tmp_path.as_posix()))
    return path


def nodes(chat: Path, changes: list[str], tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
    """Return the tokens of one epoch if all its prompts were in one row, and those of its rows."""
    recipe = load_recipe(chat, ["levels.ERC.epochs=1", *changes])
    data = build_training_data(recipe, recipe.levels[0], tokenizer)
    sequences = [b for row in data.rows for p in row.prompts for b in branches(p, row.score)]
    return size(sequences), data.tokens


@pytest.mark.parametrize("key", ["training.max_row_tokens", "layout.max_tokens"])
def test_a_plan_warns_where_a_long_conversation_is_computed_again(
    chat: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(planning, "REPEATED_WARNING", 0.1)
    unlimited = ["layout.max_tokens=4096", "training.max_row_tokens=100000"]
    once, _ = nodes(chat, unlimited, tokenizer)
    in_one_row, in_rows = nodes(chat, [*unlimited, f"{key}=700"], tokenizer)
    repeated = 1 - once / (in_rows if key == "training.max_row_tokens" else in_one_row)
    plan = planning.make_plan(load_recipe(chat, [*unlimited, f"{key}=700"]), "l4")
    (note,) = (note for note in plan.notes if "level 'ERC'" in note)
    match = re.fullmatch(
        r"level 'ERC': (\d+)% of its tokens are computed twice or more, because conversations are cut: "
        rf"expected a larger {re.escape(key)} than 700",
        note,
    )
    assert match
    assert int(match[1]) / 100 == pytest.approx(repeated, abs=0.02)
    plan = planning.make_plan(load_recipe(chat, unlimited), "l4")
    assert not any("level 'ERC'" in note for note in plan.notes)
