"""The finished parts of a job on disk.

    output.parts/job.json         what the parts belong to
    output.parts/000000.csv       labelled rows of the first chunk
    output.parts/000000.rejects   its rejected rows
    output.parts/000000.json      its counts and checksum, written last

The same command resumes a job from them, and joins them at the end.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gsa.atomic_io import atomic_path, is_temporary, write_atomic
from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.locking import BusyError, folder_lock
from gsa.prediction.output_paths import MANIFEST, parts_folder, rejects_path
from gsa.prediction.writers import Writer, concatenate
from gsa.progress import count_of

MAX_LABELS = 10
"""Labels that are counted one by one in a summary."""
COMMAND = "predict"
"""Name of the lock."""
PART = re.compile(r"\d{6,}\.(csv|tsv|jsonl|parquet|rejects|json)")
"""Names of a part's files."""


@dataclass
class RowCounts:
    """How many rows were labelled and rejected."""

    labelled: int = 0
    rejected: int = 0
    first_reason: str = ""
    """Of the first rejected row."""
    dropped: int = 0
    """Labelled rows that are not written, because others were asked for."""
    labels: dict[str, int] = field(default_factory=dict, compare=False)
    """Number of labelled rows by label."""
    uncertain: int = 0
    """Labelled rows that get no label, as none has the least confidence that was asked for."""
    untuned: int = 0
    """Labelled rows with a label list of their own that has labels which no level was tuned on."""
    first_untuned: str = ""
    """Which those of the first such row are, as a sentence."""
    blank_lines: int = 0
    """Lines of the input that were skipped because they are blank."""

    def by_label(self) -> str:
        """Return the numbers of the most frequent labels, empty where nothing was labelled."""
        ranked = sorted(self.labels.items(), key=lambda pair: -pair[1])
        parts = [f"{label} {count:,}" for label, count in ranked[:MAX_LABELS]]
        if len(ranked) > MAX_LABELS:
            parts.append(f"{len(ranked) - MAX_LABELS} more labels")
        return ", ".join(parts)

    def skipped(self) -> str:
        """Return how many blank lines were skipped, empty where there were none."""
        return f"{count_of(self.blank_lines, 'blank line')} skipped" if self.blank_lines else ""

    def __add__(self, other: "RowCounts") -> "RowCounts":
        labels = dict(self.labels)
        for label, count in other.labels.items():
            labels[label] = labels.get(label, 0) + count
        return RowCounts(
            self.labelled + other.labelled,
            self.rejected + other.rejected,
            self.first_reason or other.first_reason,
            self.dropped + other.dropped,
            labels,
            self.uncertain + other.uncertain,
            self.untuned + other.untuned,
            self.first_untuned or other.first_untuned,
            self.blank_lines + other.blank_lines,
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
    """The folder of an output's parts; used within `lock`."""

    def __init__(self, output: Path, rejects: Path | None, writer: Writer, max_bytes: int = 0) -> None:
        """`rejects` is the file of rejected rows, None for the default one, written only if there are any.

        `max_bytes` bounds the parts; 0 is any size.
        """
        self._max_bytes, self._bytes = max_bytes, 0
        self.output, self.rejects, self.writer = output, rejects, writer
        self.folder = parts_folder(output)
        self._counts: dict[int, RowCounts] = {}
        """Of the finished parts, by number."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from the output; raises InputError if one is writing it."""
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise InputError(f"'{self.folder}' is not a folder of gsa's own: expected another --output")
        try:
            with folder_lock(self.folder, COMMAND):
                yield
        except BusyError:
            raise InputError(
                f"'{self.output}': another process is writing it: wait for it, or use another --output"
            ) from None

    def claim(self, job: Mapping[str, Any], resumable: bool, overwrite: bool = False) -> None:
        """Record which job the parts belong to; with `overwrite` those of another job are removed.

        Raises InputError if they belong to another job, and for a folder that is not of parts.
        """
        job = json.loads(json.dumps(job))
        file = self.folder / MANIFEST
        if not file.is_file():
            if any(not self._is_lock(path) and not is_temporary(path) for path in self.folder.iterdir()):
                raise InputError(
                    f"'{self.folder}' holds files that are not gsa's: expected another --output, or that "
                    "folder moved"
                )
            write_atomic(file, json.dumps(job))
            return
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            differing = next((key for key in job if stored.get(key) != job[key]), "")
        except (ValueError, AttributeError):
            differing = "content"
        if overwrite and (differing or not resumable) and differing != "content":
            self.remove()
            write_atomic(file, json.dumps(job))
        elif differing or not resumable:
            reason = f"its {differing} differs" if differing else "a stream cannot be read again"
            raise InputError(
                f"'{self.folder}' holds the parts of another job ({reason}): expected the same command to "
                "resume it, another --output, or that folder removed"
            )

    def reuse(self, number: int) -> bool:
        """Take a part as it is on disk; returns False if it is missing or damaged."""
        file = self._file(number)
        try:
            content = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            intact = content.pop("sha256") == sha256(file) and file.with_suffix(".rejects").is_file()
            counts = RowCounts(**content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if intact:
            self._counts[number] = counts
        return intact

    def add(self, number: int, part: Part) -> None:
        """Write a part; raises InputError if the parts become too large."""
        self._bytes += len(part.output) + len(part.rejects)
        if self._max_bytes and self._bytes > self._max_bytes:
            raise InputError(f"the output is larger than {self._max_bytes:,} bytes: expected a smaller file")
        file = self._file(number)
        write_atomic(file, part.output)
        write_atomic(file.with_suffix(".rejects"), part.rejects)
        write_atomic(file.with_suffix(".json"), json.dumps({**asdict(part.counts), "sha256": sha256(file)}))
        self._counts[number] = part.counts

    def join(self) -> RowCounts:
        """Join the parts to the output, which is written last, and remove them; returns the counts."""
        if not self._counts:
            self.add(0, Part(self.writer.encode([], True), b"", RowCounts()))
        numbers = sorted(self._counts)
        files = [self._file(number) for number in numbers]
        counts = sum((self._counts[number] for number in numbers), RowCounts())
        rejects = rejects_path(self.output, self.rejects)
        if counts.rejected or self.rejects:
            with atomic_path(rejects) as draft:
                concatenate([file.with_suffix(".rejects") for file in files], draft)
        else:
            rejects.unlink(missing_ok=True)  # of an earlier job
        self.writer.join(files, self.output)
        self.remove()
        return counts

    def remove(self) -> None:
        """Remove the parts, and no other file of their folder."""
        for path in self.folder.iterdir():
            if PART.fullmatch(path.name) or is_temporary(path):
                path.unlink()
        (self.folder / MANIFEST).unlink()

    @staticmethod
    def _is_lock(path: Path) -> bool:
        return path.name == f".{COMMAND}.lock"

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06}.{self.writer.format}"
