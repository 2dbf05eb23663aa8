"""Samplers: a few invented sentences and dialogues a level, to try everything without a download.

Format: ``{train,test}.jsonl``, the format of users' own data (see ``own``); they come with this package.

Out come sentences or dialogues; there is no dev split.
"""

from functools import partial
from importlib.resources import files
from pathlib import Path

from gsa.data.task import TASKS
from gsa.datasets import records as own
from gsa.datasets.dataset import Dataset, Splits


def read(level: str, folder: Path, protocol: str, fold: int) -> Splits:
    """Return the splits of one of the three."""
    return own.read_folder(folder, f"sampler-{level}", TASKS[level].labels)


def _dataset(level: str) -> Dataset:
    return Dataset(
        name=f"sampler-{level}",
        title=f"Sampler of {level} (invented)",
        task=TASKS[level],
        metrics=("weighted_f1", "accuracy", "macro_f1"),
        files=("train.jsonl", "test.jsonl"),
        read=partial(read, level),
        folder=f"sampler/{level}",
        packaged=Path(str(files("gsa.datasets"))) / "sampler" / level,
        licence="that of this package",
        homepage="",
        citation="",
    )


DATASETS = tuple(_dataset(level) for level in TASKS)
