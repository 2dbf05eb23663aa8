"""Fetching a dataset's files: downloaded from their owner, generated, or copied from a user's folder.

A file appears under its own name only when it is complete and, if it was downloaded, has the checksum that
this package knows.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gsa.atomic_io import atomic_path
from gsa.checksums import sha256
from gsa.datasets.catalogue import data_root, get
from gsa.datasets.dataset import DataFile, Dataset
from gsa.errors import InputError
from gsa.progress import Progress

TIMEOUT = 60
"""Seconds without a byte after which a download fails."""
CHUNK = 2**18
"""Bytes that are written at a time."""


@dataclass(frozen=True)
class FetchedFile:
    """What happened to one file."""

    path: Path
    state: str
    """``downloaded``, ``copied``, ``generated`` or ``kept``."""
    note: str = ""
    """A remark for the user, if there is one."""


def fetch(name: str, root: Path | None = None, source: Path | None = None) -> list[FetchedFile]:
    """Bring a dataset's files to its folder below the data root; return what happened to each.

    Files that are already correct are kept; datasets that it requires are downloaded too. With ``source``,
    the files are copied from that folder, or from the dataset's own folder inside it.

    Raises InputError for an unknown dataset, one that cannot be downloaded, a failed download, a checksum
    that differs, and a ``source`` without the required files.
    """
    dataset = get(name)
    root = data_root() if root is None else root
    if dataset.package_folder is not None:
        note = "comes with this package"
        return [FetchedFile(dataset.package_folder / file.path, "kept", note) for file in dataset.files]
    if source is not None:
        return _copy_all(dataset, root, source)
    if not dataset.downloadable:
        folder = dataset.locate(root)
        if not dataset.missing_files(folder):
            paths = [folder / file.path for file in dataset.files]
            return [FetchedFile(path, "kept") for path in paths if path.exists()]
        raise InputError(
            f"dataset '{name}' cannot be downloaded: {dataset.manual_download}; then put it into "
            f"'{root / dataset.folder}', or run 'gsa data fetch {name} --from FOLDER'"
        )
    required = [file for name in dataset.requires for file in fetch(name, root)]
    fetchable = [file for file in dataset.files if file.fetchable]
    return required + [_fetch(file, root / dataset.folder / file.path) for file in fetchable]


def _fetch(file: DataFile, target: Path) -> FetchedFile:
    """Download or generate one file unless a correct one is there."""
    if target.is_file() and sha256(target) == file.sha256:
        return FetchedFile(target, "kept")
    with atomic_path(target) as draft:
        if file.generate is not None:
            draft.write_bytes(file.generate())
        else:
            _download(file.url, draft)
        if file.first_lines:
            with draft.open("rb") as lines:
                head = b"".join(islice(lines, file.first_lines))
            draft.write_bytes(head)
        checksum = sha256(draft)
        if checksum != file.sha256:
            origin = file.url or "this package"
            raise InputError(
                f"{origin}: expected a file with sha256 {file.sha256}, found {checksum}; not kept"
            )
    return FetchedFile(target, "generated" if file.generate else "downloaded")


def _download(url: str, draft: Path) -> None:
    import requests  # slow to import, and only a download needs it

    try:
        # Without compression, so that the progress counts the bytes that the server announces.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            response.raise_for_status()
            size = response.headers.get("content-length")
            name = url.rpartition("/")[2]
            with Progress(name, int(size) if size else None, "bytes") as progress, draft.open("wb") as file:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    progress.advance(len(chunk))
    except requests.RequestException as error:
        raise InputError(
            f"{url}: expected a download, found an error ({error}); "
            "'gsa data fetch NAME --from FOLDER' copies files that you have"
        ) from error


def _copy_all(dataset: Dataset, root: Path, source: Path) -> list[FetchedFile]:
    origin = _find_source(dataset, source)
    known = {file.path: file for file in dataset.files}
    fetched = []
    for name in (*known, *dataset.alternative_files):
        if (origin / name).exists():
            for path in _readable_files(origin / name):
                relative = path.relative_to(origin)
                target = root / dataset.folder / relative
                fetched.append(_copy(path, target, known.get(relative.as_posix())))
        elif name in known and known[name].generate:  # a generated file need not be in the user's folder
            fetched.append(_fetch(known[name], root / dataset.folder / name))
    return fetched


def _find_source(dataset: Dataset, source: Path) -> Path:
    """Return the folder, at or below the user's, that holds the dataset; raises InputError."""
    generated = {file.path for file in dataset.files if file.generate}
    folders = [source, *(source / name for name in (dataset.folder, *dataset.alternative_folders))]
    for folder in folders:
        if set(dataset.missing_files(folder)) <= generated:
            return folder
    missing = ", ".join(name for name in dataset.missing_files(source) if name not in generated)
    expected = f"expected the files of dataset '{dataset.name}' here or in '{dataset.folder}'"
    raise InputError(f"{source}: {expected}, found no {missing}")


def _readable_files(path: Path) -> list[Path]:
    # IEMOCAP alone has folders; what else they hold is not read.
    return sorted(path.glob("Ses*.txt")) if path.is_dir() else [path]


def _copy(path: Path, target: Path, file: DataFile | None) -> FetchedFile:
    if not (target.exists() and target.samefile(path)):
        with atomic_path(target) as draft:
            draft.write_bytes(path.read_bytes())
    if file is None or not file.sha256 or sha256(target) == file.sha256:
        return FetchedFile(target, "copied")
    note = "differs from the file that this package knows, so results may differ from published ones"
    return FetchedFile(target, "copied", note)
