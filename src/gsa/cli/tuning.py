"""The commands on runs: tune, evaluate, calibrate; parse and call, nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gsa.cli.options import (
    Device,
    DialogueColumn,
    Json,
    LabelColumn,
    ModelArgument,
    Overrides,
    Overwrite,
    Quiet,
    RecipePath,
    RecipePrecision,
    RunPath,
    Seed,
    SpeakerColumn,
    TextColumn,
    label_list,
)
from gsa.errors import InputError

if TYPE_CHECKING:
    from gsa.recipes.schema import Recipe


def tune(
    recipe: RecipePath,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME if not given.")] = None,
    overrides: Overrides = None,
    seed: Seed = None,
    precision: RecipePrecision = "",
    device: Device = "",
    plan: Annotated[bool, typer.Option("--plan", help="Print tokens, time and memory; do not tune.")] = False,
    gpu: Annotated[
        str, typer.Option("--for", help="With --plan: a GPU, such as h200, instead of this CPU.")
    ] = "",
    folds: Annotated[
        int, typer.Option(min=0, help="Tune and score a run for each of K folds of your own data instead.")
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Tune a chain from a recipe; the same command resumes an interrupted run."""
    from gsa.recipes.datasets import check_folders
    from gsa.recipes.loader import load_recipe
    from gsa.training.distributed import process_group

    changed = [*(overrides or []), *([f"backbone.precision={precision}"] if precision else [])]
    with process_group() as ranks:
        if gpu and not plan:
            raise InputError(f"--for '{gpu}': expected only with --plan")
        if folds and ranks.size > 1:
            raise InputError(f"--folds: expected one process, found {ranks.size}")
        resolved = load_recipe(recipe, changed, seed)
        check_folders(resolved)  # before anything that may take long
        if plan:
            from gsa.cli import format
            from gsa.training.plan import make_plan

            if ranks.is_main:
                print(format.plan(resolved, make_plan(resolved, gpu)))
            return
        from gsa.training.run import summary
        from gsa.training.run import tune as run

        root = out or Path("runs") / (f"{resolved.name}-folds" if folds else resolved.name)
        if ranks.is_main and not quiet:
            print(summary(resolved))
        if folds:
            _cross_validate(resolved, root, folds)
            return
        run(resolved, root)
        if ranks.is_main:
            print(f"the chain is in {root}; evaluate it with: gsa eval {root}")


def _cross_validate(recipe: "Recipe", root: Path, folds: int) -> None:
    from gsa.cli import format
    from gsa.tuning.cross_validation import cross_validate

    print(format.fold_scores(cross_validate(recipe, root, folds)))
    print(f"the runs of the folds are in {root}")


def evaluate(
    model: ModelArgument = None,
    level: Annotated[
        list[int] | None,
        typer.Option(
            help="Links to apply, 0 is untuned; default: all of a run on its own datasets, else the last."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Only these: names of `gsa data list`, or folders; default: all of the recipe."),
    ] = None,
    task: Annotated[str, typer.Option(help="Of a folder: a task of the model, or a new one.")] = "",
    labels: Annotated[str, typer.Option(help="Of a folder: labels, separated by commas.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Of a folder: one label; repeat it for each.")
    ] = None,
    instruction: Annotated[str, typer.Option(help="Of a folder: instruction of a new task.")] = "",
    text: TextColumn = None,
    label_column: LabelColumn = "",
    speaker: SpeakerColumn = None,
    dialogue_id: DialogueColumn = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of results; default: the run, or runs/eval/NAME for other models or datasets."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, dev or test; the recipe's if not given.")] = "",
    limit: Annotated[int | None, typer.Option(min=0, help="Most examples per dataset; 0 is all.")] = None,
    precision: RecipePrecision = "",
    device: Device = "",
    overwrite: Overwrite = False,
    examples: Annotated[int, typer.Option(min=0, help="Number of predictions to show per dataset.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate any model: scores, the forgetting matrix, predictions stored as Parquet."""
    from gsa.chain.run_folder import RunFolder
    from gsa.cli import format
    from gsa.evaluation.results import to_json_lines
    from gsa.evaluation.sources import FolderTask, make_evaluator
    from gsa.experiments.baselines import warn_below_tfidf
    from gsa.recipes.datasets import warn_of_own_data
    from gsa.training.metadata import read_data, warn_of_changed_data

    columns = {
        "text_column": text,
        "label_column": label_column,
        "speaker_column": speaker,
        "dialogue_column": dialogue_id,
    }
    named = {key: column for key, column in columns.items() if column}
    own = FolderTask(task, label_list(labels, label), instruction, named)
    evaluator, names = make_evaluator(model, dataset or [], out, precision, own)
    rows = evaluator.evaluate(level, names, split, limit, overwrite)
    for name in names or evaluator.datasets:
        if evaluator.datasets[name].path:
            warn_of_own_data(evaluator.datasets[name])
    if evaluator.in_run and evaluator.model.recipe:
        warn_of_changed_data(evaluator.model.recipe, read_data(RunFolder(evaluator.root)))
        warn_below_tfidf(evaluator.model.recipe, rows, split or evaluator.options.split)
    if as_json:
        print(to_json_lines(rows))
        return
    title = "Main metric on every dataset after every level (percent)"
    print(format.table(evaluator.forgetting_matrix(rows), title))
    if examples:
        print(format.predictions(evaluator.sample_predictions(rows[0].split, examples)))
    if not evaluator.in_run:
        print(f"results and predictions are in {evaluator.root}")


def calibrate(
    run: RunPath,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only the tasks of these datasets, fitted on these alone.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most dev examples per dataset; 0 is all.")] = 1000,
    quiet: Quiet = False,
) -> None:
    """Fit temperatures and thresholds of a run's last level on dev and store them with its chain."""
    from gsa.cli import format
    from gsa.evaluation.calibrate import calibrate as fit

    print(format.calibration(fit(run, limit, dataset or ())))
