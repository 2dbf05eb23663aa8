"""A run: recipe in, a folder with the tuned chain out (see `RunFolder`); the same call resumes it."""

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from gsa.atomic_io import is_temporary, remove_tree, write_atomic
from gsa.chain.base import load_base, load_chain, load_config, with_precision
from gsa.chain.chain import Chain
from gsa.chain.lora import apply_active, check_targets
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import with_layout_of_backbone
from gsa.errors import InputError
from gsa.model.backbone import default_device
from gsa.model.validation import check_symlinks, check_tokenizer, refuse_unsuitable
from gsa.progress import count_of
from gsa.recipes.datasets import warn_of_own_data
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.signals import Stopped, handle_signals
from gsa.training.distributed import process_group
from gsa.training.hf_trainer import TrainerCallback
from gsa.training.level import tune_level
from gsa.training.memory import limit_cached_products
from gsa.training.metadata import read_data, warn_of_changed_data, write_metadata
from gsa.training.sharding import is_sharded, shard
from gsa.training.trainer import Control
from gsa.training.training_data import build_training_data
from gsa.trie import attention

logger = logging.getLogger(__name__)


def summary(recipe: Recipe) -> str:
    """Return what a recipe tunes, in a line for the run and one for each level."""
    lora, backbone = recipe.lora, recipe.backbone
    lines = [
        f"{recipe.name}: {count_of(len(recipe.levels), 'level')} on {backbone.name} ({backbone.precision}), "
        f"LoRA rank {lora.rank} on {', '.join(lora.targets)}, seed {recipe.seed}"
    ]
    for number, level in enumerate(recipe.levels, 1):
        names = ", ".join(source.name for source in level.datasets)
        lines.append(
            f"  level {number} {level.name}: {names}; learning rate {level.learning_rate:g}, "
            f"epochs {level.epochs:g}, loss '{level.loss}'"
        )
    return "\n".join(lines)


def tune(recipe: Recipe, root: Path, callbacks: Sequence[TrainerCallback] = ()) -> Chain:
    """Tune every level of a recipe that `root` does not hold yet, one link each; return the chain.

    Raises InputError if `root` holds a run of another recipe, is damaged beyond repair, is in use by another
    process, or is not a run; Stopped if a signal asks for it, once a checkpoint is stored. All data is read
    before weights are loaded and before anything is written, so bad data costs no time.
    `precision = "auto"` is stored as what it was resolved to, which a run that resumes keeps. `callbacks` are
    transformers' own, called with the model of every level.

    Started by torchrun, the processes share the rows of each step (see `distributed`); all return the chain.
    """
    limit_cached_products()
    run = RunFolder(root)
    with process_group() as ranks, handle_signals() as stop, ExitStack() as lock:
        recipe, chain, log = ranks.broadcast(lambda: _open(recipe, run, lock))
        if chain and len(chain.links) == len(recipe.levels):
            return ranks.broadcast(lambda: _finished(recipe, run, chain, log))
        return _tune(recipe, run, chain, Control(stop, ranks, callbacks))


def _open(recipe: Recipe, run: RunFolder, lock: ExitStack) -> tuple[Recipe, Chain | None, str]:
    """Lock the run folder, check what it holds; return the resolved recipe, the chain and its log so far."""
    _check_folder(run)
    recipe = with_layout_of_backbone(_with_precision(recipe, run))
    lock.enter_context(run.lock("tune"))
    _check_folder(run)
    check_symlinks(run.root)
    chain = Chain.read(run.root) if run.is_run() else None
    _check_recipe(recipe, run, chain)
    return recipe, chain, chain.log() if chain else ""  # raises if a link is damaged


def _with_precision(recipe: Recipe, run: RunFolder) -> Recipe:
    """Return the recipe with `auto` replaced: by the run's precision, or else by this machine's."""
    stored = ""
    if recipe.backbone.precision == "auto" and run.is_run() and run.recipe_file.is_file():
        stored = load_recipe(run.recipe_file).backbone.precision
    backbone = with_precision(recipe.backbone, stored)
    if backbone != recipe.backbone:
        logger.info("precision %s", backbone.precision)
    return recipe.model_copy(update={"backbone": backbone})


