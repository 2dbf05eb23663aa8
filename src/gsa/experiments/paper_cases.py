"""The paper's two case studies (table 6), asked of a run at every level: a run in, rows out.

The first case is an example of MOSI, looked up in the data. The second is in no dataset that is read here; a
conversation of our own stands for it, with what the paper says makes it hard: a bad word and a good one in
the same breath, and no irony.
"""

from collections.abc import Callable
from pathlib import Path

from gsa.chain.base import load_chain
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.model.scoring import score
from gsa.recipes.datasets import task_of
from gsa.recipes.schema import DatasetConfig, Recipe
from gsa.report.paper import CASE_IN_TRAINING
from gsa.report.paper_cases import Asked, store

OWN = Example(
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


def ask(root: Path, out: Path | None = None, say: Callable[[str], None] = print) -> list[Asked]:
    """Ask a run both cases at every level and store the rows in `out`, or in the run.

    Raises InputError for a damaged run. A case whose data is not there is left out, and said to be.
    """
    recipe, chain = RunFolder(root).read()
    examples = [*_first(say), OWN]
    rows = []
    for level in range(len(chain.links) + 1):
        loaded = load_chain(chain, recipe.backbone, level)
        for example in examples:
            task = task_of(_source(recipe, example.dataset))
            prompts = Encoder(loaded.tokenizer, recipe.layout, task).encode([example])
            (prediction,) = score(loaded.model, prompts, recipe.training.row_tokens)
            chances = {label: round(p, 6) for label, p in prediction.probabilities.items()}
            gold = task.canonical_label(str(example.label))
            rows.append(Asked(recipe.name, recipe.seed, level, example.dataset, example.id, gold, chances))
    store(out or root, rows)
    return rows


def _first(say: Callable[[str], None]) -> list[Example]:
    dataset, id = CASE_IN_TRAINING
    try:
        return [example for example in load(dataset)["train"] if example.id == id]
    except InputError as error:
        say(f"the paper's first case is left out: {error}")
        return []


def _source(recipe: Recipe, dataset: str) -> DatasetConfig:
    known = {source.name: source for source in recipe.datasets}
    return known.get(dataset, DatasetConfig(name=dataset))
