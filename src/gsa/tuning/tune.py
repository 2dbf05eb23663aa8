"""`gsa.tune`: labelled texts in, a tuned model out, by the same recipe and run as `gsa tune` makes."""

import logging
import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from gsa.chain.base import load_config
from gsa.chain.run_folder import SHIPPED_NAME, RunFolder
from gsa.chain.source import ModelSource
from gsa.data.encoder import Encoder
from gsa.data.task import TASKS
from gsa.data.types import Example, is_blank
from gsa.evaluation.metrics import answers_of, measure
from gsa.experiments.baseline_systems import ADVICE, BaselineData, tfidf_score
from gsa.model import smollm2
from gsa.prediction.predictor import Predictor
from gsa.progress import show_progress
from gsa.recipes.datasets import load_splits, task_of
from gsa.recipes.loader import parse, resolve
from gsa.recipes.schema import (
    DatasetConfig,
    Epochs,
    ExamplesPerStep,
    LearningRate,
    Precision,
    Recipe,
    Seed,
    Text,
)
from gsa.signals import Stopped
from gsa.training import run as training
from gsa.tuning.early_stopping import EarlyStopping
from gsa.tuning.model import DATA, HeldOut, TunedModel, replace_recipe, temporary_folder
from gsa.tuning.rows import LabelledRow, folds, label_names, labelled_rows, write_rows

logger = logging.getLogger(__name__)
MIN_HELD_OUT = 20
"""Fewer rows than this say too little about which epoch is best: all are trained on."""
REFIT_BELOW = 1_000
"""Of fewer rows than this, those that were held out are trained on in the end."""
METRIC = "weighted_f1"
LOCATION = "gsa.tune"
"""Where messages say that an argument is wrong."""
SENTENCE = "semantic information of sentence"
CONTEXT = "semantic and contextual information of the target utterance"
"""What the default instructions say, in the words of the paper's."""


Stripped = Annotated[Text, AfterValidator(str.strip)]


def _at_least_two(folds: int) -> int:
    if folds == 1 or folds < 0:
        raise ValueError(f"expected 2 or more, or 0 for none, found {folds}")
    return folds


@dataclass(frozen=True, config=ConfigDict(strict=True, allow_inf_nan=False))
class Options:
    """How a model is tuned; None is automatic (`recipes.automatic`)."""

    task: Stripped = ""
    instruction: Stripped = ""
    model: str = "gsa-135m"
    learning_rate: LearningRate | None = None
    epochs: Epochs | None = None
    examples_per_step: ExamplesPerStep | None = None
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.2
    folds: Annotated[int, AfterValidator(_at_least_two)] = 0
    seed: Seed = 0
    precision: Precision = "float32"

    @classmethod
    def parse(cls, **values: Any) -> "Options":
        """Return options from values of Python or NumPy; raises InputError that names the one it refuses."""
        plain = {
            key: value.item() if isinstance(value, np.generic) else value for key, value in values.items()
        }
        return parse(cls, LOCATION, **plain)


def tune(texts: Any, labels: Any, data: Any, options: Options, progress: bool) -> TunedModel:
    """Return a tuned model; `gsa.tune` says what the arguments are."""
    rows = labelled_rows(texts, labels, data)
    if not options.task:
        name = labels if data is not None else getattr(labels, "name", None)
        options = replace(options, task=name if isinstance(name, str) and not is_blank(name) else "label")
    with show_progress(progress), _interruptible():
        scores = _cross_validate(rows, options) if options.folds else []
        model = tune_rows(rows, options)
    model.folds = tuple(scores)
    return model


def tune_rows(rows: Sequence[LabelledRow], options: Options, test: Sequence[LabelledRow] = ()) -> TunedModel:
    """Return the model of a run in a temporary folder, which ends with the model unless it is saved.

    Its score is that on `test`, or on the rows that were held out. Fewer than `REFIT_BELOW` rows are all
    trained on in the end, unless the number of epochs is given: those held out are too few to choose it well.
    """
    is_held_out = _held_out(rows, options)
    train = [row for row, is_out in zip(rows, is_held_out, strict=True) if not is_out]
    dev = [row for row, is_out in zip(rows, is_held_out, strict=True) if is_out]
    model = _tune_split({"train": train, "dev": dev, "test": test}, options)
    if not dev or len(rows) >= REFIT_BELOW or options.epochs is not None:
        return model
    logger.info("tuning on all %d texts", len(rows))
    refitted = _tune_split({"train": rows, "dev": (), "test": test}, options)
    refitted.held_out = refitted.held_out or model.held_out
    return refitted


