"""The base of a chain: a backbone or a run in, its model with the run's links merged out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gsa.chain.manifest import MANIFEST, Manifest
from gsa.errors import InputError
from gsa.model import backbone as backbones
from gsa.model.backbone import LoadedModel
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Backbone

DEEPEST = 8
"""How many runs may be tuned on one another."""


SHIPPED_NAME = "gsa-135m"
SHIPPED = Path(__file__).parents[1] / "pretrained" / SHIPPED_NAME
"""The model that comes with this package, in the form of a run folder."""


def load_base(backbone: Backbone, device: str = "") -> LoadedModel:
    """Load a backbone, or the run that serves as one: its base with its links merged.

    Raises InputError as `load_backbone` does, and where it is a run that is damaged or has not the level that
    `revision` asks for.
    """
    base, runs = resolve_base(backbone)
    loaded = backbones.load_backbone(base, device)
    identity = loaded.identity
    for run, level in runs:
        run.merge_into(loaded.model, identity, base.name, level)
        identity = run.identity(level)
    return replace(loaded, identity=identity)


def load_config(backbone: Backbone) -> tuple[Any, Any]:
    """Load the configuration and tokenizer of a backbone or of the base of a run, not its weights."""
    return backbones.load_config(resolve_base(backbone)[0])


def resolve_base(backbone: Backbone) -> tuple[Backbone, list[tuple[Manifest, int | None]]]:
    """Return the model below a backbone that is a run, and the runs on it with their levels, lowest first."""
    runs: list[tuple[Manifest, int | None]] = []
    while folder := _run_folder(backbone.name):
        if len(runs) == DEEPEST:
            raise InputError(f"backbone '{backbone.name}': {DEEPEST} runs on one another: expected fewer")
        run = Manifest.read(folder)
        level = None if backbone.revision == "main" else backbone.revision
        if level and not level.isdecimal():
            raise InputError(
                f"backbone '{backbone.name}' is a run, revision '{level}': expected main, or how many links"
            )
        run.check_level(int(level) if level else None)
        runs.insert(0, (run, int(level) if level else None))
        own = load_recipe(folder / STORED_RECIPE).backbone
        backbone = backbone.model_copy(update={"name": own.name, "revision": own.revision})
    return backbone, runs


def base_name(backbone: Backbone) -> str:
    """Return the name of the model that a backbone is in the end: its own, or of a run its base's."""
    return resolve_base(backbone)[0].name


def _run_folder(name: str) -> Path | None:
    """Return the folder of a backbone that is a run."""
    if name == SHIPPED_NAME and not (SHIPPED / MANIFEST).is_file():
        raise InputError(f"backbone '{name}': the shipped model is not in this installation")
    folder = SHIPPED if name == SHIPPED_NAME else Path(name).expanduser()
    return folder if (folder / MANIFEST).is_file() else None
