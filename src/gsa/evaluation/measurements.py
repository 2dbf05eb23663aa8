"""What an evaluation measures: each level's model on the examples of each dataset."""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gsa.data.selection import sample_dialogues
from gsa.data.types import Example
from gsa.errors import InputError, suggest
from gsa.recipes.datasets import load_split, load_splits
from gsa.recipes.schema import DatasetConfig

logger = logging.getLogger(__name__)
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Measurement:
    """One level's model on the examples of one dataset."""

    level: int
    source: DatasetConfig
    split: str
    examples: list[Example]

    @property
    def key(self) -> tuple[int, str, str]:
        """Where its predictions are stored."""
        return self.level, self.source.name, self.split


def select_datasets(
    known: Mapping[str, DatasetConfig], names: Sequence[str], split: str
) -> list[DatasetConfig]:
    """Return the datasets of `known` that are named, or all that have the split.

    Raises InputError for a name that is not known, and where no dataset has the split.
    """
    for name in names:
        if name not in known:
            raise InputError(
                f"dataset '{name}' is not in this run{suggest(name, known)}: expected one of {sorted(known)}"
            )
    if names:
        return [known[name] for name in known if name in names]
    datasets = [config for config in known.values() if load_splits(config)[split]]
    if not datasets:
        load_split(next(iter(known.values())), split)  # raises the InputError that says what is missing
    for name in known.keys() - {config.name for config in datasets}:
        logger.info("%s has no %s split: skipped", name, split)
    return datasets


def sample_examples(source: DatasetConfig, examples: list[Example], cap: int) -> list[Example]:
    """Return at most `cap` examples (0 for all), the same of a dataset in every run."""
    return sample_dialogues(examples, cap, zlib.crc32(source.name.encode()))
