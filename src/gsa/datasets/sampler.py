"""Samplers: a few invented sentences and dialogues for each level, for trials without a download.

Format: ``{train,test}.jsonl`` in the format of users' own data (see ``custom``). They ship with this
package.

The examples are sentences or dialogues; there is no dev split.
"""

from functools import partial
from importlib.resources import files
from pathlib import Path

from gsa.data.task import TASKS
from gsa.datasets.custom import read_folder
from gsa.datasets.dataset import DataFile, Dataset, Splits


def read(level: str, folder: Path, protocol: str, fold: int) -> Splits:
    """Return the splits of one sampler."""
    return read_folder(folder, f"sampler-{level}", TASKS[level].labels)


def _dataset(level: str) -> Dataset:
    return Dataset(
        name=f"sampler-{level}",
        title=f"Sampler of {level} (invented)",
        task=TASKS[level],
        metrics=("weighted_f1", "accuracy", "macro_f1"),
        files=(DataFile("train.jsonl"), DataFile("test.jsonl")),
        read=partial(read, level),
        folder=f"sampler/{level}",
        package_folder=Path(str(files("gsa.datasets"))) / "sampler" / level,
        licence="that of this package",
        homepage="",
        citation="",
    )


DATASETS = tuple(_dataset(level) for level in TASKS)
