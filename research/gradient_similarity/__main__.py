"""Command line of the study: `measure` a run, then make a `report` of measured runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gsa.cli import format
from gsa.errors import InputError
from gsa.progress import configure_logging

sys.path[0] = str(Path(__file__).parents[1])  # Python puts this folder there instead of its parent
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def measure(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `gsa tune`.")],
    level: Annotated[
        list[int] | None, typer.Option(help="Links to merge, 0 is untuned; untuned and last if not given.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only these; all of the recipe if not given.")
    ] = None,
    examples: Annotated[int, typer.Option(min=2, help="Training examples per dataset.")] = 200,
    loss: Annotated[str, typer.Option(help="answer or labels; the recipe's if not given.")] = "",
    shuffled: Annotated[bool, typer.Option("--shuffled", help="With shuffled labels too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the rows; the run if not given.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Compute again what is already there.")] = False,
) -> None:
    """Measure how similar the datasets' gradients and the links' updates are."""
    from gradient_similarity.measure import Options, measure_run
    from gradient_similarity.report import text_matrices

    options = Options(level or [], dataset or [], examples, loss, shuffled)
    for title, table in text_matrices(measure_run(run, options, out, overwrite)):
        print(format.table(table, title))


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Runs, or folders of such.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/report-similarity"),
) -> None:
    """Make tables and heat maps of measured runs: Markdown, CSV, PNG."""
    from gradient_similarity.report import make_report

    print(f"{len(make_report(folders, out))} files in {out}")


if __name__ == "__main__":
    configure_logging()
    try:
        app()
    except InputError as error:
        sys.exit(f"gradient_similarity: {error}")