def _tune(recipe: Recipe, run: RunFolder, chain: Chain | None, control: Control) -> Chain:
    """Tune the levels that the chain lacks."""
    finished = len(chain.links) if chain else 0
    sharded = is_sharded(recipe, control.ranks)
    config, tokenizer = load_config(recipe.backbone)
    refuse_unsuitable(config, recipe.backbone.name, recipe.layout.max_tokens)
    check_tokenizer(tokenizer, config, recipe.backbone.name)
    levels = {level.name: build_training_data(recipe, level, tokenizer) for level in recipe.levels[finished:]}
    if chain:
        logger.info("%s: %d of %s tuned already", run.root, finished, count_of(len(recipe.levels), "level"))
        loaded = load_chain(chain, recipe.backbone, host=sharded)
    else:
        loaded = load_base(recipe.backbone, host=sharded)
        chain = Chain(run.root, loaded.identity)
    _check_attention(loaded.model.config, recipe)
    for level in recipe.levels[finished:]:
        check_targets(loaded.model, recipe.lora_of(level))
    chain = replace(chain, recipe=_checksum(recipe))
    if control.ranks.is_main:
        if finished:
            done = recipe.model_copy(update={"levels": recipe.levels[:finished]})
            warn_of_changed_data(done, read_data(run))
        for source in {c.name: c for level in recipe.levels[finished:] for c in level.datasets}.values():
            if source.path:
                warn_of_own_data(source)
        write_atomic(run.recipe_file, recipe.toml())
        write_metadata(recipe, run, levels)
        chain.write()
    model = loaded.model
    del loaded
    for number, level in enumerate(recipe.levels[finished:], finished + 1):
        if sharded:  # a link cannot be applied to split weights, so later levels load them again
            if model is None:
                model = load_chain(chain, recipe.backbone, host=True).model
            model = shard(model, recipe.backbone, control.ranks)
        linked, chain = tune_level(recipe, number, model, chain, levels.pop(level.name), control)
        model = None if sharded else apply_active(linked)
        del linked  # what is split must go before it is loaded again
        if control.stop.signum:
            raise Stopped(control.stop.signum, f"level {number} {level.name} is finished and stored")
    return chain


def _check_attention(config: Any, recipe: Recipe) -> None:
    """Raise InputError where the attention cannot be trained: dropout by runs, and FlexAttention on a CPU."""
    if config._attn_implementation == "flex_attention" and default_device() == "cpu":
        raise InputError(
            'backbone.attention = "flex" has no backward pass on a CPU: expected "runs" or "dense", or a GPU'
        )
    share = getattr(config, "attention_dropout", 0)
    if share and config._attn_implementation == attention.NAME:
        raise InputError(
            f"backbone '{recipe.backbone.name}' has attention_dropout = {share}, which attention by runs "
            'does not compute: expected 0, or backbone.attention = "dense"'
        )


def _finished(recipe: Recipe, run: RunFolder, chain: Chain, log: str) -> Chain:
    """Return the chain of a run whose levels are all tuned, damaged files that can be made again repaired."""
    logger.info("%s: tuned already, %s", run.root, count_of(len(chain.links), "level"))
    warn_of_changed_data(recipe, read_data(run))
    if log:
        _repair(run.log_file, log)
    remove_tree(run.checkpoints_folder)
    if chain.recipe != _checksum(recipe):  # another name, or other settings of the evaluation
        chain = replace(chain, recipe=_checksum(recipe))
        write_atomic(run.recipe_file, recipe.toml())
        chain.write()
    return chain


def _check_folder(run: RunFolder) -> None:
    """Raise InputError unless the folder is new, empty, or holds a run."""
    root = run.root
    if root.exists() and not run.is_run() and not run.recipe_file.is_file():
        files = root.iterdir() if root.is_dir() else [root]
        if any(not is_temporary(path) and path.suffix != ".lock" for path in files):
            raise InputError(f"'{root}' exists and is not a run: expected a new or empty folder for --out")
    if not run.is_run() and any(run.links_folder.glob("*/*")):
        raise InputError(
            f"'{root}' holds links, but its {run.chain_file.name} is missing: expected both; restore it from "
            "a copy, or tune into another --out"
        )


def _check_recipe(recipe: Recipe, run: RunFolder, chain: Chain | None) -> None:
    """Raise InputError unless the folder has a run of this recipe, or one that tuned nothing yet, or none.

    A recipe that adds levels, changes levels that were not begun, or has another name, counts as the same: a
    copy of a run may continue with other folds or data.
    """
    begun = (len(chain.links) if chain else 0) + run.checkpoints_folder.exists()
    if not begun:
        return
    if chain and chain.recipe == _checksum(recipe):
        _repair(run.recipe_file, recipe.toml())
        return
    before = load_recipe(run.recipe_file)
    free = {"name": recipe.name, "levels": recipe.levels, "evaluation": recipe.evaluation}
    if before.model_copy(update=free) == recipe and before.levels[:begun] == recipe.levels[:begun]:
        logger.info(
            "%s: the recipe differs from the run's in name, in levels not yet begun or in evaluation",
            run.root,
        )
        return
    different = [key for key in Recipe.model_fields if getattr(before, key) != getattr(recipe, key)]
    if different:
        raise InputError(
            f"'{run.root}' holds a run of another recipe ('{different[0]}' differs): expected the same "
            "recipe, or another --out"
        )


def _checksum(recipe: Recipe) -> str:
    return hashlib.sha256(recipe.toml().encode()).hexdigest()


def _repair(path: Path, content: str) -> None:
    """Write a file again, and report it, if it is not as it was written."""
    if not path.is_file() or path.read_bytes() != content.encode():
        logger.warning("%s was damaged or missing: written again", path)
        write_atomic(path, content)
