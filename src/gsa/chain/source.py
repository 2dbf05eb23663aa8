"""What a user names as a model: the shipped model, a run folder, a model folder or a Hugging Face id."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gsa.chain.base import load_base, load_chain, resolve_base, with_precision
from gsa.chain.calibration import Calibration
from gsa.chain.chain import Chain
from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.data.layout import Layout
from gsa.data.task import TASKS, Task
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel, prompt_limit
from gsa.model.validation import SMALLEST_WINDOW
from gsa.recipes.datasets import tuned_tasks
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, Recipe, Training

logger = logging.getLogger(__name__)
TASK_TABLE = TypeAdapter(dict[str, Task])
"""Tasks by name, as JSON."""


@dataclass(frozen=True)
class ModelSource:
    """A model before its weights are loaded, and how it reads prompts."""

    name: str
    """Of the run's recipe, or the last part of the path or id."""
    backbone: Backbone
    recipe: Recipe | None = None
    """Of a run or of a merged export; None for any other model, which reads the default layout if it can."""
    chain: Chain | None = None
    """Of a run."""
    tasks_below: Mapping[str, Task] = field(default_factory=dict)
    """Of a merged export: those of the runs that its run was tuned on."""

    @classmethod
    def of_run(cls, root: Path) -> "ModelSource":
        """Return the model of a run; raises InputError as `RunFolder.read` does."""
        recipe, chain = RunFolder(root).read()
        return cls(recipe.name, recipe.backbone, recipe, chain)

    @classmethod
    def find(cls, source: str | Path | None) -> "ModelSource":
        """Return the model of a run folder, a model folder or a Hugging Face id; None is the shipped one.

        Raises InputError for a folder that is neither a run nor a model, and for a damaged run. Weights are
        not read, so an id that does not exist is refused by `load`.
        """
        folder = folder_of(source)
        run = RunFolder(folder)
        if run.is_run():
            return cls.of_run(folder)
        if folder.is_dir() and not (folder / "config.json").is_file():
            raise InputError(
                f"'{folder}' holds neither {run.chain_file.name} nor config.json: expected the folder of a "
                "run or of a model"
            )
        exported = load_recipe(run.recipe_file) if run.recipe_file.is_file() else None
        backbone = exported.backbone if exported else Backbone()
        backbone = backbone.model_copy(update={"name": str(source), "revision": "main"})
        name = (folder.resolve() if folder.is_dir() else folder).name
        below = read_tasks(run.tasks_file) if run.tasks_file.is_file() else {}
        return cls(name, backbone, exported, tasks_below=below)

    def layout(self, level: int | None = None) -> Layout:
        """Return the layout of its prompts with the first `level` links (None: all).

        Without a recipe it is the default one, with prompts that the model can read.
        """
        if self.recipe:
            return self.recipe.layout_at(self.last_level if level is None and self.chain else level)
        default, longest = Layout(), prompt_limit(self.backbone)
        if not longest:
            return default
        return Layout(max_tokens=min(default.max_tokens, max(longest, SMALLEST_WINDOW)))

    def tasks(self, level: int | None = None) -> dict[str, Task]:
        """Return what it was tuned to do, by name, and the paper's tasks.

        Those of its own recipe up to a level come first, then those of the runs below, then the rest.
        """
        own = tuned_tasks(self.recipe, level) if self.recipe else {}
        below = self.all_tasks_below()
        return {**own, **below, **TASKS} | below | own

    def tuned_names(self, level: int | None = None) -> frozenset[str]:
        """Return the names of the tasks that links up to a level, or the runs below, were tuned on."""
        level = len(self.chain.links) if self.chain and level is None else level
        own = tuned_tasks(self.recipe, level) if self.recipe and level != 0 else {}
        return frozenset({*own, *self.all_tasks_below()})

    def all_tasks_below(self) -> dict[str, Task]:
        """Return the tasks of the runs that it was tuned on, those of the nearest first."""
        tasks: dict[str, Task] = {}
        for chain, links in reversed(resolve_base(self.backbone)[1]):
            if links != 0:
                below = tuned_tasks(load_recipe(RunFolder(chain.root).recipe_file), links)
                tasks = {**tasks, **below} | tasks
        return {**tasks, **self.tasks_below} | tasks

    def calibration(self, level: int | None = None) -> Calibration:
        """Return the calibration of a level; empty where none was fitted for it."""
        return Calibration.read(self.chain.root, self.chain.identity(level)) if self.chain else Calibration()

    @property
    def max_row_tokens(self) -> int:
        """Most tokens of a packed row."""
        return (self.recipe.training if self.recipe else Training()).max_row_tokens

    @property
    def last_level(self) -> int:
        """The number of links."""
        return len(self.chain.links) if self.chain else 0

    def with_precision(self, precision: str = "", device: str = "") -> "ModelSource":
        """Return the model in the precision in which it is loaded here; as `chain.base.with_precision`."""
        return replace(self, backbone=with_precision(self.backbone, precision, device))

    def check_level(self, level: int | None) -> None:
        """Raise InputError for a level that it does not have."""
        if self.chain:
            self.chain.check_level(level)
        elif level:
            raise InputError(f"level {level}: '{self.backbone.name}' has no links: expected level 0 or none")

    def warn_of_no_level(self, location: str | Path | None) -> None:
        """Warn of a run none of whose levels is finished."""
        if self.chain and not self.chain.links:
            logger.warning(
                "'%s' has no finished level yet: its labels are those of the untuned backbone", location
            )

    def load(self, level: int | None = None, device: str = "", prediction: bool = False) -> LoadedModel:
        """Return the model with the first `level` links (None: all); `prediction` as in `load_backbone`.

        Raises InputError where there is no such level or model, and as `load_backbone` does.
        """
        self.check_level(level)
        if self.chain:
            return load_chain(self.chain, self.backbone, level, device, prediction)
        return load_base(self.backbone, device, prediction)


def with_layout_of_backbone(recipe: Recipe) -> Recipe:
    """Return a recipe that says which texts are read in lower case: if it does not, as its backbone reads.

    That is a run or a merged export. Raises InputError as `ModelSource.find` does.
    """
    backbone = recipe.backbone
    if recipe.layout.fold_case or not (below := ModelSource.find(backbone.name)).recipe:
        return recipe
    level = int(backbone.revision) if below.chain and backbone.revision.isdecimal() else None
    folded = below.layout(level).fold_case
    return recipe.model_copy(update={"layout": recipe.layout.model_copy(update={"fold_case": folded})})


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


def read_tasks(file: Path) -> dict[str, Task]:
    """Return the tasks of a merged export by name; raises InputError for a file that does not hold any."""
    try:
        return TASK_TABLE.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"'{file}': {where}: {first['msg']}: expected a file that gsa export wrote"
        ) from None
