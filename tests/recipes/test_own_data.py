"""A user's own data in a recipe: names of columns, numbers as labels, paths, a byte order mark."""

from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.recipes.datasets import check_folders, load_splits, task_of
from gsa.recipes.loader import load_recipe

RECIPE = """\ufeffname = "x"
[[levels]]
name = "SA"
learning_rate = 1e-3
[[levels.datasets]]
name = "own"
path = "{path}"
task = "stars"
instruction = "How many stars?"
labels = [1, " 5 "]
text_column = "review"
label_column = "stars"
speaker_column = "who"
dialogue_column = "talk"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_bytes(
        b"\xef\xbb\xbfreview,stars,who,talk\nFine.,5,1,a\nBad.,1,2,a\n"
    )
    path = tmp_path / "recipes" / "own.toml"
    path.write_text(RECIPE.format(path="../data"), encoding="utf-8")
    return path


def test_columns_labels_and_paths(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    resolved = load_recipe(recipe)
    (config,) = resolved.datasets
    assert config.path == str(tmp_path / "data"), "relative to the recipe, and stored whole"
    assert config.labels == task_of(config).labels == ("1", "5")
    examples = load_splits(config)["train"]
    assert [(e.utterance.line(), e.label, e.dialogue.id, e.target) for e in examples] == [
        ("1: Fine.", "5", "a", 0), ("2: Bad.", "1", "a", 1),
    ]  # fmt: skip
    check_folders(resolved)
    stored = tmp_path / "run" / "recipe.toml"
    stored.parent.mkdir()
    stored.write_text(resolved.toml())
    assert load_recipe(stored) == resolved


def test_a_path_of_an_override_is_relative_to_the_current_folder(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = load_recipe(recipe, ["levels.SA.datasets.own.path=data"])
    assert resolved.datasets[0].path == str(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_recipe(recipe, ["levels.SA.datasets.own.path=~/data"]) == resolved
    absent = r"dataset 'own': expected the folder '.*/dta', found none"
    with pytest.raises(InputError, match=absent):
        load_recipe(recipe, ["levels.SA.datasets.own.path=dta"])
    settings = ["levels.SA.loss=answer", "levels.SA.epochs=1", "training.examples_per_step=8"]
    missing = load_recipe(recipe, ["levels.SA.datasets.own.path=dta", *settings])
    with pytest.raises(InputError, match=absent):
        check_folders(missing)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Fine.,5", "Fine.,4", "line 2: expected a label out of 1, 5, found '4'"),
        ("Fine.,5,1,a", "Fine.,,1,b", "line 2: expected a label at a turn of 'b', found none"),
        ("Fine.,5", " ,5", "line 2: 'review': expected a text, found an empty one"),
        (
            "review,stars",
            "text,stars",
            r"found no column 'review'.*: expected the text column to be one of",
        ),
        ("review,stars", "review,star", r"expected a column 'stars' \(did you mean 'star'\?\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(recipe: Path, old: str, new: str, says: str) -> None:
    table = recipe.parents[1] / "data" / "train.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=says):
        load_splits(load_recipe(recipe).datasets[0])


def test_aspects_may_be_a_column(recipe: Path) -> None:
    table = recipe.parents[1] / "data" / "train.csv"
    table.write_text("review,stars,who,talk,about\nFine.,5,1,,food\nFine.,1,2,,staff\n", encoding="utf-8")
    text = RECIPE.format(path="../data")
    recipe.write_text(f'{text}aspect_column = "about"\n', encoding="utf-8")
    (config,) = load_recipe(recipe).datasets
    assert task_of(config).about == "Aspect"
    examples = load_splits(config)["train"]
    assert [(e.label, e.aspect) for e in examples] == [("5", "food"), ("1", "staff")]
    table.write_text("review,stars,who,talk,about\nFine.,5,1,,\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2: expected an aspect, found none"):
        load_splits(config)


def test_columns_are_of_own_data(recipe: Path) -> None:
    text = RECIPE.format(path="").replace("instruction", "#").replace("task", "#")
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="labels: is for your own data: expected 'path' as well"):
        load_recipe(recipe)
