"""Bring a dataset's files to their folder: from their owner, or from a folder of the user's.

A file appears under its own name only when it is whole and, if it was downloaded, has the checksum that
this package knows; until then it is a temporary file beside it.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from gsa.atomic_io import atomic_path, sha256
from gsa.datasets.catalogue import data_root, get
from gsa.datasets.dataset import Dataset, Source
from gsa.errors import InputError

TIMEOUT = 60
"""Seconds without a byte after which a download is given up."""


@dataclass(frozen=True)
class Fetched:
    """What happened to one file."""

    path: Path
    state: str
    """``downloaded``, ``copied``, ``made`` or ``kept``."""
    note: str = ""
    """What a user should know of it, if anything."""


def fetch(
    name: str, root: Path | None = None, source: Path | None = None, progress: Any = False
) -> list[Fetched]:
    """Bring a dataset's files to their folder below the data root; what is already right is kept.

    What a dataset needs of another one is downloaded with it.
    With ``source``, they are copied from that folder, or from the dataset's own folder in it.
    ``progress`` is what pooch takes as its progress bar: True, False, or an object like tqdm's.
    """
    dataset = get(name)
    if dataset.packaged is not None:
        return [Fetched(dataset.packaged / file, "kept", "comes with this package") for file in dataset.files]
    root = data_root() if root is None else root
    if source is not None:
        return _copy_all(dataset, root, source)
    if not dataset.downloadable:
        folder = dataset.locate(root)
        if not dataset.missing(folder):
            return [Fetched(folder / file, "kept") for file in dataset.files]
        raise InputError(
            f"dataset '{name}' cannot be downloaded: {dataset.obtain}; then put it into "
            f"'{root / dataset.folder}', or run 'gsa data fetch {name} --from FOLDER'"
        )
    found = [each for needed in dataset.needs for each in fetch(needed, root, progress=progress)]
    return found + [_download(file, root / dataset.folder / file.path, progress) for file in dataset.sources]


def _download(source: Source, target: Path, progress: Any) -> Fetched:
    if target.is_file() and sha256(target) == source.sha256:
        return Fetched(target, "kept")
    with atomic_path(target) as part:
        if source.make is not None:
            part.write_bytes(source.make())
        else:
            _get(source.url, part, progress)
        if source.first_lines:
            with part.open("rb") as whole:
                first = b"".join(islice(whole, source.first_lines))
            part.write_bytes(first)
        found = sha256(part)
        if found != source.sha256:
            origin = source.url or "this package"
            raise InputError(
                f"{origin}: expected a file with sha256 {source.sha256}, found {found}; not kept"
            )
    return Fetched(target, "made" if source.make else "downloaded")


def _get(url: str, part: Path, progress: Any) -> None:
    # Both are slow to import, and only a download needs them.
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)(url, str(part), None)
    except requests.RequestException as error:
        raise InputError(
            f"{url}: expected a download, found an error ({error}); "
            "'gsa data fetch NAME --from FOLDER' copies files that you have"
        ) from error


def _copy_all(dataset: Dataset, root: Path, source: Path) -> list[Fetched]:
    origin = _origin(dataset, source)
    known = {file.path: file for file in dataset.sources}
    # A computed file need not be in the user's folder.
    made = [file for file in dataset.sources if file.make and not (origin / file.path).exists()]
    found = []
    for name in (*dataset.files, *dataset.instead, *dataset.optional):
        if not (origin / name).exists():
            continue
        for path in _files(origin / name):
            relative = path.relative_to(origin)
            found.append(_copy(path, root / dataset.folder / relative, known.get(relative.as_posix())))
    return found + [_download(file, root / dataset.folder / file.path, False) for file in made]


def _origin(dataset: Dataset, source: Path) -> Path:
    """Return the folder, at or below the user's, that holds the dataset; raises InputError."""
    made = {file.path for file in dataset.sources if file.make}
    folders = [source, *(source / name for name in (dataset.folder, *dataset.also_in))]
    for folder in folders:
        if set(dataset.missing(folder)) <= made:
            return folder
    absent = ", ".join(name for name in dataset.missing(source) if name not in made)
    expected = f"expected the files of dataset '{dataset.name}' here or in '{dataset.folder}'"
    raise InputError(f"{source}: {expected}, found no {absent}")


def _files(path: Path) -> list[Path]:
    # The one dataset of folders names its files so; the rest of such a folder is not read.
    return sorted(path.glob("Ses*.txt")) if path.is_dir() else [path]


def _copy(path: Path, target: Path, source: Source | None) -> Fetched:
    if not (target.exists() and target.samefile(path)):
        with atomic_path(target) as part:
            part.write_bytes(path.read_bytes())
    if source is None or sha256(target) == source.sha256:
        return Fetched(target, "copied")
    note = "differs from the file that this package knows, so results may differ from published ones"
    return Fetched(target, "copied", note)
