"""A folder of results apart from the model: whose results it holds, and the recipe beside the rows."""

from collections.abc import Iterable
from pathlib import Path

from gsa.atomic_io import write_atomic
from gsa.chain.run_folder import RunFolder
from gsa.errors import InputError
from gsa.evaluation import results
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import DatasetConfig, Recipe


def check_model(root: Path, name: str) -> None:
    """Raise InputError if a folder is a run, or holds results of a model of another name."""
    if RunFolder(root).is_run():
        raise InputError(f"'{root}' is a run: expected another --out, a folder of results")
    others = {row.run for row in results.read(root)} - {name}
    if others:
        raise InputError(
            f"'{root}' holds results of '{min(others)}': expected another --out, one folder a model"
        )


def store_recipe(root: Path, recipe: Recipe, datasets: Iterable[DatasetConfig]) -> None:
    """Store a run's recipe beside its results, for `gsa report`.

    `evaluation.datasets` are those that were evaluated in this folder, earlier ones included.
    """
    file = RunFolder(root).recipe_file
    before = (load_recipe(file).evaluation.datasets or ()) if file.is_file() else ()
    tuned = {config.name for config in recipe.datasets}
    by_name = {config.name: config for config in (*before, *datasets)}
    others = tuple(config for name, config in by_name.items() if name not in tuned)
    evaluation = recipe.evaluation.model_copy(update={"datasets": others or None})
    write_atomic(file, recipe.model_copy(update={"evaluation": evaluation}).toml())
