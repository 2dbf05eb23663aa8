"""The datasets by name, where they are kept, and the way to load them."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from gsa.datasets import (
    emorynlp,
    iemocap,
    meld,
    mosei,
    mosi,
    mustard,
    mustardpp,
    sst2,
    tweeteval,
)
from gsa.datasets import (
    sampler as samplers,
)
from gsa.datasets.dataset import Dataset, Splits
from gsa.errors import InputError, suggest

__all__ = ["CATALOGUE", "Dataset", "Splits", "absence", "data_root", "get", "load"]

CATALOGUE: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        sst2.DATASET,
        mosi.DATASET,
        mosei.DATASET,
        iemocap.DATASET,
        meld.DATASET,
        emorynlp.DATASET,
        mustard.DATASET,
        mustardpp.DATASET,
        *tweeteval.DATASETS,
        *samplers.DATASETS,
    )
}
"""In the order of the levels."""


def data_root() -> Path:
    """Return the folder of all datasets: ``GSA_DATA``, or a cache in the user's home."""
    return Path(os.environ.get("GSA_DATA") or "~/.cache/gsa/data").expanduser()


def get(name: str) -> Dataset:
    """Return a dataset; raises InputError for a name that is not in the catalogue."""
    try:
        return CATALOGUE[name]
    except KeyError:
        expected = f"expected one of {', '.join(CATALOGUE)}"
        raise InputError(f"dataset: {expected}, found '{name}'{suggest(name, CATALOGUE)}") from None


def absence(dataset: Dataset, root: Path) -> str:
    """Return a sentence that says what of a dataset is not there, or ``""``."""
    folder = dataset.locate(root)
    absent = dataset.missing(folder)
    if not absent:
        return ""
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    file = folder / absent[0]
    cure = "install this package anew" if dataset.packaged else f"run 'gsa data fetch {dataset.name}'"
    if not dataset.packaged and not dataset.downloadable:
        cure = f"{dataset.obtain}; then run 'gsa data fetch {dataset.name} --from FOLDER'"
    return f"dataset '{dataset.name}': expected '{file}'{more}, found none: {cure}"


def load(name: str, protocol: str = "", fold: int = 0, root: Path | None = None) -> Splits:
    """Return the train, dev and test examples of a dataset, of its default protocol for an empty one."""
    dataset = get(name)
    protocol, fold = dataset.protocol(protocol), dataset.fold(protocol, fold)
    root = data_root() if root is None else root
    sentence = absence(dataset, root)
    if sentence:
        raise InputError(sentence)
    splits = _load(name, protocol, fold, root, _stamp(dataset, root))
    return {split: list(examples) for split, examples in splits.items()}


@lru_cache(maxsize=16)
def _load(name: str, protocol: str, fold: int, root: Path, stamp: object) -> Splits:
    dataset = CATALOGUE[name]
    return dataset.read(dataset.locate(root), protocol, fold)


def _stamp(dataset: Dataset, root: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file is replaced, so that nothing stale is loaded."""
    found = []
    for each in (dataset, *(CATALOGUE[name] for name in dataset.needs)):
        folder = each.locate(root)
        for name in (*each.files, *each.instead, *each.optional):
            path = folder / name
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                if file.is_file():
                    status = file.stat()
                    found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)
