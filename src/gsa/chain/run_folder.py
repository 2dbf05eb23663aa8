"""A run folder that is read: its recipe, its chain, and the model of a level."""

from pathlib import Path

from gsa.atomic_io import without_checksum_line
from gsa.chain import base
from gsa.chain.chain import Chain
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Recipe


def load_run(root: Path, level: int | None = None, device: str = "") -> tuple[Recipe, Chain, LoadedModel]:
    """Return a run's recipe and chain, and the model of a level (None: the last); raises as `read_run`."""
    recipe, chain = read_run(root)
    return recipe, chain, chain.load(recipe.backbone, level, device)


def read_run(root: Path) -> tuple[Recipe, Chain]:
    """Return a run's recipe and chain without loading its model.

    Raises InputError if it is not a run, or if its recipe or chain is damaged.
    """
    if not root.is_dir() and str(root) == base.SHIPPED_NAME:
        raise InputError(
            f"run '{root}': nothing is written into the shipped model: expected a run, or the folder that "
            f"`gsa export {root} --format chain --out FOLDER` makes"
        )
    if not root.is_dir():
        raise InputError(f"run '{root}' does not exist: expected a folder made by `gsa tune`")
    chain = Chain.read(root)
    recipe = load_recipe(root / STORED_RECIPE)
    try:
        without_checksum_line((root / STORED_RECIPE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"'{root / STORED_RECIPE}': {error}; the `gsa tune` that made this run makes it anew"
        ) from None
    return recipe, chain


def run_to_read(run: Path) -> Path:
    """Return where a run lies that is only read; the shipped model's name counts unless a folder has it."""
    return base.SHIPPED if str(run) == base.SHIPPED_NAME and not run.is_dir() else run
