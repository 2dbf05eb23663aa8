"""What is evaluated: names and folders as a user gives them in, the datasets of an Evaluator out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.chain.source import ModelSource
from gsa.data.task import TASKS, Task
from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError, suggest
from gsa.evaluation.evaluate import Evaluator
from gsa.recipes.datasets import task_of
from gsa.recipes.loader import parse
from gsa.recipes.schema import DatasetConfig

RESULTS = Path("runs") / "eval"
"""Where the results of models that are not evaluated in their own folder go, one folder a model."""


@dataclass(frozen=True)
class FolderTask:
    """What is asked about a user's folder of labelled files, and how they are read.

    An empty task is what the model was tuned on.
    """

    name: str = ""
    labels: Sequence[str] = ()
    instruction: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Names of the columns of its files, by the keys of a DatasetConfig."""

    @property
    def is_given(self) -> bool:
        """Whether it differs from the default."""
        return bool(self.name or self.labels or self.instruction or self.columns)


def make_evaluator(
    model: str | Path | None,
    datasets: Sequence[str] = (),
    out: Path | None = None,
    precision: str = "",
    task: FolderTask | None = None,
) -> tuple[Evaluator, list[str]]:
    """Return an evaluator of any model, and the names of the datasets that were asked for; empty is all.

    `model` is a run, a model folder or a Hugging Face id; None is the shipped one. `datasets` are names of
    the catalogue or of the run's recipe, or folders of labelled files, which are asked for `task`. A run on
    datasets of its recipe is evaluated in its folder unless `out` is given, all else in `out`, or
    `runs/eval/NAME`. Raises InputError where there is no such model, dataset or task, and for a `task` where
    no dataset is a folder.
    """
    run = RunFolder.find(model or SHIPPED_NAME)
    is_shipped = run == RunFolder.shipped()
    task = task or FolderTask()
    if not datasets and not out and not is_shipped and not task.is_given:
        return Evaluator(run.root, precision), []
    source = ModelSource.find(run.root if run.is_run() else model)
    known = {config.name: config for config in source.recipe.evaluated_datasets} if source.recipe else {}
    if task.is_given and all(name in known or name in CATALOGUE for name in datasets):
        raise InputError(
            "task, labels, instruction and columns are for folders: expected a folder among the datasets, "
            f"found {', '.join(datasets) or 'none'}"
        )
    configs = [_config(name, known, source, task) for name in datasets or known]
    if not configs:
        raise InputError(f"'{model}' has no recipe: expected --dataset, once or more")
    names = [config.name for config in configs]
    if run.is_run() and not is_shipped and not out and known.keys() >= set(names):
        return Evaluator(run.root, precision), names
    return Evaluator(out or RESULTS / source.name, precision, source, configs), names


def _config(
    name: str, known: Mapping[str, DatasetConfig], source: ModelSource, task: FolderTask
) -> DatasetConfig:
    """Return the dataset of a name or a folder."""
    if name in known:
        return known[name]
    if name in CATALOGUE:
        return DatasetConfig(name=name)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        near = suggest(name, [*known, *CATALOGUE])
        raise InputError(
            f"dataset '{name}'{near}: expected a name of the recipe or of `gsa data list`, or a folder with "
            "labelled files"
        )
    return _own_folder(folder.resolve(), known, source, task)


def _own_folder(
    folder: Path, known: Mapping[str, DatasetConfig], source: ModelSource, task: FolderTask
) -> DatasetConfig:
    """Return the dataset of a folder: as the recipe has it, or asked for a task."""
    location = f"dataset '{folder}'"
    for config in known.values():
        if config.path and Path(config.path).expanduser().resolve() == folder:
            if task.is_given:
                raise InputError(
                    f"{location}: the recipe has it as '{config.name}': expected no task, labels, "
                    "instruction or columns beside"
                )
            return config
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.name).lstrip("_.-") or "data"
    if name in known:
        raise InputError(
            f"{location}: the recipe has another dataset '{name}': expected a folder of another name"
        )
    task_name = task.name or _only_task(source, location)
    tuned = source.tasks().get(task_name)
    if tuned and (tuned.about or tuned.multilabel):
        raise InputError(
            f"{location}: task '{task_name}' is not for folders: expected one with a label a text"
        )
    own = tuned if tuned and not _asks_as_the_paper(tuned) else None
    return parse(
        DatasetConfig,
        location,
        name=name,
        path=str(folder),
        task=task_name,
        instruction=task.instruction or (own.instruction if own else ""),
        labels=tuple(task.labels or (tuned.labels if tuned else ())),
        context=own.context if own else None,
        **task.columns,
    )


def _asks_as_the_paper(task: Task) -> bool:
    """Return whether a task has the instruction of the paper's task of its name, and reads the same turns."""
    default = TASKS.get(task.name)
    return default is not None and (default.instruction, default.context) == (task.instruction, task.context)


def _only_task(source: ModelSource, location: str) -> str:
    """Return the task that a model was tuned on; raises InputError if there are several, or none is known."""
    tuned = {task_of(config).name for config in source.recipe.datasets} if source.recipe else set()
    if len(tuned) != 1:
        raise InputError(
            f"{location}: expected --task, one of {', '.join(sorted(source.tasks()))}, or a task of your own "
            "with --instruction and --labels"
        )
    return tuned.pop()
