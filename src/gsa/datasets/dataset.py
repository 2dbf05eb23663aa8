"""The description of a dataset: its task, its reader, and where its files come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gsa.data.task import Task
from gsa.data.types import Example
from gsa.errors import InputError, suggest

Splits = dict[str, list[Example]]
"""``train``, ``dev`` and ``test``, always all three; a split that does not exist is empty."""


@dataclass(frozen=True)
class DataFile:
    """A file of a dataset and where it comes from."""

    path: str
    """Relative to the dataset's folder; may name a folder of files."""
    sha256: str = ""
    """Checksum of the file as stored in the folder; empty if unknown."""
    url: str = ""
    """Download address at one commit of the owner's repository; empty if the file cannot be downloaded."""
    first_lines: int = 0
    """Number of lines of the download that are kept; 0 for all."""
    generate: Callable[[], bytes] | None = None
    """Returns the content of a file that is computed instead of downloaded."""
    required: bool = True
    """Whether the dataset cannot be read without it."""

    @property
    def fetchable(self) -> bool:
        """Whether the file can be downloaded or generated."""
        return bool(self.url or self.generate)


@dataclass(frozen=True)
class Dataset:
    """A dataset of the catalogue."""

    name: str
    title: str
    task: Task
    """With the labels of the default protocol; see ``task_for``."""
    metrics: tuple[str, ...]
    """Names of the metrics, the main one first."""
    files: tuple[DataFile, ...]
    read: Callable[[Path, str, int], Splits]
    """Returns the splits of a folder, a protocol and a fold."""
    folder: str
    """Relative to the data root."""
    licence: str
    homepage: str
    citation: str
    protocols: tuple[str, ...] = ("standard",)
    """Names of the ways to split or label it, the default first."""
    train_protocols: tuple[str, ...] = ()
    """Protocols that differ from the default in the train split alone."""
    folds: int = 1
    """Number of folds of the default protocol; any other protocol has one."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """The task of each protocol whose labels differ from those of ``task``."""
    manual_download: str = ""
    """How to get the files that cannot be fetched."""
    alternative_files: tuple[str, ...] = ()
    """Paths of another complete set of files, used in place of ``files``."""
    alternative_folders: tuple[str, ...] = ()
    """Other common locations of the dataset, relative to the data root."""
    requires: tuple[str, ...] = ()
    """Names of the datasets whose files are read too."""
    package_folder: Path | None = None
    """Folder of a dataset that ships with this package."""

    def resolve_protocol(self, name: str = "") -> str:
        """Return a protocol's name, that of the default one for an empty name.

        Raises InputError for a protocol that the dataset does not have.
        """
        if name and name not in self.protocols:
            expected = f"expected one of {', '.join(self.protocols)}"
            near = suggest(name, self.protocols)
            raise InputError(f"dataset '{self.name}': {expected} as its protocol, found '{name}'{near}")
        return name or self.protocols[0]

    def tested_protocol(self, name: str = "") -> str:
        """Return the protocol whose dev and test splits a protocol uses.

        Raises InputError for a protocol that the dataset does not have.
        """
        protocol = self.resolve_protocol(name)
        return self.protocols[0] if protocol in self.train_protocols else protocol

    def task_for(self, protocol: str = "") -> Task:
        """Return the task with the labels of a protocol; raises InputError for an unknown protocol."""
        return self.tasks.get(self.resolve_protocol(protocol), self.task)

    def folds_for(self, protocol: str = "") -> int:
        """Return the number of folds of a protocol; raises InputError for an unknown protocol."""
        return self.folds if self.resolve_protocol(protocol) == self.protocols[0] else 1

    def check_fold(self, protocol: str, fold: int) -> None:
        """Raise InputError unless a protocol has the fold."""
        protocol, folds = self.resolve_protocol(protocol), self.folds_for(protocol)
        if not 0 <= fold < folds:
            expected = f"a fold from 0 to {folds - 1}" if folds > 1 else "fold 0, the only one,"
            raise InputError(
                f"dataset '{self.name}': expected {expected} of protocol '{protocol}', found {fold}"
            )

    @property
    def downloadable(self) -> bool:
        """Whether every required file can be downloaded or generated."""
        return all(file.fetchable for file in self.files if file.required)

    def missing_files(self, folder: Path) -> tuple[str, ...]:
        """Return the paths of the required files that a folder lacks."""
        required = (file.path for file in self.files if file.required)
        missing = tuple(path for path in required if not (folder / path).exists())
        alternative = self.alternative_files
        if missing and alternative and all((folder / path).exists() for path in alternative):
            return ()
        return missing

    def locate(self, root: Path) -> Path:
        """Return the folder that holds the dataset, or its default folder if none does."""
        if self.package_folder is not None:
            return self.package_folder
        for name in (self.folder, *self.alternative_folders):
            if not self.missing_files(root / name):
                return root / name
        return root / self.folder


def github(repository: str, commit: str, path: str) -> str:
    """Return the address of a file in a public repository at one commit."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
