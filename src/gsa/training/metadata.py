"""What a run was made with and from: `run.json` with seed, versions, commit and checksums of its data."""

import logging
import platform
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gsa.atomic_io import write_atomic
from gsa.chain.base import load_config
from gsa.chain.run_folder import RunFolder
from gsa.checksums import from_checked_json, to_checked_json
from gsa.data.encoder import Encoder, Prompt
from gsa.errors import InputError
from gsa.recipes.datasets import task_of, training_examples
from gsa.recipes.schema import Recipe
from gsa.training.training_data import TrainingData

logger = logging.getLogger(__name__)

PACKAGES = ("gsa-llm", "torch", "transformers", "peft", "accelerate", "tokenizers")


def write_metadata(recipe: Recipe, run: RunFolder, levels: Mapping[str, TrainingData]) -> None:
    """Store `run.json` for the levels that are still to be tuned, by name; finished levels keep their data.

    Raises InputError if data of a level under way changed.
    """
    data = {
        f"{level}/{name}": _entry(prompts)
        for level, training_data in levels.items()
        for name, prompts in training_data.prompts.items()
    }
    before = read_data(run)
    changed = [name for name, entry in data.items() if before.get(name, entry) != entry]
    if changed and run.checkpoints_folder.exists():
        raise InputError(
            f"'{run.root}': the data of {changed[0]} changed since its level began: expected the same"
        )
    content = {
        "seed": recipe.seed,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "data": {**before, **data},
    }
    write_atomic(run.metadata_file, to_checked_json(content))


def warn_of_changed_data(recipe: Recipe, data: Mapping[str, Any]) -> None:
    """Warn where users' own data is not what a finished level was tuned on; `data` is that of `read_data`."""
    own = [(level, config) for level in recipe.levels for config in level.datasets if config.path]
    tokenizer = load_config(recipe.backbone)[1] if own else None
    for level, config in own:
        before = data.get(f"{level.name}/{config.name}")
        try:
            examples = training_examples(config, recipe.seed)
        except InputError:  # it need not be here any more
            continue
        prompts = Encoder(tokenizer, recipe.layout_of(level), task_of(config)).encode(examples)
        if before and before != _entry(prompts):
            logger.warning(
                "the training data of '%s' changed since level %s was tuned on it: expected another --out to "
                "tune on what it is now",
                config.name, level.name,
            )  # fmt: skip


def _entry(prompts: Sequence[Prompt]) -> dict[str, int]:
    """Return number and checksum of a dataset's examples."""
    return {
        "examples": len(prompts),
        "crc32": zlib.crc32(repr([prompt.ids for prompt in prompts]).encode()),
    }


def read_data(run: RunFolder) -> dict[str, Any]:
    """Return number and checksum of the examples by LEVEL/DATASET; empty, and reported, if they are lost."""
    try:
        return dict(from_checked_json(run.metadata_file.read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if run.is_run():  # chain.json is written after it
            logger.warning(
                "%s is damaged or missing (%s): the data of finished levels is no longer known",
                run.metadata_file, error,
            )  # fmt: skip
        return {}


def _commit() -> str:
    """Return the commit of the source tree, `-dirty` if it was changed; empty for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent)]
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        described = subprocess.run([*git, *describe], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return described.stdout.strip() if tracked.returncode == 0 and described.returncode == 0 else ""
