"""The finished parts of a job on disk.

    output.parts/job.json         what the parts belong to
    output.parts/000000.csv       labelled rows of the first chunk
    output.parts/000000.rejects   its rejected rows
    output.parts/000000.json      its counts and checksum, written last

The same command resumes a job from them, and joins them at the end.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gsa.atomic_io import atomic_path, write_atomic
from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.prediction.output_paths import MANIFEST, parts_folder, rejects_path
from gsa.prediction.writers import Writer, concatenate


@dataclass
class RowCounts:
    """How many rows were labelled and rejected."""

    labelled: int = 0
    rejected: int = 0
    first_reason: str = ""
    """Of the first rejected row."""

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(
            self.labelled + other.labelled,
            self.rejected + other.rejected,
            self.first_reason or other.first_reason,
        )


@dataclass(frozen=True)
class Part:
    """A labelled chunk."""

    output: bytes
    """Its labelled rows in the format of the output."""
    rejects: bytes
    """Its rejected rows as JSONL."""
    counts: RowCounts


class PartStore:
    """The folder of an output's parts."""

    def __init__(self, output: Path, rejects: Path | None, writer: Writer) -> None:
        """`rejects` is the file of rejected rows, None for the default one, written only if there are any."""
        self.output, self.rejects, self.writer = output, rejects, writer
        self.folder = parts_folder(output)
        self._files: list[Path] = []
        self._counts = RowCounts()

    def claim(self, job: Mapping[str, Any], resumable: bool) -> None:
        """Record which job the parts belong to; raises InputError if they belong to another one."""
        job = json.loads(json.dumps(job))
        file = self.folder / MANIFEST
        if not file.is_file():
            write_atomic(file, json.dumps(job))
            return
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            differing = next((key for key in job if stored.get(key) != job[key]), "")
        except (ValueError, AttributeError):
            differing = "content"
        if differing or not resumable:
            reason = f"its {differing} differs" if differing else "a stream cannot be read again"
            raise InputError(
                f"'{self.folder}' holds the parts of another job ({reason}): expected the same command to "
                "resume it, another --output, or that folder removed"
            )

    def reuse_next(self) -> bool:
        """Take the next part as it is on disk; returns False if it is missing or damaged."""
        file = self._next_file()
        try:
            content = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            intact = content.pop("sha256") == sha256(file) and file.with_suffix(".rejects").is_file()
            counts = RowCounts(**content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if intact:
            self._append(file, counts)
        return intact

    def add(self, part: Part) -> None:
        """Write the next part."""
        file = self._next_file()
        write_atomic(file, part.output)
        write_atomic(file.with_suffix(".rejects"), part.rejects)
        write_atomic(file.with_suffix(".json"), json.dumps({**asdict(part.counts), "sha256": sha256(file)}))
        self._append(file, part.counts)

    def join(self) -> RowCounts:
        """Join the parts to the output, which is written last, and remove them; returns the counts."""
        if not self._files:
            self.add(Part(self.writer.encode([], True), b"", RowCounts()))
        rejects = rejects_path(self.output, self.rejects)
        if self._counts.rejected or self.rejects:
            with atomic_path(rejects) as draft:
                concatenate([file.with_suffix(".rejects") for file in self._files], draft)
        else:
            rejects.unlink(missing_ok=True)  # of an earlier job
        self.writer.join(self._files, self.output)
        shutil.rmtree(self.folder)
        return self._counts

    def _next_file(self) -> Path:
        return self.folder / f"{len(self._files):06}.{self.writer.format}"

    def _append(self, file: Path, counts: RowCounts) -> None:
        self._files.append(file)
        self._counts += counts
