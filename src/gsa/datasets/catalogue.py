"""The catalogue of datasets: where they are kept, and how to load them."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from gsa.datasets import (
    emorynlp,
    goemotions,
    iemocap,
    mams,
    meld,
    mosei,
    mosi,
    mustard,
    mustardpp,
    robustness,
    sampler,
    semeval2014,
    semeval2017,
    sst2,
    three_class,
    tweeteval,
)
from gsa.datasets.dataset import Dataset, Splits
from gsa.errors import InputError, suggest

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
        semeval2017.DATASET,
        *goemotions.DATASETS,
        mams.DATASET,
        mams.DATASET_PLAIN,
        meld.DATASET_PLAIN,
        *semeval2014.DATASETS,
        *three_class.DATASETS,
        *sampler.DATASETS,
        *robustness.DATASETS,
    )
}
"""Every dataset by its name, in the order of the levels."""


def data_root() -> Path:
    """Return the folder of all datasets: that of the variable ``GSA_DATA``, or a cache in the user's home."""
    return Path(os.environ.get("GSA_DATA") or "~/.cache/gsa/data").expanduser()


def get(name: str) -> Dataset:
    """Return a dataset; raises InputError for a name that is not in the catalogue."""
    try:
        return CATALOGUE[name]
    except KeyError:
        expected = f"expected one of {', '.join(CATALOGUE)}"
        raise InputError(f"dataset: {expected}, found '{name}'{suggest(name, CATALOGUE)}") from None


def is_own_folder(name: str) -> bool:
    """Return whether a name is that of a user's folder; names of the catalogue come first."""
    return name not in CATALOGUE and Path(name).is_dir()


def missing_message(dataset: Dataset, root: Path) -> str:
    """Return a sentence about a dataset's missing files and how to get them, ``""`` if none is missing."""
    folder = dataset.locate(root)
    missing = dataset.missing_files(folder)
    if not missing:
        return ""
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    if dataset.package_folder:
        remedy = "reinstall this package"
    elif dataset.downloadable:
        remedy = f"run 'gsa data fetch {dataset.name}'"
    else:
        remedy = f"{dataset.manual_download}; then run 'gsa data fetch {dataset.name} --from FOLDER'"
    return f"dataset '{dataset.name}': expected '{folder / missing[0]}'{more}, found none: {remedy}"


def load(name: str, protocol: str = "", fold: int = 0, root: Path | None = None) -> Splits:
    """Return the train, dev and test examples of a dataset; an empty protocol is the default one.

    Raises InputError for an unknown dataset, protocol or fold, and for files that are missing or malformed.
    """
    dataset = get(name)
    protocol = dataset.resolve_protocol(protocol)
    dataset.check_fold(protocol, fold)
    root = data_root() if root is None else root
    message = missing_message(dataset, root)
    if message:
        raise InputError(message)
    splits = _load(name, protocol, fold, root, _fingerprint(dataset, root))
    return {split: list(examples) for split, examples in splits.items()}


@lru_cache(maxsize=16)
def _load(name: str, protocol: str, fold: int, root: Path, fingerprint: object) -> Splits:
    dataset = CATALOGUE[name]
    return dataset.read(dataset.locate(root), protocol, fold)


def clear_cache() -> None:
    """Let go of the datasets that were read, all splits of the last 16; the next `load` reads them again."""
    _load.cache_clear()


def _fingerprint(dataset: Dataset, root: Path) -> tuple[tuple[str, int, int], ...]:
    """Return path, size and time of every file, so that a replaced file is read again."""
    files = []
    for source in (dataset, *(CATALOGUE[name] for name in dataset.requires)):
        folder = source.locate(root)
        for name in (*(file.path for file in source.files), *source.alternative_files):
            path = folder / name
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                if file.is_file():
                    status = file.stat()
                    files.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(files)
