"""Files labelled by Ray Data, on one machine or a cluster, with the result of `gsa predict`.

Ray reads the files and gathers the rows of each block; actors, each with a warm model, label block by block
and store each as a part, which appears complete or not at all. Parts are named by the number of their block,
so whatever dies, the same command finds those that are finished and each row is in the output once.
"""

import math
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gsa.checksums import sha256
from gsa.cluster.blocks import InputFiles, label_block, open_files
from gsa.cluster.session import check_installed, ray_session
from gsa.errors import InputError
from gsa.prediction.documents import check_documents
from gsa.prediction.job import JobConfig, Labeller, file_state
from gsa.prediction.loading import load
from gsa.prediction.output_paths import check_output_paths, link_target
from gsa.prediction.parts import PartStore, RowCounts
from gsa.prediction.writers import Writer
from gsa.progress import Progress

DEVICE = "cpu"
"""Of the models of the driver and the workers."""
BLOCK_ROWS = 2000
"""Rows of a block on average: the most work that a kill loses of a worker."""
MAX_PARTITIONS = 1000
"""Groups of blocks that Ray hands out; progress is reported for each."""
WORKER_MEMORY = 2**30
"""Bytes that a worker needs beside the weights of its model."""


@dataclass(frozen=True)
class RayOptions:
    """How the work is divided."""

    model: str | Path | None = None
    level: int | None = None
    precision: str = ""
    model_bytes: int = 0
    """Of the model's weights."""
    workers: int = 0
    """Actors with a model each, of one CPU; 0 is one for every CPU."""
    block_rows: int = BLOCK_ROWS
    id_column: str = ""
    """Column of ids that must not repeat; empty for none."""


def label_files(
    source: Path,
    config: JobConfig,
    options: RayOptions,
    output: Path,
    rejects: Path | None = None,
    overwrite: bool = False,
) -> RowCounts:
    """Label the files of a folder, or one file, into one Parquet file; returns the counts.

    Raises InputError without Ray, for an output or rejects in the folder, for ids that repeat, for files of
    different columns, and as `label_file` does.
    """
    check_installed()
    if config.output_format != "parquet":
        raise InputError(f"--output '{output.name}': expected a name that ends in .parquet with --ray")
    if config.document:
        check_documents([config.task])
    output, rejects = link_target(output), link_target(rejects) if rejects else None
    for path, option in ((output, "--output"), (rejects, "--rejects")):
        if path and source.is_dir() and path.resolve().is_relative_to(source.resolve()):
            raise InputError(f"'{path}' is in the folder of the input: expected another {option}")
    inputs, first = open_files(source, config.read, config.task.context, options.id_column)
    writer = Writer.for_task("parquet", first, config.task, config.prefix, config.document)
    for path, _ in inputs.files:
        check_output_paths(path, output, rejects, overwrite)
    store = PartStore(output, rejects, writer)
    with store.lock():
        check_output_paths(None, output, rejects, overwrite)  # another process may have finished it
        run = _Run(inputs, config, options, store)
        states = run.file_states()
        store.claim(run.fingerprint(rejects), True, overwrite)
        with ray_session(options.workers):
            run.label()
        if run.file_states() != states:
            store.remove()
            raise InputError(f"'{source}' changed while it was read: run the same command again")
        return store.join()


