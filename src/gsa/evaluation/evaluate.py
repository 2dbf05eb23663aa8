"""Evaluation of a run: each level's model on each dataset; predictions and results are kept in the run.

    run/predictions/     tables, as `predictions` keeps them
    run/results.jsonl    one row per number

Predictions are kept as long as what they were computed from is the same: the weights of the level, the
layout, the task and the examples. Otherwise they are computed again.
"""

import logging
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gsa.chain.base import load_chain, with_precision
from gsa.chain.calibration import Calibration, combine
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.selection import sample_dialogues, yes_or_no_examples
from gsa.data.task import Task
from gsa.data.types import Example, Prediction
from gsa.errors import InputError, suggest
from gsa.evaluation import results
from gsa.evaluation.metrics import Answers, answers_of, majority_class
from gsa.evaluation.predictions import (
    PROBABILITY,
    PredictionStore,
    digest,
    examples_digest,
    to_answers,
    to_table,
)
from gsa.evaluation.results import MAJORITY, Result, results_of
from gsa.locking import folder_lock
from gsa.model.backbone import LoadedModel
from gsa.model.scoring import score
from gsa.progress import Progress
from gsa.recipes.datasets import load_split, load_splits, metrics_of, task_of, training_pool
from gsa.recipes.schema import DatasetConfig, Recipe

logger = logging.getLogger(__name__)
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class _Measurement:
    """One level's model on the examples of one dataset."""

    level: int
    source: DatasetConfig
    split: str
    examples: list[Example]

    @property
    def key(self) -> tuple[int, str, str]:
        """Where its predictions are stored."""
        return self.level, self.source.name, self.split


