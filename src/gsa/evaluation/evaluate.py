"""Evaluation of a model: each level on each dataset; predictions and results are kept in a folder.

    FOLDER/predictions/     tables, as `predictions` keeps them
    FOLDER/results.jsonl    one row per number

A run is evaluated in its own folder on the datasets of its recipe. Any other model, and a run on any other
dataset, has a folder of results (`sources.make_evaluator`).

Predictions are kept as long as what they were computed from is the same: the weights of the level, the
layout, the task and the examples. Otherwise they are computed again.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gsa.chain.calibration import Calibration
from gsa.chain.pipeline import Pipeline
from gsa.chain.source import ModelSource
from gsa.data.types import Example
from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.measurements import SPLITS, Measurement, sample_examples, select_datasets
from gsa.evaluation.metrics import Answers, answers_of, majority_class
from gsa.evaluation.predictions import (
    PROBABILITY,
    PredictionStore,
    digest,
    examples_digest,
    labels_of,
    to_answers,
    to_table,
)
from gsa.evaluation.results import MAJORITY, Result, results_of
from gsa.evaluation.results_folder import check_model, store_recipe
from gsa.locking import folder_lock
from gsa.model.backbone import LoadedModel
from gsa.progress import Progress
from gsa.recipes.datasets import load_split, load_splits, metrics_of, task_of
from gsa.recipes.schema import DatasetConfig, Evaluation

logger = logging.getLogger(__name__)


class Evaluator:
    """Measures the levels of one model and keeps predictions and results in a folder."""

    def __init__(
        self,
        root: Path,
        precision: str = "",
        model: ModelSource | None = None,
        datasets: Sequence[DatasetConfig] = (),
    ) -> None:
        """Read the run in `root`, or with `model` any other, whose results on `datasets` go to `root`.

        An empty `precision` is the recipe's. Raises InputError if there is no such run, for a damaged one,
        and for a precision that cannot be computed.
        """
        self.root = root
        self.model = (model or ModelSource.of_run(root)).with_precision(precision)
        self.seed = self.model.recipe.seed if self.model.recipe else 0
        self.options = self.model.recipe.evaluation if self.model.recipe else Evaluation()
        self.in_run = model is None
        if self.model.recipe and self.in_run:
            datasets = self.model.recipe.evaluated_datasets
        self.datasets = {config.name: config for config in datasets}
        self.predictions = PredictionStore(root)
        self._loaded: tuple[int, LoadedModel] | None = None
        self._identity = ""

    def evaluate(
        self,
        levels: Sequence[int] | None = None,
        datasets: Sequence[str] = (),
        split: str = "",
        limit: int | None = None,
        overwrite: bool = False,
    ) -> list[Result]:
        """Measure the model and return all of its rows of the split.

        `levels` None is every level of a run in its folder, the last one of any other model; `datasets` empty
        is all; `split` empty and `limit` None (examples per dataset, 0 for all) are the recipe's. Raises
        InputError for names and levels that there are not, a damaged run, a folder with results of another
        model, and one that another process works in.
        """
        split = split or self.options.split
        if split not in SPLITS:
            raise InputError(f"split '{split}': expected train, dev or test")
        for level in levels or ():
            self.model.check_level(level)
        if levels is None:
            self.model.warn_of_no_level(self.root if self.in_run else self.model.name)
        with folder_lock(self.root, "eval"):
            results.read(self.root)  # raises InputError for damaged rows before anything is computed
            if not self.in_run:
                check_model(self.root, self.model.name)
            sources = select_datasets(self.datasets, datasets, split)
            examples = {source.name: load_split(source, split) for source in sources}
            plan = [
                Measurement(level, source, split, sample_examples(source, examples[source.name], cap))
                for level, cap in self._caps(levels, limit).items()
                for source in sources
            ]
            total = sum(len(measurement.examples) for measurement in plan)
            with Progress(f"evaluate {self.model.name}", total, "targets") as progress:
                for measurement in plan:
                    self._measure(measurement, overwrite, progress)
            self._loaded = None
            for source in sources:
                self._add_majority(source, split, self._largest_sample(source, split, examples[source.name]))
            if not self.in_run and self.model.chain and self.model.recipe:
                store_recipe(self.root, self.model.recipe, sources)
            return [row for row in self._remove_stale_results() if row.split == split]

    def forgetting_matrix(self, rows: Sequence[Result]) -> list[list[str]]:
        """Return the table of every dataset's main metric after every measured level, header first.

        Users' own data has its accuracy below.
        """
        metrics = {name: metrics_of(config)[0] for name, config in self.datasets.items()}
        links = self.model.chain.links if self.model.chain else ()
        titles = {MAJORITY: "majority", 0: "untuned" if self.model.chain else self.model.name}
        titles |= {number: f"after {link.name}" for number, link in enumerate(links, 1)}
        measured = {row.level for row in rows}
        titles = {level: title for level, title in titles.items() if level in measured}
        own = {name: "accuracy" for name, config in self.datasets.items() if config.path}
        matrix = results.forgetting_matrix(rows, metrics, titles)
        return [*matrix, *results.forgetting_matrix(rows, own, titles)[1:]]

    def sample_predictions(self, split: str, count: int) -> list[dict[str, Any]]:
        """Return `count` predictions of the last level per dataset with their texts, spread over it."""
        samples = []
        for source in self.datasets.values():
            table = self.predictions.load(self.model.last_level, source.name, split)
            if table is None:
                continue
            texts = {example.id: example.utterance.line() for example in load_split(source, split)}
            table = table.filter(pl.col("id").is_in(list(texts)))
            for row in table[:: max(1, len(table) // count)][:count].iter_rows(named=True):
                probabilities = {label: row[PROBABILITY + label] for label in labels_of(table)}
                shown = {"dataset": source.name, "text": texts[row["id"]], "probabilities": probabilities}
                samples.append({**shown, **row})
        return samples

    def _caps(self, levels: Sequence[int] | None, limit: int | None) -> dict[int, int]:
        """Return the levels to measure, each with the most examples per dataset; 0 is all."""
        last, options = self.model.last_level, self.options
        if levels is None:
            levels = range(last + 1) if self.in_run else [last]
            caps = {level: options.sample if 0 < level < last else options.limit for level in levels}
        else:
            caps = dict.fromkeys(levels, options.limit)
        return caps if limit is None else dict.fromkeys(caps, limit)

    def _measure(self, measurement: Measurement, overwrite: bool, progress: Progress) -> None:
        """Add the rows of one measurement, from stored predictions where they are still valid."""
        level, source = measurement.level, measurement.source
        task = task_of(source)
        fingerprint = f"{self._model_digest(level)}-{examples_digest(task, measurement.examples)}"
        table = None if overwrite else self._stored(measurement, fingerprint)
        speed = "kept"
        if table is not None:
            progress.resume(len(table))
        else:
            self._load(level)  # outside the measured time
            started = time.monotonic()
            table = self._predict(measurement, progress)
            self.predictions.store(*measurement.key, table, fingerprint)
            speed = f"{len(table) / (time.monotonic() - started):.1f} targets/s"
        rows = self._add_results(measurement.key, source, to_answers(task, table))
        greedy = table["greedy"] if "greedy" in table.columns else table["predicted"]
        agreement = np.mean([a == b for a, b in zip(table["predicted"], greedy, strict=True)])
        logger.info(
            "level %d  %-20s %s %.1f  n=%d  greedy decoding agrees %.1f%%  %s",
            level, source.name, rows[0].metric, rows[0].value, rows[0].n, 100 * agreement, speed,
        )  # fmt: skip

    def _stored(self, measurement: Measurement, fingerprint: str) -> pl.DataFrame | None:
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

    def _predict(self, measurement: Measurement, progress: Progress) -> pl.DataFrame:
        """Return the table of a level's predictions, calibrated where the level has a calibration."""
        task, before = task_of(measurement.source), progress.completed
        pipeline = self.pipeline(measurement.level, self.model.calibration(measurement.level))
        predictions = pipeline.predict_batch(
            measurement.examples, task, lambda n: progress.update(before + n)
        )
        probabilities = np.asarray([[p.probabilities[label] for label in task.labels] for p in predictions])
        predicted = [p.likeliest for p in predictions]
        greedy = None if task.multilabel else [p.greedy for p in predictions]
        return to_table(task, measurement.examples, probabilities, greedy, predicted)

    def pipeline(self, level: int, calibration: Calibration) -> Pipeline:
        """Return a pipeline with the model of a level; one model is in memory at a time."""
        return Pipeline(self._load(level), self.model.layout(level), self.model.max_row_tokens, calibration)

    def _load(self, level: int) -> LoadedModel:
        if self._loaded is None or self._loaded[0] != level:
            self._loaded = None
            self._loaded = level, self.model.load(level)
        return self._loaded[1]

    def _model_digest(self, level: int) -> str:
        """Return a checksum of a level's weights and of how they read a prompt."""
        layout = self.model.layout(level).model_dump(mode="json", exclude_none=True)
        if self.model.chain:
            identity = self.model.chain.identity(level)
        else:
            identity = self._identity = self._identity or self._load(level).identity
        parts = [identity, self.model.backbone.precision, layout]
        if calibration := self.model.calibration(level):
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
        if (row.run, row.seed) != (self.model.name, self.seed) or row.level > self.model.last_level:
            return False
        stored = self.predictions.fingerprint(row.level, row.dataset, row.split)
        return row.level == MAJORITY or stored.startswith(self._model_digest(row.level))

    def _largest_sample(
        self, source: DatasetConfig, split: str, examples: Sequence[Example]
    ) -> Sequence[Example]:
        """Return the examples of the level that was measured on most of them."""
        levels = {row.level for row in results.read(self.root) if row.level != MAJORITY}
        tables = (self.predictions.load(level, source.name, split) for level in sorted(levels))
        ids = max(({*table["id"]} for table in tables if table is not None), key=len, default=set())
        return [example for example in examples if example.id in ids]

    def _add_majority(self, source: DatasetConfig, split: str, examples: Sequence[Example]) -> None:
        """Add the rows of always answering the most frequent label of the train split, or of dev without it.

        A dataset that has neither gets no rows, as does one that no level was measured on.
        """
        task, splits = task_of(source), load_splits(source)
        known = splits["train"] or splits["dev"]
        if not known or not examples:
            return
        majority = majority_class(task, [str(example.label) for example in known])
        probabilities = np.eye(len(task.labels))[[majority] * len(examples)]
        answers = answers_of(task, [str(example.label) for example in examples], probabilities)
        self._add_results((MAJORITY, source.name, split), source, answers)

    def _add_results(
        self, key: tuple[int, str, str], source: DatasetConfig, answers: Answers
    ) -> list[Result]:
        """Store and return the rows of one level on one dataset."""
        level, dataset, split = key
        precision = (
            "float32" if level == MAJORITY else self.model.backbone.quantize or self.model.backbone.precision
        )
        run = {"run": self.model.name, "seed": self.seed, "level": level, "precision": precision}
        rows = results_of(answers, metrics_of(source), **run, dataset=dataset, split=split)
        results.add(self.root, rows)
        return rows
