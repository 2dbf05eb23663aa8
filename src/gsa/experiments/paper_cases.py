"""Answers of a run to the paper's two case studies (table 6), at every level.

The first case is an example of MOSI, looked up in the data. The second is in no dataset read by this package;
a conversation written for this project stands in for it, with what the paper says makes it hard: a negative
and a positive word in the same sentence, and no irony.
"""

import logging
from pathlib import Path

from gsa.chain.base import load_chain
from gsa.chain.pipeline import Pipeline
from gsa.chain.run_folder import RunFolder
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation.case_answers import CASE_IN_TRAINING, CaseAnswer, write
from gsa.recipes.datasets import task_of
from gsa.recipes.schema import DatasetConfig, Recipe

logger = logging.getLogger(__name__)

SECOND_CASE = Example(
    "own",
    "mustard",
    Dialogue(
        "own",
        (
            Utterance("We moved into the new office this week.", "Person A"),
            Utterance("Do you like it?", "Person B"),
            Utterance("The chairs are bad, but the light is good.", "Person A"),
        ),
    ),
    2,
    "non-sarcastic",
)


def answer_cases(root: Path, out: Path | None = None) -> list[CaseAnswer]:
    """Return a run's answers to both cases at every level, and store them in `out`, or in the run.

    Raises InputError for a damaged run. A case whose data is missing is left out with a warning.
    """
    recipe, chain = RunFolder(root).read()
    examples = [*_first_case(), SECOND_CASE]
    rows = []
    for level in range(len(chain.links) + 1):
        loaded = load_chain(chain, recipe.backbone, level)
        pipeline = Pipeline(loaded, recipe.layout_at(level), recipe.training.max_row_tokens)
        for example in examples:
            task = task_of(_source(recipe, example.dataset))
            (prediction,) = pipeline.predict([example], task)
            probabilities = {label: round(p, 6) for label, p in prediction.probabilities.items()}
            gold = task.canonical_label(str(example.label))
            key = recipe.name, recipe.seed, level, example.dataset, example.id
            rows.append(CaseAnswer(*key, gold, probabilities))
    write(out or root, rows)
    return rows


def _first_case() -> list[Example]:
    dataset, id = CASE_IN_TRAINING
    try:
        return [example for example in load(dataset)["train"] if example.id == id]
    except InputError as error:
        logger.warning("the paper's first case is left out: %s", error)
        return []


def _source(recipe: Recipe, dataset: str) -> DatasetConfig:
    known = {source.name: source for source in recipe.datasets}
    return known.get(dataset, DatasetConfig(name=dataset))
