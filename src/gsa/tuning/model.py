"""A model that was tuned from Python: a predictor over its run, with its scores, which can be saved."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

from gsa.atomic_io import atomic_path, write_atomic
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import ModelSource
from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.prediction.loading import predictor_arguments
from gsa.prediction.predictor import Predictor
from gsa.progress import count_of
from gsa.recipes.schema import Recipe

DATA = "data"
"""Folder of the labelled texts in a saved run."""


@dataclass(frozen=True)
class HeldOut:
    """Weighted F1 on examples that the model was not tuned on, in percent."""

    n: int
    weighted_f1: float
    baseline: float | None
    """Of TF-IDF with logistic regression, trained on the same examples; None where it could not be."""

    @property
    def is_below_baseline(self) -> bool:
        """Whether the baseline is better."""
        return self.baseline is not None and self.weighted_f1 < self.baseline

    def __str__(self) -> str:
        """Return both scores as a sentence."""
        score = f"weighted F1 {self.weighted_f1:.1f} on {count_of(self.n, 'held-out example')}"
        if self.baseline is None:
            return score
        return f"{score}, TF-IDF with logistic regression {self.baseline:.1f}"


class TunedModel(Predictor):
    """What `gsa.tune` returns: a Predictor with one task of its own."""

    def __init__(self, folder: Path) -> None:
        """Load the run in a temporary folder's `run/`; the folder is removed with this object."""
        root = folder / "run"
        source = ModelSource.of_run(root)
        super().__init__(*predictor_arguments(source))
        assert source.recipe is not None
        self.recipe = source.recipe
        """The recipe of the run."""
        self.task_name = source.recipe.datasets[0].task
        """The task that it was tuned on; `classify` takes it, or any other task."""
        self.held_out: HeldOut | None = None
        """Scores on the held-out part, of a model that was not tuned on it; None if nothing was held out."""
        self.folds: tuple[HeldOut, ...] = ()
        """Scores of cross-validation, if they were requested: one a fold, of models tuned on the others."""
        self.run = root
        """The folder of the run."""
        finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the files of the run, from which the model is loaded again."""
        data = Path(self.recipe.datasets[0].path)
        files = {f"run/{name}": content for name, content in _contents(self.run).items()}
        files |= {f"data/{name}": content for name, content in _contents(data).items()}
        return _restore, (files, self.held_out, self.folds)

    def save(self, folder: str | Path) -> Path:
        """Write the run to a new folder and return it: `gsa.load` and all commands take it.

        The labelled texts are stored in it as `data/`, so that `gsa eval` and `gsa tune` find them. Raises
        InputError for a folder that exists.
        """
        target = Path(folder).expanduser().resolve()
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"'{folder}' exists: expected a new folder")
        data = Path(self.recipe.datasets[0].path)
        with atomic_path(target) as draft:
            shutil.copytree(self.run, draft)
            shutil.copytree(data, draft / DATA)
            replace_recipe(draft, _with_path(self.recipe, target / DATA))
        return target


def temporary_folder() -> Path:
    """Return a new temporary folder, to be given to a TunedModel."""
    return Path(mkdtemp(prefix="gsa-tune-"))


def _contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _restore(files: Mapping[str, bytes], held_out: HeldOut | None, folds: tuple[HeldOut, ...]) -> TunedModel:
    """Return a model from the content of its files, in a temporary folder of its own."""
    root = temporary_folder()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    recipe = RunFolder(root / "run").read()[0]
    replace_recipe(root / "run", _with_path(recipe, root / DATA))
    model = TunedModel(root)
    model.held_out, model.folds = held_out, folds
    return model


def replace_recipe(root: Path, recipe: Recipe) -> None:
    """Replace the recipe of a run whose levels are tuned, in its folder and in its chain's checksum."""
    run = RunFolder(root)
    chain = run.read()[1]
    write_atomic(run.recipe_file, recipe.toml())
    replace(chain, recipe=sha256(run.recipe_file)).write()


def _with_path(recipe: Recipe, data: Path) -> Recipe:
    (level,) = recipe.levels
    datasets = tuple(config.model_copy(update={"path": str(data)}) for config in level.datasets)
    return recipe.model_copy(update={"levels": (level.model_copy(update={"datasets": datasets}),)})
