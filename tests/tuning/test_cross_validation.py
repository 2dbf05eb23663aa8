"""Folds of one's own data in one command: a run each, scored on what it was not tuned on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from labelled import LABELS, TEXTS

from gsa.errors import InputError
from gsa.recipes.datasets import load_splits
from gsa.recipes.loader import load_recipe, validate
from gsa.tuning.cross_validation import cross_validate

RECIPE = """
name = "tickets"
[backbone]
name = "{backbone}"
[training]
max_row_tokens = 800
examples_per_step = 8
[lora]
rank = 2
[[levels]]
name = "urgency"
learning_rate = 1e-2
epochs = 2
[[levels.datasets]]
name = "tickets"
path = "data"
task = "urgency"
text_column = "body"
instruction = "How urgent is it?"
labels = ["urgent", "can wait"]
"""


@pytest.fixture
def recipe_file(tiny_folder: Path, tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    lines = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    (tmp_path / "data" / "train.csv").write_text("\n".join(["body,label", *lines[:90]]))
    (tmp_path / "data" / "dev.csv").write_text("\n".join(["body,label", *lines[90:]]))
    file = tmp_path / "tickets.toml"
    file.write_text(RECIPE.format(backbone=tiny_folder.as_posix()))
    return file


def test_every_row_is_scored_once_by_a_run_that_did_not_read_it(
    recipe_file: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, messages = run("tune", recipe_file, "--folds", 3, "--out", tmp_path / "folds")
    assert code == 0, messages
    header, *folds, mean, where = out.splitlines()[-6:]
    assert header.split()[:4] == ["fold", "n", "weighted", "F1"]
    assert [line.split()[:2] for line in folds] == [["1", "40"], ["2", "40"], ["3", "40"]]
    assert mean.split()[:2] == ["mean", "120"]
    assert float(mean.split()[3]) == 100, "one word tells all"
    assert where == f"the runs of the folds are in {tmp_path / 'folds'}"
    texts: list[str] = []
    for number in (1, 2, 3):
        fold = load_recipe(tmp_path / "folds" / f"fold{number}" / "recipe.toml")
        splits = {
            split: {example.utterance.text for example in examples}
            for split, examples in load_splits(fold.datasets[0]).items()
        }
        assert not splits["train"] & splits["test"]
        assert len(splits["train"] | splits["test"]) == 120
        texts += splits["test"]
    assert sorted(texts) == sorted(TEXTS)
    again = run("tune", recipe_file, "--folds", 3, "--out", tmp_path / "folds")
    assert again[1].splitlines()[-6:] == out.splitlines()[-6:]
    assert "tuned already" in again[2]


def test_what_has_no_folds_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file)
    with pytest.raises(InputError, match="folds: expected 2 or more, found 1"):
        cross_validate(recipe, tmp_path / "folds", 1)
    levels = [{"name": "SA", "learning_rate": 0.1, "datasets": [{"name": "sst2"}]}]
    with pytest.raises(InputError, match=r"expected one dataset with a path, without aspects.* found 0"):
        cross_validate(validate({"name": "x", "levels": levels}, "x"), tmp_path / "folds", 3)


def test_every_level_on_the_same_data_leaves_the_fold_out(recipe_file: Path, tmp_path: Path) -> None:
    again = RECIPE[RECIPE.index("[[levels]]") :].replace('"urgency"\nlearning', '"again"\nlearning')
    text = recipe_file.read_text() + again.replace('path = "data"', 'path = "data"\nlimit = 20')
    recipe_file.write_text(text.replace("epochs = 2", "epochs = 0.2"))
    scores = cross_validate(load_recipe(recipe_file), tmp_path / "out", 2)
    assert len(scores) == 2
    for number in (1, 2):
        recipe = load_recipe(tmp_path / "out" / f"fold{number}" / "recipe.toml")
        assert [level.name for level in recipe.levels] == ["urgency", "again"]
        paths = {config.path for level in recipe.levels for config in level.datasets}
        assert paths == {str(tmp_path / "out" / "data" / f"fold{number}")}