@dataclass(frozen=True)
class _Run:
    """One job; Ray is running."""

    inputs: InputFiles
    config: JobConfig
    options: RayOptions
    store: PartStore

    def file_states(self) -> list[tuple[int, ...]]:
        """Return what changes when a file of the input is written or replaced."""
        return [file_state(path) for path, _ in self.inputs.files]

    def label(self) -> None:
        """Label all blocks that have no part yet."""
        import ray

        count = len(self.inputs.files)
        files = ray.data.from_items(list(range(count)), override_num_blocks=min(count, MAX_PARTITIONS))
        rows = files.map_batches(_read, batch_size=1, fn_kwargs={"inputs": self.inputs}).materialize()
        keys = _column(rows, "key")
        self._check_ids(rows)
        blocks = max(1, math.ceil(len(keys) / self.options.block_rows))
        numbers, sizes = np.unique(keys % blocks, return_counts=True)
        with Progress(self.inputs.root.name, len(keys)) as progress:
            todo = set()
            for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
                if self.store.reuse(number):
                    progress.resume(size)
                else:
                    todo.add(number)
            if todo:
                self._label_blocks(rows, blocks, todo, progress)
        if not all(self.store.reuse(number) for number in sorted(todo)):
            raise InputError(
                f"'{self.store.folder}' lacks parts that workers wrote: expected a folder that all share"
            )

    def _label_blocks(self, rows: Any, blocks: int, todo: set[int], progress: Progress) -> None:
        import ray

        resources = ray.cluster_resources()
        workers = self.options.workers or max(1, int(resources["CPU"]))
        partitions = min(len(todo), MAX_PARTITIONS)
        selected = rows.map_batches(
            _select, batch_format="pyarrow", fn_kwargs={"blocks": blocks, "todo": sorted(todo)}
        )
        # Gathered before the actors start, which may take all CPUs.
        gathered = (
            selected.groupby("block", num_partitions=partitions)
            .map_groups(_gather, batch_format="pyarrow")
            .materialize()
        )
        memory = self.options.model_bytes + WORKER_MEMORY
        labelled = gathered.map_batches(
            _BlockLabeller,
            fn_constructor_args=(self.inputs, self.config, self.options, self.store),
            batch_size=1,
            num_cpus=1,
            memory=min(memory, int(resources.get("memory", memory))),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        )
        for batch in labelled.iter_batches(batch_size=None):
            progress.advance(int(batch["rows"].sum()))

    def fingerprint(self, rejects: Path | None) -> dict[str, Any]:
        """Return what the parts of this job depend on."""
        labeller = Labeller(self.config, self.store.writer, _unused, Progress("", disable=True))
        checksums = {self.inputs.name(i): sha256(path) for i, (path, _) in enumerate(self.inputs.files)}
        return {
            **labeller.fingerprint(self.options.block_rows, rejects),
            "input": checksums,
            "ids": self.options.id_column,
        }

    def _check_ids(self, rows: Any) -> None:
        """Raise InputError for an id that repeats."""
        if not self.inputs.id_column:
            return
        hashes, counts = np.unique(_column(rows, "id"), return_counts=True)
        repeated = {int(one) for one in hashes[counts > 1]} - {0}
        if not repeated:
            return
        selected = rows.map_batches(_with_ids, batch_format="pyarrow", fn_kwargs={"ids": sorted(repeated)})
        seen: dict[str, str] = {}
        for row in selected.iter_rows():
            placed = pickle.loads(row["row"])
            where = f"{self.inputs.name(placed.file)} row {placed.row.row}"
            id = self.inputs.id_of(placed.row)
            if id in seen:
                self.store.remove()
                first, second = sorted((seen[id], where))
                raise InputError(
                    f"the id '{id}' is that of {first} and of {second}: expected ids that do not repeat"
                )
            seen[id] = where


class _BlockLabeller:
    """An actor with a model that labels blocks and stores their parts."""

    def __init__(self, inputs: InputFiles, config: JobConfig, options: RayOptions, store: PartStore) -> None:
        self.inputs, self.config, self.options, self.store = inputs, config, options, store
        self.labeller: Labeller | None = None

    def __call__(self, batch: Any) -> Iterator[dict[str, list[int]]]:
        """Label blocks; a part that an actor finished before it died is kept."""
        if self.labeller is None:  # not in the constructor, whose errors Ray retries
            self.labeller = self._load()
        for number, pickled in zip(batch["block"].tolist(), batch["rows"], strict=True):
            rows = [pickle.loads(row) for row in pickle.loads(pickled)]
            if not self.store.reuse(number):
                self.store.add(number, label_block(self.labeller, self.inputs, rows))
            yield {"rows": [len(rows)]}

    def _load(self) -> Labeller:
        options = self.options
        predictor = load(options.model, options.level, DEVICE, options.precision)
        if predictor.identity != self.config.identity:
            raise InputError(
                f"the model of a worker on {os.uname().nodename} is another one: expected the same files"
            )
        return Labeller(self.config, self.store.writer, predictor.predict, Progress("", disable=True))


def _unused(*_: Any) -> Any:
    raise AssertionError("labels nothing")


def _read(batch: Any, inputs: InputFiles) -> Iterator[dict[str, list[Any]]]:
    for file in batch["item"].tolist():
        yield from inputs.read(file)


def _select(table: Any, blocks: int, todo: list[int]) -> Any:
    """Return the rows of unfinished blocks, with the number of their block."""
    numbers = table["key"].to_numpy() % blocks
    import pyarrow as pa

    table = pa.table({"block": numbers, "row": table["row"]})
    return table.filter(pa.array(np.isin(numbers, todo)))


def _with_ids(table: Any, ids: list[int]) -> Any:
    import pyarrow as pa

    return table.select(["row"]).filter(pa.array(np.isin(table["id"].to_numpy(), ids)))


def _gather(table: Any) -> dict[str, list[Any]]:
    """Return the rows of a block as one value."""
    return {"block": [table["block"][0].as_py()], "rows": [pickle.dumps(table["row"].to_pylist())]}


def _column(rows: Any, name: str) -> Any:
    """Return a column of integers as an array."""
    batches = [batch[name] for batch in rows.select_columns([name]).iter_batches(batch_size=None)]
    return np.concatenate([np.zeros(0, np.int64), *batches]).astype(np.int64)
