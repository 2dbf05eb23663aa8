"""The commands `gsa data`: parse and call, nothing else."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gsa.errors import InputError

data = typer.Typer(help="Fetch and describe the benchmark's datasets.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@data.command(name="list")
def data_list() -> None:
    """List the datasets: level, labels, protocols, licence, and whether their files are here."""
    from gsa.cli import format as terminal
    from gsa.datasets.catalogue import CATALOGUE, data_root

    print(
        terminal.text(
            terminal.catalogue(CATALOGUE, data_root()), f"Datasets; files are looked for in {data_root()}"
        )
    )


@data.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets, or `all`.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Copy from a folder of yours.")
    ] = None,
) -> None:
    """Download datasets from their owners, pinned and checked, or copy them from a folder."""
    from gsa.datasets.catalogue import CATALOGUE
    from gsa.datasets.download import fetch as bring

    failed = []
    for name in CATALOGUE if names == ["all"] else names:
        try:
            files = bring(name, source=source)
        except InputError as error:
            if names != ["all"]:
                raise
            failed += [name] if CATALOGUE[name].downloadable and not source else []
            print(f"left out   {error}", file=sys.stderr)
            continue
        for file in files:
            print(f"{file.state:<10} {file.path}" + (f"  ({file.note})" if file.note else ""))
    if failed:
        raise InputError(f"left out of all: {', '.join(failed)}: the lines above say why")


@data.command()
def stats(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All that are here if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the paper's table 1 from the files: sizes, labels, average length."""
    from gsa.cli import format as terminal
    from gsa.datasets.stats import stats as count

    counted = count(names or [])
    print(
        json.dumps(counted, ensure_ascii=False, indent=2)
        if as_json
        else terminal.text(terminal.stats(counted))
    )


@data.command()
def overlaps(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Two datasets or more.")],
    out: Annotated[Path | None, typer.Option(help="File for the ids, as `gsa report` reads them.")] = None,
) -> None:
    """Count test texts that are in the training set of another dataset; five or more words, exact."""
    from gsa.atomic_io import write_atomic
    from gsa.datasets.overlaps import find_overlaps

    found, sizes = find_overlaps(names)
    for tested, trained in found.items():
        for other, ids in trained.items():
            print(f"{tested} test in {other} train: {len(ids)} of {sizes[tested]}")
    print(f"{sum(map(len, found.values()))} pairs of datasets share texts")
    if out:
        write_atomic(out, json.dumps(found, indent=1) + "\n")
