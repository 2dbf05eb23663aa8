"""What the catalogue knows of a dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gsa.data.task import Task
from gsa.data.types import Example
from gsa.errors import InputError, suggest

Splits = dict[str, list[Example]]
"""``train``, ``dev`` and ``test``, always all three; one that does not exist is empty."""


@dataclass(frozen=True)
class Source:
    """Where a file of a dataset comes from."""

    path: str
    """Relative to the dataset's folder."""
    sha256: str
    """Of the file as it lies in the folder; a download that differs is refused."""
    url: str = ""
    """At one commit of its owner; empty when the file cannot be downloaded."""
    first_lines: int = 0
    """How many lines of the download belong to the file; 0 for all."""
    make: Callable[[], bytes] | None = None
    """For a file that is computed, not downloaded."""


@dataclass(frozen=True)
class Dataset:
    """A dataset: what it asks, how it is read, where it comes from."""

    name: str
    title: str
    task: Task
    """With the labels of the default protocol; see ``task_for``."""
    metrics: tuple[str, ...]
    """Names of the metrics, the main one first."""
    files: tuple[str, ...]
    """What must be in the dataset's folder; a name may be that of a folder of files."""
    read: Callable[[Path, str, int], Splits]
    """Takes folder, protocol and fold."""
    folder: str
    """Relative to the data root."""
    licence: str
    homepage: str
    citation: str
    protocols: tuple[str, ...] = ("standard",)
    """Names of its ways to split or label, the default first."""
    folds: int = 1
    """How many folds the default protocol has; any other has one."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """The task of a protocol whose labels are not those of ``task``."""
    sources: tuple[Source, ...] = ()
    obtain: str = ""
    """How a person gets the data, where a program cannot."""
    instead: tuple[str, ...] = ()
    """Another complete set of files, as good as ``files``."""
    optional: tuple[str, ...] = ()
    """Files that are read when they are there."""
    also_in: tuple[str, ...] = ()
    """Other folders, relative to the data root, in which people keep it."""
    needs: tuple[str, ...] = ()
    """Datasets whose files some protocol reads too."""
    packaged: Path | None = None
    """Its folder, for a dataset that comes with this package."""

    def protocol(self, name: str = "") -> str:
        """Return a protocol's name, of the default one for an empty name; raises InputError."""
        if name and name not in self.protocols:
            expected = f"expected one of {', '.join(self.protocols)}"
            near = suggest(name, self.protocols)
            raise InputError(f"dataset '{self.name}': {expected} as its protocol, found '{name}'{near}")
        return name or self.protocols[0]

    def task_for(self, protocol: str = "") -> Task:
        """Return the task with the labels of a protocol."""
        return self.tasks.get(self.protocol(protocol), self.task)

    def folds_for(self, protocol: str = "") -> int:
        """Return how many folds a protocol has."""
        return self.folds if self.protocol(protocol) == self.protocols[0] else 1

    def fold(self, protocol: str, fold: int) -> int:
        """Return a fold that a protocol has; raises InputError for any other."""
        protocol, folds = self.protocol(protocol), self.folds_for(protocol)
        if not 0 <= fold < folds:
            expected = f"a fold from 0 to {folds - 1}" if folds > 1 else "fold 0, the only one,"
            raise InputError(
                f"dataset '{self.name}': expected {expected} of protocol '{protocol}', found {fold}"
            )
        return fold

    @property
    def downloadable(self) -> bool:
        """Whether all files can be downloaded, or made of what was."""
        return not {file.path for file in self.sources if file.url or file.make} < set(self.files)

    def missing(self, folder: Path) -> tuple[str, ...]:
        """Return the files that are not in a folder but should be."""
        absent = tuple(name for name in self.files if not (folder / name).exists())
        if absent and self.instead and all((folder / name).exists() for name in self.instead):
            return ()
        return absent

    def locate(self, root: Path) -> Path:
        """Return the folder that holds the dataset, or where it should be when it is nowhere."""
        if self.packaged is not None:
            return self.packaged
        for name in (self.folder, *self.also_in):
            if not self.missing(root / name):
                return root / name
        return root / self.folder


def github(repository: str, commit: str, path: str) -> str:
    """Return the address of a file in a public repository at one commit."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
