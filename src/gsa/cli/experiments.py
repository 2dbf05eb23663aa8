"""The commands of experiments: baselines, studies, the report; parse and call, nothing else."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gsa.cli.options import Datasets, Overrides, Quiet, RecipePath, RunPath, Seed


def baselines(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="Folder of results, one folder per baseline.")] = Path(
        "results/baselines"
    ),
    name: Annotated[
        list[str] | None, typer.Option(help="Only these: majority, vader, tfidf, minilm, minilm-context.")
    ] = None,
    dataset: Datasets = None,
    folds: Annotated[bool, typer.Option("--folds", help="Every fold of datasets that have folds.")] = False,
    split: Annotated[str, typer.Option(help="dev or test; the recipe's if not given.")] = "",
    overrides: Overrides = None,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Train and evaluate baselines without a language model on the examples of a recipe."""
    from gsa.experiments.baselines import measure_baselines
    from gsa.recipes.loader import load_recipe

    resolved = load_recipe(recipe, overrides or [], seed)
    measure_baselines(resolved, out, name or [], dataset or [], folds, split)
    print(f"results and predictions are in {out}; compare them with others: gsa report {out} RESULTS...")


def run_study(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with a recipe per arm.")],
    seeds: Annotated[str, typer.Option(help="Numbers separated by commas.")] = "0,1,2",
    arm: Annotated[list[str] | None, typer.Option(help="Only these recipes, by name.")] = None,
    out: Annotated[Path, typer.Option(help="Results and predictions, one folder per arm and seed.")] = Path(
        "results/study"
    ),
    work: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/study"),
    backbone: Annotated[
        str, typer.Option(help="Backbone of all recipes, such as a run; {seed} is replaced by the seed.")
    ] = "",
    name: Annotated[str, typer.Option(help="Prefix of the arms' names, followed by a hyphen.")] = "",
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Tune and evaluate a folder of recipes with several seeds; the same command resumes it."""
    from gsa.experiments.study import StudyPlan
    from gsa.experiments.study import run_study as run
    from gsa.recipes.loader import parse_seeds

    changed = [*(overrides or []), *([f"backbone.name={json.dumps(backbone)}"] if backbone else [])]
    runs = run(StudyPlan(folder, out, work, parse_seeds(seeds), arm or [], changed, name).arms())
    print(f"{len(runs)} arms and seeds evaluated; tables and figures: gsa report {out}")


def cases(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; the run if not given.")] = None,
) -> None:
    """Run the paper's two case studies on every level of a run."""
    from gsa.evaluation.case_answers import lines
    from gsa.experiments.paper_cases import answer_cases

    print("\n".join(lines(answer_cases(run, out))))


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Evaluated runs, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/report"),
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap samples per comparison.")] = 10_000,
    print_texts: Annotated[
        bool, typer.Option("--cases", help="Print the cases with texts from the data.")
    ] = False,
    overlaps: Annotated[Path | None, typer.Option(help="A file of `gsa data overlaps --out`.")] = None,
    quiet: Quiet = False,
) -> None:
    """Make tables and figures of evaluated runs, beside the paper's rows: Markdown, CSV, PNG."""
    from gsa.report.cases import with_texts
    from gsa.report.report import PAGE, make_report

    made = make_report(folders, out, split, resamples, overlaps)
    for sentence in made.absent:
        print(f"absent: {sentence}")
    if print_texts:
        print("\n".join(with_texts(made.disagreements, made.arms, split)))
    print(f"{len(made.files)} files; open {out / PAGE}")
