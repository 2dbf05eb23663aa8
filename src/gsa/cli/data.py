"""The commands `gsa data` and `gsa show`: parse and call, nothing else."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gsa.cli.options import Json, Quiet
from gsa.errors import InputError

data = typer.Typer(help="Fetch and describe the benchmark's datasets.", no_args_is_help=True)


@data.command(name="list")
def data_list() -> None:
    """List the datasets: level, labels, protocols, licence, and whether their files are present."""
    from gsa.cli import format
    from gsa.datasets.catalogue import CATALOGUE, data_root

    root = data_root()
    print(format.table(format.catalogue(CATALOGUE, root), f"Datasets; their files belong in {root}"))


@data.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets, or `all`.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Copy from here; do not download.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Download datasets from their owners, pinned and checked, or copy them from a folder."""
    from gsa.datasets.catalogue import CATALOGUE
    from gsa.datasets.download import fetch as fetch_dataset

    failed = []
    for name in CATALOGUE if names == ["all"] else names:
        try:
            files = fetch_dataset(name, source=source)
        except InputError as error:
            if names != ["all"]:
                raise
            failed += [name] if CATALOGUE[name].downloadable and not source else []
            print(f"skipped    {error}", file=sys.stderr)
            continue
        for file in files:
            print(f"{file.state:<10} {file.path}" + (f"  ({file.note})" if file.note else ""))
    if failed:
        raise InputError(f"not downloaded: {', '.join(failed)}: the lines above give the reasons")


@data.command()
def stats(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Names or folders; default: all that are present."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the paper's table 1 from the files: sizes, labels, average length."""
    from gsa.cli import format
    from gsa.datasets.stats import stats as compute_stats

    rows = compute_stats(names or [])
    print(json.dumps(rows, ensure_ascii=False, indent=2) if as_json else format.table(format.stats(rows)))


@data.command()
def overlaps(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Datasets or folders of your own, or `all`.")
    ],
    out: Annotated[Path | None, typer.Option(help="File for the ids, as `gsa report` reads them.")] = None,
) -> None:
    """Count test texts that are in the training set of another dataset; five or more words, exact."""
    from gsa.atomic_io import write_atomic
    from gsa.datasets.overlaps import available_datasets, find_overlaps

    shared, sizes = find_overlaps(available_datasets() if names == ["all"] else names)
    for test, by_train in shared.items():
        for train, ids in by_train.items():
            print(f"{test} test in {train} train: {len(ids)} of {sizes[test]}")
    print(f"{sum(map(len, shared.values()))} pairs of datasets share texts")
    if out:
        write_atomic(out, json.dumps(shared, indent=1) + "\n")


def show(
    dataset: Annotated[str, typer.Argument(help="A name of `gsa data list`.")],
    index: Annotated[int, typer.Option(min=0, help="Index of the example in its split.")] = 0,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "train",
    layout: Annotated[str, typer.Option(help="paper or inline.")] = "inline",
    context: Annotated[str, typer.Option(help="dialogue or history.")] = "history",
    protocol: Annotated[str, typer.Option(help="Split protocol, where there are several.")] = "",
    max_tokens: Annotated[int, typer.Option(min=64, help="Longest prompt with its answer.")] = 1024,
    backbone: Annotated[str, typer.Option(help="Backbone whose tokenizer is used.")] = "smollm2-135m",
) -> None:
    """Print exactly what the model reads for one example, and how many tokens that is."""
    from gsa.cli import format
    from gsa.prediction.preview import preview_prompt
    from gsa.recipes.loader import parse_layout

    prompt_layout = parse_layout(name=layout, context=context, max_tokens=max_tokens)
    print(format.prompt(preview_prompt(dataset, index, split, prompt_layout, protocol, backbone)))
