"""Models of a chain: a backbone, or a run that serves as one, with its links applied."""

from dataclasses import replace
from typing import Any

from gsa.chain.chain import Chain
from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.errors import InputError
from gsa.model import backbone as backbones
from gsa.model.backbone import LoadedModel
from gsa.model.precision import resolve_precision
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone

MAX_DEPTH = 8
"""How many runs may be tuned on one another."""


def load_base(
    backbone: Backbone, device: str = "", prediction: bool = False, host: bool = False
) -> LoadedModel:
    """Return a backbone in memory, or the run that serves as one: its base with its links.

    `prediction` and `host` as in `load_backbone`.

    Raises InputError as `load_backbone` does, and for a run that is damaged or lacks the level that
    `revision` names.
    """
    base, runs = resolve_base(backbone)
    loaded = backbones.load_backbone(base, device, prediction, host)
    identity = loaded.identity
    for chain, level in runs:
        chain.apply_to(loaded.model, identity, base.name, level)
        identity = chain.identity(level)
    return replace(loaded, identity=identity)


def load_chain(
    chain: Chain,
    backbone: Backbone,
    level: int | None = None,
    device: str = "",
    prediction: bool = False,
    host: bool = False,
) -> LoadedModel:
    """Return a chain's base with the first `level` links (None: all, 0: none).

    Links are merged into float32 weights and stay beside others. `prediction` and `host` as in
    `load_backbone`.

    Raises InputError where the base is another one, the chain is shorter, or a link is damaged.
    """
    chain.check_level(level)
    loaded = load_base(backbone, device, prediction, host)
    chain.apply_to(loaded.model, loaded.identity, backbone.name, level)
    return loaded


def load_config(backbone: Backbone) -> tuple[Any, Any]:
    """Return configuration and tokenizer of a backbone, or of the base of a run; no weights are read."""
    return backbones.load_config(resolve_base(backbone)[0])


def with_precision(backbone: Backbone, precision: str = "", device: str = "") -> Backbone:
    """Return a backbone with the precision in which it is loaded here, never `auto`.

    An empty `precision` is the backbone's own. Raises InputError for an unknown precision, or one that the
    device does not compute.
    """
    device = device or backbones.default_device()
    precision = precision or backbone.precision
    resolved: str = resolve_precision(precision, device)
    if precision == "auto" and resolved != "float32":
        chosen = backbone.model_copy(update={"precision": precision})
        architecture = backbones.model_type(resolve_base(chosen)[0])
        resolved = backbones.precision_of(chosen, architecture, device)
    return backbone.model_copy(update={"precision": resolved})


def resolve_base(backbone: Backbone) -> tuple[Backbone, list[tuple[Chain, int | None]]]:
    """Return the model below a backbone that is a run, and the runs on it with their levels, lowest first."""
    runs: list[tuple[Chain, int | None]] = []
    while run := _run_of(backbone.name):
        if len(runs) == MAX_DEPTH:
            raise InputError(f"backbone '{backbone.name}': {MAX_DEPTH} runs on one another: expected fewer")
        chain = Chain.read(run.root)
        level = None if backbone.revision == "main" else backbone.revision
        if level and not level.isdecimal():
            raise InputError(
                f"backbone '{backbone.name}' is a run, revision '{level}': expected main, or how many links"
            )
        chain.check_level(int(level) if level else None)
        runs.insert(0, (chain, int(level) if level else None))
        below = load_recipe(run.recipe_file).backbone
        backbone = backbone.model_copy(update={"name": below.name, "revision": below.revision})
    return backbone, runs


def base_name(backbone: Backbone) -> str:
    """Return the name of the model below a backbone: its own, or of a run that of its base."""
    return resolve_base(backbone)[0].name


def _run_of(name: str) -> RunFolder | None:
    """Return the run that a backbone's name means, None for a model."""
    run = RunFolder.shipped() if name == SHIPPED_NAME else RunFolder.find(name)
    if name == SHIPPED_NAME and not run.is_run():
        raise InputError(f"backbone '{name}': the shipped model is not in this installation")
    return run if run.is_run() else None