class Evaluator:
    """Measures the levels of one run and keeps predictions and results in its folder."""

    def __init__(self, root: Path, precision: str = "") -> None:
        """Read the run, to be measured in a precision; empty is the recipe's.

        Raises InputError if `root` is not a run or is damaged, or for a precision that cannot be computed.
        """
        self.root = root
        self.recipe, self.chain = RunFolder(root).read()
        self.backbone = with_precision(self.recipe.backbone, precision)
        self.predictions = PredictionStore(root)
        self._model: tuple[int, LoadedModel] | None = None

    def evaluate(
        self,
        levels: Sequence[int] | None = None,
        datasets: Sequence[str] = (),
        split: str = "",
        limit: int | None = None,
        overwrite: bool = False,
    ) -> list[Result]:
        """Measure the run and return all of its rows of the split.

        `levels` None is every level from untuned to last; `datasets` empty is all of the recipe; `split`
        empty and `limit` None (examples per dataset, 0 for all) are the recipe's. Raises InputError for
        names and levels that the run does not have, a damaged run, and one that another process evaluates.
        """
        split = split or self.recipe.evaluation.split
        if split not in SPLITS:
            raise InputError(f"split '{split}': expected train, dev or test")
        for level in levels or ():
            self.chain.check_level(level)
        with folder_lock(self.root, "eval"):
            results.read(self.root)  # raises InputError for damaged rows before anything is computed
            sources = self._sources(datasets, split)
            examples = {source.name: load_split(source, split) for source in sources}
            plan = [
                _Measurement(level, source, split, sample_examples(source, examples[source.name], cap))
                for level, cap in self._caps(levels, limit).items()
                for source in sources
            ]
            total = sum(len(measurement.examples) for measurement in plan)
            with Progress(f"evaluate {self.recipe.name}", total, "targets") as progress:
                for measurement in plan:
                    self._measure(measurement, overwrite, progress)
            self._model = None
            for source in sources:
                self._add_majority(source, split, examples[source.name])
            return [row for row in self._remove_stale_results() if row.split == split]

    def forgetting_matrix(self, rows: Sequence[Result]) -> list[list[str]]:
        """Return the table of every dataset's main metric after every level, header first."""
        metrics = {source.name: metrics_of(source)[0] for source in self.recipe.datasets}
        titles = {MAJORITY: "majority", 0: "untuned"}
        titles |= {number: f"after {link.name}" for number, link in enumerate(self.chain.links, 1)}
        return results.forgetting_matrix(rows, metrics, titles)

    def sample_predictions(self, split: str, count: int) -> list[dict[str, Any]]:
        """Return `count` predictions of the last level per dataset with their texts, spread over it."""
        samples = []
        for source in self.recipe.datasets:
            table = self.predictions.load(len(self.chain.links), source.name, split)
            if table is None:
                continue
            texts = {example.id: example.utterance.line() for example in load_split(source, split)}
            table = table.filter(pl.col("id").is_in(list(texts)))
            for row in table[:: max(1, len(table) // count)][:count].iter_rows(named=True):
                probabilities = {
                    name.removeprefix(PROBABILITY): value
                    for name, value in row.items()
                    if name.startswith(PROBABILITY)
                }
                shown = {"dataset": source.name, "text": texts[row["id"]], "probabilities": probabilities}
                samples.append({**shown, **row})
        return samples

    def _sources(self, datasets: Sequence[str], split: str) -> list[DatasetConfig]:
        """Return the datasets to measure: those that are named, or all that have the split."""
        known = {source.name: source for source in self.recipe.datasets}
        for name in datasets:
            if name not in known:
                raise InputError(
                    f"dataset '{name}' is not in this run{suggest(name, known)}: expected one of "
                    f"{sorted(known)}"
                )
        if datasets:
            return [known[name] for name in known if name in datasets]
        sources = [source for source in known.values() if load_splits(source)[split]]
        if not sources:
            load_split(next(iter(known.values())), split)  # raises the InputError that says what is missing
        for name in known.keys() - {source.name for source in sources}:
            logger.info("%s has no %s split: skipped", name, split)
        return sources

    def _caps(self, levels: Sequence[int] | None, limit: int | None) -> dict[int, int]:
        """Return the levels to measure, each with the most examples per dataset; 0 is all."""
        options, last = self.recipe.evaluation, len(self.chain.links)
        caps = dict.fromkeys(range(last + 1) if levels is None else levels, options.limit)
        if levels is None:
            caps |= dict.fromkeys(range(1, last), options.sample)
        return caps if limit is None else dict.fromkeys(caps, limit)

    def _measure(self, measurement: _Measurement, overwrite: bool, progress: Progress) -> None:
        """Add the rows of one measurement, from stored predictions where they are still valid."""
        level, source = measurement.level, measurement.source
        task = task_of(source)
        fingerprint = f"{self._model_digest(level)}-{examples_digest(task, measurement.examples)}"
        table = None if overwrite else self._stored(measurement, fingerprint)
        speed = "kept"
        if table is not None:
            progress.resume(len(table))
        else:
            model = self.load(level)
            started = time.monotonic()
            table = self._predict(model, measurement, progress)
            self.predictions.store(*measurement.key, table, fingerprint)
            speed = f"{len(table) / (time.monotonic() - started):.1f} targets/s"
        rows = self._add_results(measurement.key, source, to_answers(task, table))
        greedy = table["greedy"] if "greedy" in table.columns else table["predicted"]
        agreement = np.mean([a == b for a, b in zip(table["predicted"], greedy, strict=True)])
        logger.info(
            "level %d  %-20s %s %.1f  n=%d  greedy decoding agrees %.1f%%  %s",
            level, source.name, rows[0].metric, rows[0].value, rows[0].n, 100 * agreement, speed,
        )  # fmt: skip

    def _stored(self, measurement: _Measurement, fingerprint: str) -> pl.DataFrame | None:
        """Return stored predictions if they are intact and were computed from the same inputs."""
        path = self.predictions.path(*measurement.key)
        if not path.exists():
            return None
        table = self.predictions.load(*measurement.key)
        if table is None:
            logger.warning("%s is damaged, or its checksum is missing: computed again", path)
        elif self.predictions.fingerprint(*measurement.key) != fingerprint:
            logger.info("%s has other weights, texts, task or options: computed again", path)
            return None
        return table

    def _predict(self, model: LoadedModel, measurement: _Measurement, progress: Progress) -> pl.DataFrame:
        """Return the table of a model's predictions, calibrated where the level has a calibration."""
        task, before, width = task_of(measurement.source), progress.completed, 1
        width = len(task.labels) if task.multilabel else 1
        predictions = predict_examples(
            model,
            self.recipe,
            task,
            measurement.examples,
            self._calibration(measurement.level),
            lambda n: progress.update(before + n // width),
        )
        probabilities = np.asarray([[p.probabilities[label] for label in task.labels] for p in predictions])
        predicted = [p.label for p in predictions]
        greedy = None if task.multilabel else [p.greedy for p in predictions]
        return to_table(task, measurement.examples, probabilities, greedy, predicted)

    def _calibration(self, level: int) -> Calibration:
        """Return the calibration of a level, which changes nothing where none was fitted for it."""
        return Calibration.read(self.root, self.chain.identity(level))

    def load(self, level: int) -> LoadedModel:
        """Return the model of a level; one model is in memory at a time."""
        if self._model is None or self._model[0] != level:
            self._model = None
            self._model = level, load_chain(self.chain, self.backbone, level)
        return self._model[1]

    def _model_digest(self, level: int) -> str:
        """Return a checksum of a level's weights and of how they read a prompt."""
        parts: list[Any] = [self.chain.identity(level), self.backbone.precision]
        parts.append(self.recipe.layout.model_dump(mode="json"))
        if calibration := self._calibration(level):
            parts.append(calibration.content())
        return digest(parts)

    def _remove_stale_results(self) -> list[Result]:
        """Return the rows of this recipe whose predictions are of the present weights; drop the others."""
        rows = results.read(self.root)
        current = [row for row in rows if self._is_current(row)]
        if len(current) < len(rows):
            logger.info("%s: %d results of other weights dropped", self.root, len(rows) - len(current))
            results.write(self.root, current)
        return current

    def _is_current(self, row: Result) -> bool:
        if (row.run, row.seed) != (self.recipe.name, self.recipe.seed) or row.level > len(self.chain.links):
            return False
        stored = self.predictions.fingerprint(row.level, row.dataset, row.split)
        return row.level == MAJORITY or stored.startswith(self._model_digest(row.level))

    def _add_majority(self, source: DatasetConfig, split: str, examples: Sequence[Example]) -> None:
        """Add the rows of always answering the most frequent label of the training split."""
        task = task_of(source)
        majority = majority_class(task, [str(example.label) for example in training_pool(source)])
        probabilities = np.eye(len(task.labels))[[majority] * len(examples)]
        answers = answers_of(task, [str(example.label) for example in examples], probabilities)
        self._add_results((MAJORITY, source.name, split), source, answers)

    def _add_results(
        self, key: tuple[int, str, str], source: DatasetConfig, answers: Answers
    ) -> list[Result]:
        """Store and return the rows of one level on one dataset."""
        level, dataset, split = key
        precision = "float32" if level == MAJORITY else self.backbone.precision
        run = {"run": self.recipe.name, "seed": self.recipe.seed, "level": level, "precision": precision}
        rows = results_of(answers, metrics_of(source), **run, dataset=dataset, split=split)
        results.add(self.root, rows)
        return rows


def predict_examples(
    loaded: LoadedModel,
    recipe: Recipe,
    task: Task,
    examples: Sequence[Example],
    calibration: Calibration,
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """Return a model's prediction of each example, in order; `progress` gets the number of prompts done."""
    binary = yes_or_no_examples(examples, task) if task.multilabel else examples
    prompts = Encoder(loaded.tokenizer, recipe.layout, task).encode(binary)
    predictions = score(loaded.model, prompts, recipe.training.max_row_tokens, progress)
    predictions = calibration.apply(task, predictions)
    return combine(task, predictions, calibration) if task.multilabel else predictions


def sample_examples(source: DatasetConfig, examples: list[Example], cap: int) -> list[Example]:
    """Return at most `cap` examples (0 for all), the same of a dataset in every run."""
    return sample_dialogues(examples, cap, zlib.crc32(source.name.encode()))
