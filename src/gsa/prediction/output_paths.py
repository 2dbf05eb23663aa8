"""Where a job writes: its output, the output's parts, its rejected rows; no existing file is lost."""

from pathlib import Path

from gsa.errors import InputError

MANIFEST = "job.json"
"""File in the folder of parts that says which job they belong to."""


def parts_folder(output: Path) -> Path:
    """Return the folder of an output's parts while its job runs."""
    return output.with_name(f"{output.name}.parts")


def rejects_path(output: Path, rejects: Path | None) -> Path:
    """Return the file of rejected rows: `rejects` if given, else one beside the output."""
    return rejects or output.with_name(f"{output.name}.rejects.jsonl")


def link_target(path: Path) -> Path:
    """Return the file that a symbolic link leads to, which is written instead of it; `path` otherwise.

    Raises InputError for links that lead to one another.
    """
    try:
        return path.resolve(strict=False) if path.is_symlink() else path
    except (OSError, RuntimeError):  # RuntimeError before Python 3.13
        raise InputError(f"'{path}': expected a file, found a symbolic link that leads to itself") from None


def check_output_paths(
    source: Path | None, output: Path | None, rejects: Path | None, overwrite: bool
) -> None:
    """Raise InputError if a job would write over its input, or over a file that is not its own.

    None is a stream, or a file that was not named. An existing file is replaced with `overwrite`, or if the
    output's parts show that its job has begun; the rejects file named after the output belongs to the job.
    What is no regular file, such as a pipe or a device, is never replaced.
    """
    replace = overwrite or (output is not None and (parts_folder(output) / MANIFEST).is_file())
    if output:
        _check(output, "--output", source, replace)
    if rejects:
        _check(rejects, "--rejects", source, replace)
        if output and _same_file(rejects, output):
            raise InputError(f"'{rejects}' is the output: expected another --rejects")
    elif output:
        _check(rejects_path(output, None), "--output or --rejects", source, True)


def _check(path: Path, option: str, source: Path | None, replace: bool) -> None:
    if path.is_dir():
        raise InputError(f"'{path}' is a folder: expected the name of a file for {option}")
    if path.exists() and not path.is_file():
        stream = ", or no --output to write to standard output" if option == "--output" else ""
        raise InputError(f"'{path}' is a device or a pipe: expected the name of a file for {option}{stream}")
    if path.exists() and not replace:
        raise InputError(f"'{path}' exists already: expected another {option}, or --overwrite to replace it")
    if source and _same_file(path, source):
        raise InputError(f"'{path}' is the input: expected another {option}")


def _same_file(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))
