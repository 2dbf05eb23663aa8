"""What is on disk at every file boundary of a run, had its process or its power ended there.

In: a child's work below a folder. Out: three trees a boundary, each of which can be laid out again:

    killed        all that was written: what `kill -9` leaves
    emptied       a power cut that keeps names and loses what was not flushed of the files below them
    forgotten     a power cut that keeps nothing but what was flushed: files, and the names in folders

One undisturbed run records them all, so that a sweep of every boundary costs a resumption each and no deaths.
"""

import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from killing import Boundaries, inode

Tree = dict[str, str]
"""Checksums of contents by path below the run's folder, FOLDER for a folder; without "" there is no run."""
FOLDER = "folder"
Who = tuple[int, int, int]
ENDS = ("killed", "emptied", "forgotten")


class Recorder(Boundaries):
    """Notes at every boundary below `root` what each end would leave; contents go to the folder `store`."""

    def __init__(self, root: Path, store: Path) -> None:
        super().__init__(root)
        self.store, self.births = store, Counter[tuple[int, int]]()
        self.flushed_data: dict[Who, str] = {}
        self.flushed_names: dict[Who, dict[str, tuple[Who, bool]]] = {}
        self.home = self.who(os.stat(root.parent))
        store.mkdir()

    def boundary(self) -> None:
        """Note the three trees of this moment."""
        self.seen += 1
        killed, emptied = dict(self._below()), dict(self._below(losing=True))
        forgotten: Tree = {}
        top = self.flushed_names.get(self.home, {}).get(os.path.basename(self.root))
        if top is not None:
            self._recall(*top, "", forgotten)
        with (self.store / "trees.jsonl").open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([killed, emptied, forgotten]) + "\n")

    def made(self, status: os.stat_result) -> None:
        """Take note of a new file or folder; file systems give it the number of a removed one."""
        self.births[inode(status)] += 1

    def who(self, status: os.stat_result) -> Who:
        """Return what tells a file or folder from all others, those before it at its number included."""
        return *inode(status), self.births[inode(status)]

    def flushed(self, handle: int) -> None:
        """Note what is safe now: a file's content, or the names in a folder."""
        super().flushed(handle)
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(handle) as entries:
                found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
            names = {name: (self.who(one), stat.S_ISDIR(one.st_mode)) for name, one in found.items()}
            self.flushed_names[self.who(status)] = names
        else:
            self.flushed_data[self.who(status)] = self._keep(os.pread(handle, status.st_size, 0))

    def _below(self, losing: bool = False) -> Iterator[tuple[str, str]]:
        for path in walk(Path(self.root)):
            if path.is_dir():
                yield _name(path, self.root), FOLDER
            else:
                lost = losing and inode(path.stat()) in self.unflushed
                yield _name(path, self.root), self._keep(b"" if lost else path.read_bytes())

    def _recall(self, who: Who, is_folder: bool, name: str, found: Tree) -> None:
        if is_folder:
            found[name] = FOLDER
            for below, entry in self.flushed_names.get(who, {}).items():
                self._recall(*entry, os.path.join(name, below), found)
        else:
            found[name] = self.flushed_data.get(who) or self._keep(b"")

    def _keep(self, content: bytes) -> str:
        checksum = hashlib.sha256(content).hexdigest()
        if not (self.store / checksum).exists():
            (self.store / checksum).write_bytes(content)
        return checksum


def walk(root: Path) -> list[Path]:
    """Return a folder and all below it, none if it is not there."""
    return [root, *sorted(root.rglob("*"))] if root.exists() else []


def tree(root: Path) -> Tree:
    """Return the tree of a folder as it is, names without process ids."""
    found = {
        _name(path, root): FOLDER if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in walk(root)
    }
    return anonymous(found)


def anonymous(tree: Tree) -> Tree:
    """Return a tree without process ids in its temporary names: those of two processes compare equal."""
    return {re.sub(r"\.\d+-\d+\.part", ".part", name): content for name, content in tree.items()}


def recorded(store: Path) -> list[dict[str, Tree]]:
    """Return what a Recorder noted: the trees of each boundary by what ended the run."""
    lines = (store / "trees.jsonl").read_text(encoding="utf-8").splitlines()
    return [dict(zip(ENDS, json.loads(line), strict=True)) for line in lines]


def lay_out(trees: Tree, store: Path, root: Path) -> None:
    """Make a folder hold a recorded tree."""
    for name, content in sorted(trees.items()):
        if content == FOLDER:
            (root / name).mkdir()
        else:
            (root / name).write_bytes((store / content).read_bytes())


def _name(path: Path, root: Path | str) -> str:
    name = os.path.relpath(path, root)
    return "" if name == "." else name
