"""Predictions on disk: a table in, a Parquet file and its checksum out; the same table, or none, back.

    run/predictions/level-K/DATASET-SPLIT.parquet   id, gold, predicted, greedy, p_LABEL...
    run/predictions/SHA256SUMS                      a line a file, as sha256sum writes and checks them

A file that differs from its line is never opened.
"""

from pathlib import Path

import polars as pl

from gsa.atomic_io import atomic_path, write_atomic
from gsa.checksums import sha256

FOLDER, SUMS = "predictions", "SHA256SUMS"


def path_of(root: Path, level: int, dataset: str, split: str) -> Path:
    """Return where a run keeps the predictions of one level on one split."""
    return root / FOLDER / f"level-{level}" / f"{dataset}-{split}.parquet"


def store(root: Path, file: Path, table: pl.DataFrame) -> None:
    """Write a table and note its checksum."""
    with atomic_path(file) as draft:
        table.write_parquet(draft)
    sums = {**_sums(root), _name(root, file): sha256(file)}
    write_atomic(
        root / FOLDER / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    )


def load(root: Path, file: Path) -> pl.DataFrame | None:
    """Return a stored table; None where there is none or it is not the one that was stored."""
    try:
        return pl.read_parquet(file) if sha256(file) == _sums(root).get(_name(root, file)) else None
    except OSError:
        return None


def _name(root: Path, file: Path) -> str:
    return file.relative_to(root / FOLDER).as_posix()


def _sums(root: Path) -> dict[str, str]:
    """Return the checksums by file; what is no line of two words is left out."""
    try:
        lines = (root / FOLDER / SUMS).read_bytes().decode("utf-8", "replace").split("\n")
    except OSError:
        return {}
    return {name: digest for digest, gap, name in (line.partition("  ") for line in lines) if gap}
