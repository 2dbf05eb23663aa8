"""Where a predictor comes from: the shipped model, a run folder, a model folder or a Hugging Face id."""

from pathlib import Path
from typing import Any

from gsa.chain.base import load_base, load_chain, with_precision
from gsa.chain.calibration import Calibration
from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.data.layout import Layout
from gsa.data.task import TASKS
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import tasks_of
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, Training


def load(
    source: str | Path | None = None, level: int | None = None, device: str = "", precision: str = ""
) -> Predictor:
    """Return a predictor.

    `source` is a run folder, a model folder or a Hugging Face id; None or `gsa-135m` is the shipped model.
    `level` is how many links of a run are applied: None is all, 0 the untuned backbone. `precision` is
    float32, bfloat16, or auto for bfloat16 where the device computes it natively; by default that of the
    recipe of a run or a merged export, and float32, the reference, for other models. Raises InputError where
    there is no such source or level, and for a precision that is unknown or that the device does not compute.
    """
    folder = folder_of(source)
    run = RunFolder(folder)
    if run.is_run():
        return _load_run(run, level, device, precision)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise InputError(
            f"'{folder}' holds neither {run.chain_file.name} nor config.json: expected the folder of a run "
            "or of a model"
        )
    if level:
        raise InputError(f"level {level}: '{source}' has no links: expected level 0 or none")
    # A merged export has its recipe beside it; any other model is asked in the default layout.
    recipe = load_recipe(run.recipe_file) if run.recipe_file.is_file() else None
    backbone = recipe.backbone if recipe else Backbone()
    backbone = backbone.model_copy(update={"name": str(source), "revision": "main"})
    loaded = load_base(with_precision(backbone, precision, device), device)
    layout, tasks = (recipe.layout, tasks_of(recipe)) if recipe else (Layout(), TASKS)
    max_row_tokens = (recipe.training if recipe else Training()).max_row_tokens
    return Predictor(loaded, layout, tasks, max_row_tokens, _identity(loaded, [], layout))


def folder_of(source: str | Path | None) -> Path:
    """Return where a source would be on disk; raises InputError if it is the shipped model and not here."""
    if source is not None and str(source) != SHIPPED_NAME:
        return Path(source).expanduser()
    if not RunFolder.shipped().is_run():
        raise InputError(
            "the shipped model GSA-135M is not in this installation: expected a run folder made by "
            "`gsa tune`, a model folder or a Hugging Face id instead, such as smollm2-135m (untuned)"
        )
    return RunFolder.shipped().root


def _load_run(run: RunFolder, level: int | None, device: str, precision: str) -> Predictor:
    recipe, chain = run.read()
    loaded = load_chain(chain, with_precision(recipe.backbone, precision, device), level, device)
    links = [link.sha256 for link in chain.links[:level]]
    identity = _identity(loaded, links, recipe.layout)
    calibration = Calibration.read(run.root, chain.identity(level))
    if calibration:
        identity["calibration"] = calibration.content()
    max_row_tokens = recipe.training.max_row_tokens
    return Predictor(loaded, recipe.layout, tasks_of(recipe, level), max_row_tokens, identity, calibration)


def _identity(loaded: LoadedModel, links: list[str], layout: Layout) -> dict[str, Any]:
    """Return what predictions depend on."""
    return {
        "base": loaded.identity,
        "links": links,
        "layout": layout.model_dump(mode="json"),
        "precision": loaded.precision,
    }