def _tune_split(splits: Mapping[str, Sequence[LabelledRow]], options: Options) -> TunedModel:
    """Return the model of a run on the rows of `train`, scored on those of `test`, otherwise of `dev`."""
    folder = temporary_folder()
    try:
        recipe = _tune_in(folder, splits, options)
        model = TunedModel(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    examples = load_splits(recipe.datasets[0])
    if scored := examples["test"] or examples["dev"]:
        config = recipe.datasets[0]
        model.held_out = compare(model, config, examples["train"], examples["dev"], scored)
    return model


def _tune_in(folder: Path, splits: Mapping[str, Sequence[LabelledRow]], options: Options) -> Recipe:
    """Write the rows to `data/` and tune a run in `run/`; return its recipe.

    It ends at the epoch that is best on `dev`, if there is one.
    """
    (folder / DATA).mkdir()
    for split, members in splits.items():
        if members:
            write_rows(members, folder / DATA / f"{split}.jsonl")
    rows = [row for members in splits.values() for row in members]
    recipe = make_recipe(rows, options, folder / DATA, "test" if splits["test"] else "dev")
    stopping = _early_stopping(recipe) if splits["dev"] else None
    training.tune(recipe, folder / "run", [stopping] if stopping else [])
    if stopping and stopping.is_early:
        recipe = with_stop(RunFolder(folder / "run").read()[0], stopping.best_step)
        replace_recipe(folder / "run", recipe)
    return recipe


def make_recipe(rows: Sequence[LabelledRow], options: Options, data: Path, split: str) -> Recipe:
    """Return the recipe of one level on a folder of labelled rows; automatic values follow their number.

    Its layout is that of `options.model`, which was tuned on prompts of that layout. `split` is the one that
    `gsa eval` measures on.
    """
    task = options.task
    context = any(len(row.turns) > 1 for row in rows)
    kind = CONTEXT if context else SENTENCE
    instruction = options.instruction or f"Consider the {kind} to determine its {task}."
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", task).strip("-_") or "label"
    dataset = {
        "name": name,
        "path": str(data),
        "task": task,
        "instruction": "" if task in TASKS and not options.instruction else instruction,
        "labels": list(label_names(rows)),
        "context": context,
    }
    level: dict[str, Any] = {"name": name, "loss": "labels", "datasets": [dataset]}
    level |= {
        key: float(value)
        for key in ("learning_rate", "epochs")
        if (value := getattr(options, key)) is not None
    }
    training_keys = {"examples_per_step": options.examples_per_step} if options.examples_per_step else {}
    document = {
        "name": name,
        "seed": options.seed,
        "backbone": {"name": _backbone_name(options.model), "precision": options.precision},
        "layout": ModelSource.find(options.model).layout().model_dump(mode="json", exclude_none=True),
        "training": training_keys,
        "levels": [level],
        "evaluation": {"split": split},
    }
    return resolve(document, LOCATION)


def _backbone_name(model: str) -> str:
    """Return the name of a backbone, a folder's absolute, so that a saved run is found from anywhere."""
    folder = Path(model).expanduser()
    is_folder = model not in (SHIPPED_NAME, smollm2.NAME) and folder.is_dir()
    return os.path.abspath(folder) if is_folder else model


def _held_out(rows: Sequence[LabelledRow], options: Options) -> np.ndarray:
    """Return which rows are held out: one fold of 1 / `held_out`, rounded to a whole number of folds.

    None are where they would be fewer than `MIN_HELD_OUT`.
    """
    none = np.zeros(len(rows), bool)
    if options.held_out * len(rows) < MIN_HELD_OUT:
        if options.held_out:
            logger.info("%d texts are too few to hold some out: all are trained on", len(rows))
        return none
    return folds(rows, max(2, round(1 / options.held_out)), options.seed)[0]


def _early_stopping(recipe: Recipe) -> EarlyStopping:
    (level,) = recipe.levels
    (config,) = level.datasets
    encoder = Encoder(load_config(recipe.backbone)[1], recipe.layout_at(), task_of(config))
    return EarlyStopping(encoder.encode(load_splits(config)["dev"]), level.epochs)


def with_stop(recipe: Recipe, step: int) -> Recipe:
    """Return the recipe that says where tuning ended, by which `gsa tune` gives the same link."""
    level = recipe.levels[0].model_copy(update={"stop_step": step})
    return recipe.model_copy(update={"levels": (level,)})


def compare(
    model: Predictor,
    config: DatasetConfig,
    train: list[Example],
    dev: list[Example],
    examples: list[Example],
) -> HeldOut:
    """Return the score on examples of a dataset beside that of the baseline; warn where it is lower."""
    task = task_of(config)
    predictions = model.predict(examples, task)
    probabilities = np.asarray([list(prediction.probabilities.values()) for prediction in predictions])
    answers = answers_of(task, [str(example.label) for example in examples], probabilities)
    baseline = tfidf_score(BaselineData(task, METRIC, train, dev, examples, [*train, *dev, *examples]))
    result = HeldOut(len(examples), measure(answers, [METRIC])[METRIC][0], baseline)
    if result.is_below_baseline:
        logger.warning("%s: the tuned model is below the baseline; %s", result, ADVICE)
    else:
        logger.info("%s", result)
    return result


def _cross_validate(rows: Sequence[LabelledRow], options: Options) -> list[HeldOut]:
    """Return the score of each fold, of a model that was tuned on the others."""
    scores = []
    for number, is_out in enumerate(folds(rows, options.folds, options.seed), start=1):
        logger.info("fold %d of %d", number, options.folds)
        train = [row for row, out in zip(rows, is_out, strict=True) if not out]
        test = [row for row, out in zip(rows, is_out, strict=True) if out]
        model = tune_rows(train, options, test)
        assert model.held_out is not None
        scores.append(model.held_out)
    return scores


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Ctrl-C, which a run raises as Stopped, into the exception that Python programs expect."""
    try:
        yield
    except Stopped as stopped:
        if stopped.signum == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise
