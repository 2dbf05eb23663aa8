"""Recipes: what is valid loads and prints as it was; what is wrong is said in one sentence with its key."""

import tomllib
from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.recipes.loader import load_recipe, validate
from gsa.recipes.schema import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
GOOD = """
name = "x"
[[levels]]
name = "SA"
datasets = ["sst2", {name = "mosi", limit = 10}]
learning_rate = 1e-3
[[levels]]
name = "ERC"
datasets = ["meld"]
learning_rate = 2e-3
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_recipe_is_valid_and_prints_as_itself() -> None:
    found = sorted(RECIPES.rglob("*.toml"))
    assert len(found) >= 9
    for path in found:
        recipe = load_recipe(path)
        assert recipe.name == path.stem
        assert validate(tomllib.loads(recipe.toml()), "again") == recipe


def test_the_papers_learning_rates_stand_in_the_recipe_of_its_backbone() -> None:
    recipe = load_recipe(RECIPES / "llama2-7b.toml")
    assert recipe.backbone.name == "meta-llama/Llama-2-7b-hf"
    assert [level.learning_rate for level in recipe.levels] == [8e-5, 2e-4, 1e-4]
    assert [level.name for level in recipe.levels] == ["SA", "ERC", "SD"]


def test_strategies_are_recipes_only() -> None:
    named = {path.stem: load_recipe(path) for path in RECIPES.glob("*.toml")}
    progressive = named["progressive"]
    assert [level.name for level in named["reverse"].levels] == ["SD", "ERC", "SA"]
    everything = {source.name for source in progressive.datasets}
    assert len(named["multitask"].levels) == 1
    assert {source.name for source in named["multitask"].datasets} == everything
    for name, level in (("sa-only", "SA"), ("erc-only", "ERC"), ("sd-only", "SD")):
        (only,) = named[name].levels
        assert only.datasets == next(one.datasets for one in progressive.levels if one.name == level)


def test_overrides_reach_any_key_by_number_or_name(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    recipe = load_recipe(
        path,
        ["levels.0.epochs=2.5", "levels.ERC.learning_rate=0.5", "training.max_row_tokens=128",
         "levels.SA.datasets.mosi.limit=7", "backbone.name=a/b", "layout.name=paper",
         "levels.0.datasets.0=mosei"],
        seed=9,
    )  # fmt: skip
    assert recipe.levels[0].epochs == 2.5
    assert recipe.levels[1].learning_rate == 0.5
    assert recipe.training.max_row_tokens == 128
    assert recipe.levels[0].datasets[1].limit == 7
    assert recipe.backbone.name == "a/b"
    assert recipe.layout.name == "paper"
    assert recipe.levels[0].datasets[0].name == "mosei"
    assert recipe.seed == 9


@pytest.mark.parametrize(
    ("override", "limits"),
    [
        ("levels.*.datasets.*.limit=3", [[3, 3], [3]]),
        ("levels.*.limit=3", [[3, 3], [3]]),
        ("levels.SA.limit=3", [[3, 3], [0]]),
        ("levels.*.datasets.0.limit=3", [[3, 10], [3]]),
        ("levels.SA.datasets.sst2.limit=3", [[3, 10], [0]]),
    ],
)
def test_overrides_reach_all_items_of_a_list(tmp_path: Path, override: str, limits: list[list[int]]) -> None:
    recipe = load_recipe(written(tmp_path, GOOD), [override])
    assert [[config.limit for config in level.datasets] for level in recipe.levels] == limits
    assert load_recipe(written(tmp_path, GOOD), ["levels.*.epochs=7"]).levels[1].epochs == 7


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("levels.7.epochs=1", "found no '7'"),
        ("levels.XX.epochs=1", "expected one of ['SA', 'ERC'], or * for all"),
        ("levels.7=1", "found no '7'"),
        ("name.x=1", "has no keys below it"),
        ("traning.max_row_tokens=128", "unknown key (did you mean 'training'?)"),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(written(tmp_path, GOOD), [override])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name = "x"', ""), "name: missing"),
        (('name = "x"', 'nmae = "x"'), "nmae: unknown key (did you mean 'name'?)"),
        (('name = "x"', 'name = "../x"'), "name: string should match"),
        (('name = "x"', "name = 3"), "name: input should be a valid string, found 3"),
        (("1e-3", "-1"), "levels.SA.learning_rate: input should be greater than 0, found -1"),
        (("1e-3", '"fast"'), "levels.SA.learning_rate: input should be a valid number"),
        (("learning_rate = 1e-3", ""), "levels.SA.learning_rate: missing"),
        (("learning_rate = 1e-3", "learning_rat = 1e-3"), "did you mean 'learning_rate'"),
        (('name = "ERC"', 'name = "SA"'), "two levels are named 'SA'"),
        (('["meld"]', "[]"), "levels.ERC.datasets: tuple should have at least 1 item"),
        (('["meld"]', '["meld", "meld"]'), "lists a dataset twice"),
        (('"sst2"', '{name = "sst2", limt = 3}'), "unknown key (did you mean 'limit'?)"),
        (('"sst2"', '{name = "sst2", limit = -3}'), "levels.SA.datasets.sst2.limit"),
        (('"sst2"', '{name = "sst2", limit = 3, per_class = 2}'), "expected at most one of the two"),
        (('"sst2"', '{name = "sst2", labels = ["a"]}'), "expected 'path' as well"),
        (('"sst2"', '{name = "mine", path = "x", task = "sentiment"}'), "labels: missing"),
        (('"sst2"', '{name = "mine", path = "x", labels = ["a", "b"], task = "sentimnt"}'), "'sentiment'?"),
        (('["meld"]', '["meld", {name = "mosi", limit = 3, fold = 1}]'), "the same for every use of a name"),
        (('["meld"]', '["mustard", {name = "mustardpp", fold = 1}]'), "leaks into testing"),
        (("[[levels]]", '[layout]\nname = "inline"\ncontext = "dialogue"\n[[levels]]'), "layout 'inline'"),
        (("[[levels]]", '[layout]\nname = "sideways"\n[[levels]]'), "layout.name: input should be 'paper'"),
        (("[[levels]]", "[lora]\nrank = 0\n[[levels]]"), "lora.rank: input should be greater"),
        (("[[levels]]", "[lora]\nrnk = 4\n[[levels]]"), "lora.rnk: unknown key (did you mean 'rank'?)"),
        (("[[levels]]", "[training]\nwarmup = 1.0\n[[levels]]"), "training.warmup: input should be less"),
        (("[[levels]]", "seed = -1\n[[levels]]"), "seed: input should be greater than or equal to 0"),
        (("[[levels]]", "[[levls]]"), "is not valid TOML"),
    ],
)  # fmt: skip
def test_wrong_recipes_name_file_key_and_fault(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    text = GOOD.replace(change[0], change[1], 1)
    assert text != GOOD
    if says == "is not valid TOML":
        text += "\n[["
    with pytest.raises(InputError) as caught:
        load_recipe(written(tmp_path, text))
    assert says in str(caught.value)
    assert "recipe.toml" in str(caught.value)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(InputError, match="is a folder"):
        load_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes("name = 'é'".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_recipe(tmp_path / "latin.toml")


def test_the_datasets_of_a_recipe_come_once_in_order() -> None:
    own = {"name": "a", "path": "p", "task": "sentiment", "labels": ["x", "y"]}
    levels = [
        {"name": n, "datasets": [{**own, "limit": int(n)}, f"d{n}"], "learning_rate": 0.1} for n in "12"
    ]
    recipe = Recipe.model_validate({"name": "r", "levels": levels})
    assert [config.name for config in recipe.datasets] == ["a", "d1", "d2"]
    assert recipe.datasets[0].limit == 1, "as the first level lists it"


def test_a_recipe_is_few_shot_if_any_dataset_of_any_level_is() -> None:
    levels = [{"name": n, "datasets": [{"name": "meld"}], "learning_rate": 0.1} for n in "12"]
    assert not Recipe.model_validate({"name": "r", "levels": levels}).few_shot
    levels[1]["datasets"] = [{"name": "meld", "per_class": 3}]
    assert Recipe.model_validate({"name": "r", "levels": levels}).few_shot


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"answer_weight": 0.5}, "answer_weight: found 0.5 with loss = 'answer'"),
        ({"balance": 0.5}, "balance: found 0.5 with loss = 'answer'"),
        ({"datasets": [{"name": "meld", "balance": 1.0}]}, "balance of 'meld': found 1.0 with loss"),
    ],
)
def test_keys_of_the_labels_loss_are_refused_beside_the_answer_loss(keys: dict, says: str) -> None:
    level = {"name": "L", "datasets": ["meld"], "learning_rate": 0.1, **keys}
    with pytest.raises(InputError, match=says):
        validate({"name": "r", "levels": [level]}, "r.toml")
    assert validate({"name": "r", "levels": [{**level, "loss": "labels"}]}, "r.toml")
