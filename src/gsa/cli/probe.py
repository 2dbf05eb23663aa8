"""The command `gsa probe`: parses and calls, nothing else."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gsa.cli.options import Json, Level, ModelArgument

if TYPE_CHECKING:
    from gsa.evaluation.behaviour import Rate


def probe(
    model: ModelArgument = None,
    level: Level = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Run the held-out half too; not for choosing settings.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File for predictions, one JSON line per case.")] = None,
    as_json: Json = False,
) -> None:
    """Run behavioural test cases on a model and print how many fail, kind by kind."""
    import gsa
    from gsa.cli import format
    from gsa.evaluation.behaviour import failure_rates, read_cases, run_cases, write_outcomes

    cases = [case for case in read_cases() if held_out or not case.held_out]
    outcomes = run_cases(cases, gsa.load(model, level).classify)
    if out is not None:
        write_outcomes(outcomes, out)
    rates = failure_rates(outcomes)
    if as_json:
        print(json.dumps([{**asdict(rate), "percent": round(rate.percent, 1)} for rate in rates]))
        return
    print(format.table(table(rates), "Cases that fail (percent)"))


def table(rates: "list[Rate]") -> list[list[str]]:
    """Return the table of `gsa probe`: a row a kind and one for all; a column a type and a part."""
    rate_of = {(rate.kind, rate.type, rate.part): rate for rate in rates}
    parts = [part for part in ("development", "held-out") if ("all", "all", part) in rate_of]
    columns = [
        ("mft", "all"),
        ("inv", "all"),
        ("dir", "all"),
        *(("all", part) for part in parts),
        ("all", "all"),
    ]
    rows = [["kind", "n", "mft", "inv", "dir", *parts, "all"]]
    kinds = list(dict.fromkeys(rate.kind for rate in rates if rate.kind != "all"))
    for kind in [*kinds, "all"]:
        cells = [rate_of.get((kind, *column)) for column in columns]
        percents = [f"{rate.percent:.1f}" if rate else "" for rate in cells]
        rows.append([kind.replace("_", " "), str(rate_of[kind, "all", "all"].n), *percents])
    return rows
