"""Automatic keys: chosen for the size of users' own data, never in recipes of the catalogue."""

import logging
from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.recipes.automatic import settings_for
from gsa.recipes.loader import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
OWN = """
name = "own"
[[levels]]
name = "one"
datasets = [{{ name = "own", path = "{path}", task = "sentiment", labels = ["bad", "good"] }}]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of 40 texts without any setting."""
    rows = [f"text {i},{'good' if i % 2 else 'bad'}\n" for i in range(40)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(rows))
    file = tmp_path / "own.toml"
    file.write_text(OWN.format(path=tmp_path.as_posix()))
    return file


def test_what_is_left_out_is_chosen_for_the_number_of_examples(recipe: Path, caplog) -> None:
    with caplog.at_level(logging.INFO):
        resolved = load_recipe(recipe)
    (level,), settings = resolved.levels, settings_for(40)
    assert (level.learning_rate, level.epochs, level.loss) == (
        settings.learning_rate,
        settings.epochs,
        "labels",
    )
    assert resolved.training.examples_per_step == settings.examples_per_step
    assert f"level one, 40 examples: loss labels, learning rate {level.learning_rate}" in caplog.text
    fewer = load_recipe(recipe, ["levels.0.datasets.0.limit=4"])
    assert fewer.levels[0].epochs >= level.epochs
    assert fewer.training.examples_per_step <= resolved.training.examples_per_step


def test_what_is_given_is_kept(recipe: Path) -> None:
    keys = ["levels.0.epochs=2", "levels.0.learning_rate=0.01", "levels.0.loss=answer"]
    resolved = load_recipe(recipe, [*keys, "training.examples_per_step=32"])
    (level,) = resolved.levels
    assert (level.epochs, level.learning_rate, level.loss) == (2, 0.01, "answer")
    assert resolved.training.examples_per_step == 32


def test_a_stored_recipe_has_numbers(recipe: Path, tmp_path: Path) -> None:
    resolved = load_recipe(recipe)
    stored = tmp_path / "recipe.toml"
    stored.write_text(resolved.toml())
    (tmp_path / "train.csv").unlink()
    assert load_recipe(stored) == resolved, "its data is not read"


def test_recipes_of_the_catalogue_are_as_they_were(tmp_path: Path) -> None:
    demo = load_recipe(RECIPES / "demo.toml")
    assert demo.training.examples_per_step == 32 or "examples_per_step" in (RECIPES / "demo.toml").read_text()
    assert demo.levels[0].loss == "answer"
    file = tmp_path / "some.toml"
    file.write_text('name = "x"\n[[levels]]\nname = "SA"\ndatasets = ["sampler-sentiment"]\n')
    with pytest.raises(InputError, match=r"levels\.SA\.learning_rate: missing"):
        load_recipe(file)
    chosen = load_recipe(file, ["levels.0.learning_rate=auto", "levels.0.epochs=auto"])
    assert chosen.levels[0].epochs == settings_for(186).epochs
    assert (chosen.levels[0].loss, chosen.training.examples_per_step) == ("answer", 32)


def test_missing_data_is_named(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").unlink()
    with pytest.raises(InputError, match="expected train or test examples"):
        load_recipe(recipe)


def test_more_examples_never_mean_more_epochs_or_smaller_steps() -> None:
    chosen = [settings_for(n) for n in (0, 1, 16, 64, 99, 100, 300, 999, 1000, 4999, 5000, 10**6)]
    epochs = [settings.epochs for settings in chosen]
    assert epochs == sorted(epochs, reverse=True)
    steps = [settings.examples_per_step for settings in chosen]
    assert steps == sorted(steps)
    assert (epochs[-1], steps[-1]) == (1, 32)


def test_a_large_backbone_is_tuned_at_a_lower_rate() -> None:
    small = settings_for(200, "gsa-135m")
    assert small == settings_for(200, "runs/tickets") == settings_for(200, "HuggingFaceTB/SmolLM2-360M")
    for name in ("meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-0.5B", "meta-llama/Llama-3.2-1B"):
        large = settings_for(200, name)
        assert large.learning_rate == pytest.approx(small.learning_rate / 10)
        assert (large.epochs, large.examples_per_step) == (small.epochs, small.examples_per_step)
