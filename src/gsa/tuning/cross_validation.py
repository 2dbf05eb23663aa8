"""Cross-validation of a recipe with a folder of one's own data: a run for each fold, scored on that fold.

OUT/fold1/        the run that was tuned on all other folds
OUT/data/fold1/   its train.jsonl, and the fold itself as test.jsonl
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gsa.data.selection import group_by_dialogue
from gsa.data.types import Example
from gsa.errors import InputError
from gsa.prediction.loading import load
from gsa.recipes.datasets import load_splits
from gsa.recipes.schema import DatasetConfig, Recipe
from gsa.training import run as training
from gsa.tuning.model import HeldOut
from gsa.tuning.rows import LabelledRow, folds, write_rows
from gsa.tuning.tune import compare

logger = logging.getLogger(__name__)


def cross_validate(recipe: Recipe, out: Path, count: int) -> list[HeldOut]:
    """Tune a run for each of `count` folds of the own data's `train` and `dev`; return their scores.

    Rows of one conversation are in one fold, and labels are spread evenly. The same call resumes an
    interrupted one. Raises InputError for a recipe without exactly one dataset of one's own, or with aspects,
    and for fewer than two folds.
    """
    config = _own_data(recipe)
    if count < 2:
        raise InputError(f"folds: expected 2 or more, found {count}")
    splits = load_splits(config)
    # Each split by itself: both may name their rows alike.
    groups = [group for split in ("train", "dev") for group in group_by_dialogue(splits[split])]
    rows = [_row(group) for group in groups]
    scores = []
    for number, is_out in enumerate(folds(rows, count, recipe.seed), start=1):
        logger.info("fold %d of %d", number, count)
        data = out / "data" / f"fold{number}"
        data.mkdir(parents=True, exist_ok=True)
        write_rows([rows[i] for i in np.flatnonzero(~is_out)], data / "train.jsonl")
        write_rows([rows[i] for i in np.flatnonzero(is_out)], data / "test.jsonl")
        fold = _with_data(recipe, config, data, number)
        training.tune(fold, out / f"fold{number}")
        own = next(one for one in fold.datasets if one.name == config.name)
        members = load_splits(own)
        model = load(out / f"fold{number}")
        scores.append(compare(model, own, members["train"], [], members["test"]))
    return scores


def _own_data(recipe: Recipe) -> DatasetConfig:
    own = [config for config in recipe.datasets if config.path]
    if len(own) != 1 or own[0].aspect_column:
        problem = "aspects" if own and own[0].aspect_column else f"{len(own)} of them"
        raise InputError(
            f"recipe '{recipe.name}': expected one dataset with a path, without aspects, for folds, "
            f"found {problem}"
        )
    return own[0]


def _row(examples: Sequence[Example]) -> LabelledRow:
    turns = examples[0].dialogue.turns
    labels = {example.target: example.label for example in examples}
    return LabelledRow(turns, tuple(labels.get(turn) for turn in range(len(turns))))


def _with_data(recipe: Recipe, config: DatasetConfig, data: Path, number: int) -> Recipe:
    """Return the recipe of a fold, whose data are files with the usual columns."""
    columns = dict.fromkeys(("text_column", "label_column", "speaker_column", "dialogue_column"), "")

    def moved(configs: tuple[DatasetConfig, ...]) -> tuple[DatasetConfig, ...]:
        update = {"path": str(data.resolve()), **columns}
        return tuple(one.model_copy(update=update) if one.name == config.name else one for one in configs)

    levels = [level.model_copy(update={"datasets": moved(level.datasets)}) for level in recipe.levels]
    further = recipe.evaluation.datasets
    evaluation = recipe.evaluation.model_copy(update={"datasets": further and moved(further)})
    update = {"name": f"{recipe.name}-fold{number}", "levels": tuple(levels), "evaluation": evaluation}
    return Recipe.model_validate(recipe.model_copy(update=update).model_dump())
