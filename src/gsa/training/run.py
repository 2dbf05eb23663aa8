"""A run: recipe in, a folder with the tuned chain out; the same call resumes it.

run/recipe.toml     the recipe as resolved
run/run.json        seed, versions, commit, checksums of the training examples
run/chain.json      base and links with their checksums; grows as levels finish
run/links/          one PEFT adapter folder a level
run/checkpoints/    of the level under way
run/log.jsonl       one line a step
"""

import hashlib
import platform
import subprocess
import zlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gsa.atomic_io import from_checked_json, remove_tree, to_checked_json, with_checksum_line, write_atomic
from gsa.chain.base import load_base, load_config
from gsa.chain.chain import Chain
from gsa.chain.manifest import LOG, MANIFEST
from gsa.errors import InputError
from gsa.locking import folder_lock
from gsa.model.validation import nothing_outside
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Recipe
from gsa.signals import Stop, Stopped, handle_signals
from gsa.training.dataset import TrainingData, build_training_data
from gsa.training.level import SCRATCH, Say, tune_level

NOTE = "run.json"


def tune(recipe: Recipe, root: Path, say: Say = print) -> Chain:
    """Tune every level of a recipe that `root` does not hold yet, one link each.

    Raises InputError if `root` holds a run of another recipe, is damaged where it cannot be mended, is in
    use by another process, or is not a run; Stopped if a signal asks to stop, once a checkpoint is stored.
    All data is read before weights are loaded and before anything is written, so bad data costs no time.
    """
    _check_folder(root)
    with handle_signals() as stop, folder_lock(root, "tune"):
        _check_folder(root)
        return _tune(recipe, root, say, stop)


def _tune(recipe: Recipe, root: Path, say: Say, stop: Stop) -> Chain:
    nothing_outside(root)
    chain = Chain.read(root) if (root / MANIFEST).is_file() else None
    _check_recipe(recipe, root, chain, say)
    finished = len(chain.links) if chain else 0
    log = chain.log() if chain else ""  # says if a link is damaged
    if chain and finished == len(recipe.levels):
        say(f"{root}: all {finished} levels are tuned already")
        _earlier_data(root, say)
        if all(link.log for link in chain.links):
            _mend(root / LOG, log, say)
        remove_tree(root / SCRATCH)
        if chain.recipe != _checksum(recipe):  # of a run made before recipes were noted so
            chain = replace(chain, recipe=_checksum(recipe))
            write_atomic(root / STORED_RECIPE, with_checksum_line(recipe.toml()))
            chain.write()
        return chain
    _, tokenizer = load_config(recipe.backbone)
    plans = {level.name: build_training_data(recipe, level, tokenizer) for level in recipe.levels[finished:]}
    if chain:
        say(f"{root}: {finished} of {len(recipe.levels)} levels are tuned already")
        loaded = chain.load(recipe.backbone)
    else:
        loaded = load_base(recipe.backbone)
        chain = Chain(root, loaded.identity)
    chain = replace(chain, recipe=_checksum(recipe))
    write_atomic(
        root / STORED_RECIPE, with_checksum_line(recipe.toml())
    )  # first: it is what makes the folder a run
    _note(recipe, root, plans, say)
    chain.write()
    model = loaded.model
    for number, level in enumerate(recipe.levels[finished:], finished + 1):
        model, chain = tune_level(recipe, level, number, model, chain, plans.pop(level.name), say, stop)
        if stop.signum:
            raise Stopped(stop.signum, f"level {number} {level.name} is finished and stored")
    return chain


def _check_folder(root: Path) -> None:
    """Raise InputError unless `root` is new, empty, or holds a run."""
    if root.exists() and not any((root / name).is_file() for name in (STORED_RECIPE, MANIFEST)):
        found = not root.is_dir() or [p for p in root.iterdir() if p.suffix not in (".part", ".lock")]
        if found:
            raise InputError(f"'{root}' is there and is not a run: expected a new or empty folder for --out")
    if not (root / MANIFEST).is_file() and any((root / "links").glob("*/*")):
        raise InputError(
            f"'{root}' holds links, but its {MANIFEST} is missing: expected both; bring it back from a copy, "
            "or tune into another --out"
        )


def _check_recipe(recipe: Recipe, root: Path, chain: Chain | None, say: Say) -> None:
    """Raise InputError unless `root` has a run of this recipe, or one that tuned nothing yet, or none.

    A recipe that goes on where the run's ends, or changes levels that were not begun, is the same recipe; so
    is one of another name: a copy of a run may go on with other folds or data.
    """
    stored = root / STORED_RECIPE
    if not (root / SCRATCH).exists() and not (chain and chain.links):
        return
    if chain and chain.recipe == _checksum(recipe):
        _mend(stored, with_checksum_line(recipe.toml()), say)
        return
    before = load_recipe(stored)
    begun = (len(chain.links) if chain else 0) + (root / SCRATCH).exists()
    later = {"name": recipe.name, "levels": recipe.levels, "evaluation": recipe.evaluation}
    if before.model_copy(update=later) == recipe and before.levels[:begun] == recipe.levels[:begun]:
        say(f"{root}: goes on with a recipe that differs in name, in levels not yet begun or in evaluation")
        return
    differs = [key for key in Recipe.model_fields if getattr(before, key) != getattr(recipe, key)]
    if differs:
        raise InputError(
            f"'{root}' holds a run of another recipe ('{differs[0]}' differs): expected the same recipe, "
            "or another --out"
        )


def _checksum(recipe: Recipe) -> str:
    return hashlib.sha256(recipe.toml().encode()).hexdigest()


def _mend(path: Path, content: str, say: Say) -> None:
    """Write a file anew, and tell so, if it is not as it was written."""
    if not path.is_file() or path.read_bytes() != content.encode():
        say(f"{path} was damaged or missing: written anew")
        write_atomic(path, content)


def _note(recipe: Recipe, root: Path, plans: dict[str, TrainingData], say: Say) -> None:
    """Store what the run was made with and from."""
    packages = ("gsa-llm", "torch", "transformers", "peft", "accelerate", "tokenizers")
    data = {
        f"{level}/{name}": {
            "examples": len(prompts),
            "crc32": zlib.crc32(repr([p.ids for p in prompts]).encode()),
        }
        for level, plan in plans.items()
        for name, prompts in plan.prompts.items()
    }
    before = _earlier_data(root, say)
    changed = [name for name, found in data.items() if before.get(name, found) != found]
    if changed and (root / SCRATCH).exists():
        raise InputError(
            f"'{root}': the data of {changed[0]} changed since its level began: expected the same"
        )
    data = {**before, **data}
    content = {
        "seed": recipe.seed,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "commit": _commit(),
        "data": data,
    }
    write_atomic(root / NOTE, to_checked_json(content))


def _earlier_data(root: Path, say: Say) -> dict[str, Any]:
    """Return the checksums of data that a run noted before; tells if they are lost."""
    try:
        return dict(from_checked_json((root / NOTE).read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if (root / MANIFEST).is_file():  # which is written after it
            say(f"{root / NOTE} is damaged or missing ({error}): what finished levels were made from is lost")
        return {}


def _commit() -> str:
    """Return the commit of the source tree, `-dirty` if it was changed; empty for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        done = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if tracked.returncode == 0 and done.returncode == 0 else ""
