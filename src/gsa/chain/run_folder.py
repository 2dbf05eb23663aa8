"""A run's folder: the name of every file in it, its lock, and what it holds.

    recipe.toml      the recipe as resolved
    run.json         seed, versions, commit, checksums of the training data
    chain.json       base and links with their checksums; grows as levels finish
    links/           one PEFT adapter folder per level
    checkpoints/     those of the level under way
    log.jsonl        one line per step
    calibration.json temperatures and thresholds fitted on dev, where `gsa calibrate` was run
    predictions/     level-K/DATASET-SPLIT.parquet, and SHA256SUMS
    results.jsonl    one line per measured number

Importing this module loads no torch, so tables and figures can use it.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.locking import folder_lock
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import Level, Recipe

if TYPE_CHECKING:
    from gsa.chain.chain import Chain
    from gsa.model.backbone import LoadedModel

SHIPPED_NAME = "gsa-135m"
SHIPPED = Path(__file__).parents[1] / "pretrained" / SHIPPED_NAME
"""The model that comes with this package, in the form of a run folder."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run; its methods read what is there."""

    root: Path

    @classmethod
    def shipped(cls) -> "RunFolder":
        """Return the run of the shipped model, which an installation may lack."""
        return cls(SHIPPED)

    @classmethod
    def find(cls, name: str | Path) -> "RunFolder":
        """Return the run of a path, or the shipped model's where its name is given and no folder has it."""
        path = Path(name).expanduser()
        return cls.shipped() if str(name) == SHIPPED_NAME and not path.is_dir() else cls(path)

    @property
    def recipe_file(self) -> Path:
        """The recipe as resolved, TOML."""
        return self.root / STORED_RECIPE

    @property
    def metadata_file(self) -> Path:
        """What the run was made with and from, JSON with a checksum."""
        return self.root / "run.json"

    @property
    def chain_file(self) -> Path:
        """Base and links with their checksums, JSON with a checksum; it makes the folder a run."""
        return self.root / "chain.json"

    @property
    def calibration_file(self) -> Path:
        """Temperatures and thresholds of the chain, JSON with a checksum."""
        return self.root / "calibration.json"

    @property
    def tasks_file(self) -> Path:
        """Tasks of the runs below, JSON; only in a merged export of a run that was tuned on another."""
        return self.root / "tasks.json"

    @property
    def links_folder(self) -> Path:
        """One adapter folder per link."""
        return self.root / "links"

    @property
    def checkpoints_folder(self) -> Path:
        """Checkpoints of the level under way; gone once it is finished."""
        return self.root / "checkpoints"

    @property
    def log_file(self) -> Path:
        """One JSON line per step."""
        return self.root / "log.jsonl"

    @property
    def predictions_folder(self) -> Path:
        """Parquet files of all levels, and their checksums."""
        return self.root / "predictions"

    @property
    def results_file(self) -> Path:
        """One JSON line per measured number."""
        return self.root / "results.jsonl"

    def level_checkpoints(self, number: int, level: Level) -> Path:
        """Return the folder of a level's checkpoints; `number` counts from 1."""
        return self.checkpoints_folder / f"{number}-{level.name}"

    def predictions_file(self, level: int, dataset: str, split: str) -> Path:
        """Return the Parquet file of a level's predictions; level 0 is the untuned model."""
        return self.predictions_folder / f"level-{level}" / f"{dataset}-{split}.parquet"

    def is_run(self) -> bool:
        """Whether the folder holds a chain."""
        return self.chain_file.is_file()

    def lock(self, command: str, wait: bool = False) -> AbstractContextManager[None]:
        """Return a context manager that holds the run's lock for a command; raises as `folder_lock`."""
        return folder_lock(self.root, command, wait)

    def read(self) -> "tuple[Recipe, Chain]":
        """Return the run's recipe and chain; no model is loaded.

        Raises InputError where the folder is no run, or its recipe or chain is damaged.
        """
        from gsa.chain.chain import Chain  # imports torch

        if not self.root.is_dir():
            if str(self.root) == SHIPPED_NAME:
                raise InputError(
                    f"run '{self.root}': the shipped model's folder is never written to: expected a run, or "
                    f"the folder that `gsa export {SHIPPED_NAME} --format chain --out FOLDER` makes"
                )
            raise InputError(f"run '{self.root}' does not exist: expected a folder made by `gsa tune`")
        chain = Chain.read(self.root)
        recipe = load_recipe(self.recipe_file)
        if sha256(self.recipe_file) != chain.recipe:
            raise InputError(
                f"'{self.recipe_file}' is damaged or was changed by hand: its checksum differs from the one "
                "in chain.json; the `gsa tune` command that made the run writes it again"
            )
        return recipe, chain

    def load(self, level: int | None = None, device: str = "") -> "tuple[Recipe, Chain, LoadedModel]":
        """Return recipe, chain, and the model with the first `level` links (None: all).

        Raises InputError as `read` does, and where the backbone is another one or a link is damaged.
        """
        from gsa.chain.base import load_chain

        recipe, chain = self.read()
        return recipe, chain, load_chain(chain, recipe.backbone, level, device)
