"""The commands that hand a run to others: export, push; parse and call, nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from gsa.cli.options import Quiet, RunPath


def export(
    run: RunPath,
    export_format: Annotated[str, typer.Option("--format", help="merged, adapter, gguf, chain, classifier.")],
    out: Annotated[Path, typer.Option(help="New folder.")],
    level: Annotated[int | None, typer.Option(min=0, help="Links to include; all if not given.")] = None,
    task: Annotated[str, typer.Option(help="Task of a classifier.")] = "",
    context: Annotated[
        bool, typer.Option("--context/--no-context", help="Without: a classifier of lone utterances.")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Write a run for other programs: a merged model, a PEFT adapter, a GGUF, a classifier, or its links."""
    from gsa.export.export import export as write

    folder = write(run, export_format, out, level, task, context)
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        print(f"{file.stat().st_size:>12,}  {file}")


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder made by `gsa export`.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    quiet: Quiet = False,
) -> None:
    """Upload an export with its model card to the Hugging Face hub."""
    from gsa.export.push import push as upload

    print(upload(folder, repository, private))
