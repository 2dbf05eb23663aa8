"""Where a predictor comes from: the shipped model, a run folder, a model folder or a Hugging Face id."""

from pathlib import Path
from typing import Any, get_args

from gsa.chain.base import load_base, load_chain
from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.data.layout import Layout
from gsa.data.task import TASKS
from gsa.errors import InputError
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import tasks_of
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, Training

DTYPES = get_args(Backbone.model_fields["dtype"].annotation)


def load(
    source: str | Path | None = None, level: int | None = None, device: str = "", dtype: str = ""
) -> Predictor:
    """Return a predictor.

    `source` is a run folder, a model folder or a Hugging Face id; None or `gsa-135m` is the shipped model.
    `level` is how many links of a run are merged: None is all, 0 the untuned backbone. `dtype` is the type of
    the weights, float32, bfloat16 or float16; by default that of the recipe of a run or a merged export, and
    float32 for other models. Raises InputError where there is no such source, level or type.
    """
    if dtype and dtype not in DTYPES:
        raise InputError(f"dtype '{dtype}': expected one of {', '.join(DTYPES)}")
    folder = folder_of(source)
    run = RunFolder(folder)
    if run.is_run():
        return _load_run(run, level, device, dtype)
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
    options = {"name": str(source), "revision": "main", "dtype": dtype or backbone.dtype}
    loaded = load_base(backbone.model_copy(update=options), device)
    layout, tasks = (recipe.layout, tasks_of(recipe)) if recipe else (Layout(), TASKS)
    row_tokens = (recipe.training if recipe else Training()).row_tokens
    return Predictor(
        loaded, layout, tasks, row_tokens, _identity(loaded.identity, [], layout, options["dtype"])
    )


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


def _load_run(run: RunFolder, level: int | None, device: str, dtype: str) -> Predictor:
    recipe, chain = run.read()
    backbone = recipe.backbone.model_copy(update={"dtype": dtype or recipe.backbone.dtype})
    loaded = load_chain(chain, backbone, level, device)
    links = [link.sha256 for link in chain.links[:level]]
    identity = _identity(loaded.identity, links, recipe.layout, backbone.dtype)
    return Predictor(loaded, recipe.layout, tasks_of(recipe), recipe.training.row_tokens, identity)


def _identity(base: str, links: list[str], layout: Layout, dtype: str) -> dict[str, Any]:
    return {"base": base, "links": links, "layout": layout.model_dump(mode="json"), "dtype": dtype}
