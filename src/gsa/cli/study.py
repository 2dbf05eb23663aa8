"""The commands of experiments: baselines, studies, the report; parse and call, nothing else."""

import json
from pathlib import Path
from typing import Annotated

import typer

study = typer.Typer()

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A TOML recipe, such as recipes/quick.toml.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `gsa tune`.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe key.")
]


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


@study.command()
def baselines(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="Folder of results, one folder a baseline.")] = Path(
        "results/baselines"
    ),
    name: Annotated[
        list[str] | None, typer.Option(help="Only these: majority, vader, tfidf, minilm, minilm-context.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only these; all of the recipe if not given.")
    ] = None,
    folds: Annotated[bool, typer.Option("--folds", help="Every fold of datasets that have folds.")] = False,
    split: Annotated[str, typer.Option(help="dev or test; the recipe's if not given.")] = "",
    overrides: Overrides = None,
    seed: Annotated[int | None, typer.Option(help="Use another seed than the recipe's.")] = None,
) -> None:
    """Train and measure baselines without a language model on the examples that a recipe reads."""
    from gsa.experiments.baselines import measure_baselines
    from gsa.recipes.loader import load_recipe

    wanted = load_recipe(recipe, overrides or [], seed)
    measure_baselines(wanted, out, name or [], dataset or [], folds, split, say)
    print(f"rows and predictions are in {out}; set them beside others with: gsa report {out} RESULTS...")


@study.command(name="study")
def run_study(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Recipes, one an arm: recipes/study.")],
    seeds: Annotated[str, typer.Option(help="Numbers with commas between.")] = "0,1,2",
    arm: Annotated[list[str] | None, typer.Option(help="Only these recipes, by name.")] = None,
    out: Annotated[Path, typer.Option(help="Rows and predictions, a folder an arm and seed.")] = Path(
        "results/study"
    ),
    work: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/study"),
    backbone: Annotated[
        str, typer.Option(help="Another than the recipes', such as a run; {seed} stands for the seed.")
    ] = "",
    name: Annotated[str, typer.Option(help="Put before the arms' names, with a hyphen.")] = "",
    overrides: Overrides = None,
) -> None:
    """Tune and measure a folder of recipes with several seeds; the same command resumes it."""
    from gsa.experiments.study import plan
    from gsa.experiments.study import study as run
    from gsa.recipes.loader import parse_seeds

    changed = [*(overrides or []), *([f"backbone.name={json.dumps(backbone)}"] if backbone else [])]
    made = run(plan(folder, out, work, parse_seeds(seeds), arm or [], changed, name), say)
    print(f"{len(made)} arms and seeds measured; tables and figures: gsa report {out}")


@study.command()
def cases(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="Folder of the rows; the run if not given.")] = None,
) -> None:
    """Ask a run the paper's two case studies at every level."""
    from gsa.experiments.paper_cases import ask
    from gsa.report.paper_cases import lines

    print("\n".join(lines(ask(run, out, say))))


@study.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Measured runs, or folders of such.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/report"),
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap samples a comparison.")] = 10_000,
    with_texts: Annotated[
        bool, typer.Option("--cases", help="Print the cases with texts from the data.")
    ] = False,
    overlaps: Annotated[Path | None, typer.Option(help="A file of `gsa data overlaps --out`.")] = None,
) -> None:
    """Make tables and figures of measured runs, beside the paper's rows: Markdown, CSV, PNG."""
    from gsa.report import cases as mined
    from gsa.report.report import PAGE
    from gsa.report.report import report as make

    made = make(folders, out, split, resamples, say, overlaps)
    for sentence in made.absent:
        print(f"absent: {sentence}")
    if with_texts:
        print("\n".join(mined.with_texts(made.tallies, made.arms, split)))
    print(f"{len(made.files)} files; open {out / PAGE}")
