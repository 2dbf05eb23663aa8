"""Where a predictor comes from: the shipped model, a run folder, a model folder or a Hugging Face id."""

from pathlib import Path
from typing import Any

from gsa.chain import base
from gsa.chain.manifest import MANIFEST
from gsa.chain.run_folder import load_run
from gsa.data.layout import Layout
from gsa.data.task import TASKS
from gsa.errors import InputError
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import tasks_of
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Backbone


def load(source: str | Path | None = None, level: int | None = None, device: str = "") -> Predictor:
    """Return a predictor.

    `source` is a run folder, a model folder or a Hugging Face id; None or `gsa-135m` is the shipped model.
    `level` is how many links of a run are merged: None is all, 0 the untuned backbone. Raises InputError
    where there is no such source or level.
    """
    folder = folder_of(source)
    if (folder / MANIFEST).is_file():
        return _load_run(folder, level, device)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise InputError(
            f"'{folder}' holds neither {MANIFEST} nor config.json: expected the folder of a run or of a model"
        )
    if level:
        raise InputError(f"level {level}: '{source}' has no links: expected level 0 or none")
    # A merged export says how it was tuned; any other model is asked in the default layout.
    stored = folder / STORED_RECIPE
    recipe = load_recipe(stored) if stored.is_file() else None
    loaded = base.load_base(Backbone(name=str(source)), device)
    layout, tasks = (recipe.layout, tasks_of(recipe)) if recipe else (Layout(), TASKS)
    return Predictor(loaded, layout, tasks, identity=_identity(loaded.identity, [], layout))


def folder_of(source: str | Path | None) -> Path:
    """Return where a source would be on disk; raises InputError if it is the shipped model and not here."""
    if source is not None and str(source) != base.SHIPPED_NAME:
        return Path(source).expanduser()
    if not (base.SHIPPED / MANIFEST).is_file():
        raise InputError(
            "the shipped model GSA-135M is not in this installation: expected a run folder made by "
            "`gsa tune`, a model folder or a Hugging Face id instead, such as smollm2-135m (untuned)"
        )
    return base.SHIPPED


def _load_run(root: Path, level: int | None, device: str) -> Predictor:
    recipe, chain, loaded = load_run(root, level, device)
    links = [link.sha256 for link in chain.links[:level]]
    identity = _identity(loaded.identity, links, recipe.layout)
    return Predictor(loaded, recipe.layout, tasks_of(recipe), recipe.training.row_tokens, identity)


def _identity(base: str, links: list[str], layout: Layout) -> dict[str, Any]:
    return {"base": base, "links": links, "layout": layout.model_dump(mode="json")}
