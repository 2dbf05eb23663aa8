"""Where a job writes: its output, the output's parts, the file of bad rows; nothing else there is lost.

In: paths as a user gave them. Out: the paths beside them, or a sentence that says what is in the way.
"""

from pathlib import Path

from gsa.errors import InputError

JOB = "job.json"
"""In the folder of parts: what they are of."""


def parts_of(output: Path) -> Path:
    """Return the folder of an output's parts while its job runs."""
    return output.with_name(f"{output.name}.parts")


def rejects_of(output: Path, rejects: Path | None) -> Path:
    """Return the file of bad rows: the one that was named, or that beside the output."""
    return rejects or output.with_name(f"{output.name}.rejects.jsonl")


def check_places(source: Path | None, output: Path | None, rejects: Path | None, again: bool) -> None:
    """Raise InputError if a job would write over its input, or over a file that is not its own.

    None is a stream, or a file that was not named. A file that is there is replaced `again`, or if the
    output's parts say that its job had begun; the file of bad rows that is named after the output is its own.
    """
    may = again or (output is not None and (parts_of(output) / JOB).is_file())
    if output:
        _check(output, "--output", source, may)
    if rejects:
        _check(rejects, "--rejects", source, may)
        if output and _same(rejects, output):
            raise InputError(f"'{rejects}' is the output: expected another --rejects")
    elif output:
        _check(rejects_of(output, None), "--output or --rejects", source, True)


def _check(path: Path, flag: str, source: Path | None, may: bool) -> None:
    if path.is_dir():
        raise InputError(f"'{path}' is a folder: expected the name of a file for {flag}")
    if path.exists() and not may:
        raise InputError(f"'{path}' is there already: expected another {flag}, or --again to replace it")
    if source and _same(path, source):
        raise InputError(f"'{path}' is the input: expected another {flag}")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
