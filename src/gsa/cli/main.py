"""The command `gsa`: parses and calls, nothing else; slow imports are made by the command that needs them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gsa import __version__
from gsa.cli.data import data
from gsa.cli.options import (
    Device,
    Json,
    Level,
    Model,
    Overrides,
    Overwrite,
    Precision,
    Quiet,
    RecipePath,
    RecipePrecision,
    RunPath,
    Seed,
    set_quiet,
)
from gsa.cli.probe import probe
from gsa.cli.study import study
from gsa.cli.threshold import threshold
from gsa.errors import InputError, memory_is_short
from gsa.signals import Stopped, handle_signals

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor
    from gsa.serving.page import Page

app = typer.Typer(
    help="One language model for sentiment, emotion and sarcasm, tuned level by level.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data, name="data")
app.add_typer(study)
app.add_typer(probe)
app.add_typer(threshold)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gsa {__version__}")
        raise typer.Exit


@app.callback()
def _gsa(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """One language model for sentiment, emotion and sarcasm, tuned level by level."""
    set_quiet(False)


@app.command()
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

        root = out or Path("runs") / resolved.name
        if ranks.is_main and not quiet:
            print(summary(resolved))
        run(resolved, root)
        if ranks.is_main:
            print(f"the chain is in {root}; evaluate it with: gsa eval {root}")


@app.command(name="eval")
def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="Run, model folder or Hugging Face id; the shipped one if not given."
        ),
    ] = None,
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
    instruction: Annotated[str, typer.Option(help="Of a folder: instruction of a new task.")] = "",
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
    from gsa.cli import format
    from gsa.evaluation.results import to_json_lines
    from gsa.evaluation.sources import FolderTask, make_evaluator
    from gsa.experiments.baselines import warn_below_tfidf

    own = FolderTask(task, [label.strip() for label in labels.split(",")] if labels else [], instruction)
    evaluator, names = make_evaluator(model, dataset or [], out, precision, own)
    rows = evaluator.evaluate(level, names, split, limit, overwrite)
    if evaluator.in_run and evaluator.model.recipe:
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


@app.command()
def calibrate(
    run: RunPath,
    limit: Annotated[int, typer.Option(min=0, help="Most dev examples per dataset; 0 is all.")] = 1000,
    quiet: Quiet = False,
) -> None:
    """Fit temperatures and thresholds of a run's last level on dev and store them with its chain."""
    from gsa.cli import format
    from gsa.evaluation.calibrate import calibrate as fit

    print(format.calibration(fit(run, limit)))


@app.command()
def predict(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="sentiment, emotion, sarcasm, or one of the run's own.")
    ],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A text, a file (a table, JSON lines, texts), or -.")
    ],
    model: Model = None,
    level: Level = None,
    precision: Precision = "auto",
    device: Device = "",
    output: Annotated[
        Path | None, typer.Option(help="Labelled file, format by suffix; default: standard output.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of texts; default: text.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Column of speakers; default: speaker.")] = None,
    dialogue_id: Annotated[
        str | None, typer.Option(help="Column that names each row's dialogue; default: dialogue_id.")
    ] = None,
    order: Annotated[str | None, typer.Option(help="Column that sorts the turns of a dialogue.")] = None,
    aspect: Annotated[
        str | None, typer.Option("--aspect-column", help="Column of aspects that are asked about.")
    ] = None,
    instruction_column: Annotated[
        str | None, typer.Option(help="Column of instructions, instead of the task's.")
    ] = None,
    labels_column: Annotated[
        str | None, typer.Option(help="Column of label lists, instead of the task's.")
    ] = None,
    input_format: Annotated[
        str, typer.Option("--format", help="Format of the input: csv, tsv, jsonl, parquet, xlsx, txt, chat.")
    ] = "",
    encoding: Annotated[str, typer.Option(help="Encoding of the input; found if not given.")] = "",
    delimiter: Annotated[str, typer.Option(help="Delimiter of a CSV; found if not given.")] = "",
    labels: Annotated[str, typer.Option(help="Labels instead of the run's, separated by commas.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One label instead of the run's; repeat it for each.")
    ] = None,
    instruction: Annotated[str, typer.Option(help="Instruction of a task of your own.")] = "",
    context: Annotated[bool, typer.Option("--context", help="Read the preceding turns as well.")] = False,
    no_quotes: Annotated[
        bool, typer.Option("--no-quotes", help="Quotes in CSV and TSV are text; a line is a row.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Write only rows with this label; may be repeated.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="No label where its probability is below.")
    ] = 0.0,
    document: Annotated[
        bool, typer.Option("--document", help="Read texts in passages, whatever their length.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print what each word of a text adds.")] = False,
    minimum: Annotated[
        float, typer.Option("--min", min=0, max=1, help="Write only rows whose label is as probable.")
    ] = 0.0,
    prefix: Annotated[str, typer.Option(help="Prefix of the new columns.")] = "",
    rejects: Annotated[
        Path | None, typer.Option(help="File for bad rows; default: OUTPUT.rejects.jsonl.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label a text, a file or standard input; the same command resumes an interrupted file.

    Exits with 1 if every row was rejected.
    """
    from gsa.cli.predict import PredictOptions
    from gsa.cli.predict import predict as predict_source
    from gsa.datasets.records import Columns, ReadOptions, checked_delimiter

    columns = Columns(text, speaker, dialogue_id, order, aspect, instruction_column, labels_column)
    read = ReadOptions(input_format, columns, not no_quotes, encoding, checked_delimiter(delimiter))
    label_list = [*(labels.split(",") if labels else []), *(label or [])]
    options = PredictOptions(
        model, level, precision, read, output, label_list, instruction, context, tuple(only or ()), minimum,
        min_confidence, document, explain,
        prefix, rejects, overwrite, as_json,
    )  # fmt: skip
    result, labelled_any = predict_source(task, source, options)
    if result:
        print(result)
    if not labelled_any:
        raise typer.Exit(1)


@app.command()
def serve(
    model: Model = None,
    level: Level = None,
    precision: Precision = "auto",
    device: Device = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that clients must send; default: GSA_TOKEN.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Change a limit (docs/serving.md).")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Host name to answer to beside the loopback names; repeatable, * is any."),
    ] = None,
    page: Annotated[bool, typer.Option(help="Serve the web page at /; needs the extra `web`.")] = True,
    quiet: Quiet = False,
) -> None:
    """Serve over HTTP until stopped: the web page, and /v1/sentiment, emotion, sarcasm, aspect, classify."""
    from importlib.util import find_spec

    from gsa.serving import server

    options = server.Options(model, level, precision, host, port, token_file, limit or [], allowed_host or [])
    server.serve(options, _make_page if page and find_spec("gradio") else None)


def _make_page(predictor: "Predictor", source: str | None, level: int | None) -> "Page":
    from gsa.web.app import WebPage

    return WebPage(predictor, source, level)


@app.command()
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


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder made by `gsa export`.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    quiet: Quiet = False,
) -> None:
    """Upload an export with its model card to the Hugging Face hub."""
    from gsa.export.push import push as upload

    print(upload(folder, repository, private))


@app.command()
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


def main() -> None:
    """Run the command; bad input, a disk error or a lack of memory is one sentence on stderr and exit code 2.

    After a signal it exits with 128 plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
    """
    try:
        with handle_signals():
            app()
    except InputError as error:
        _exit(str(error), 2)
    except Stopped as stopped:
        _exit(str(stopped), 128 + stopped.signum)
    except (OSError, MemoryError, RuntimeError) as error:
        if memory_is_short(error):
            less = "a smaller backbone, or when tuning a smaller training.max_row_tokens, needs less"
            _exit(f"not enough memory: {less}", 2)
        if not isinstance(error, OSError):
            raise
        _exit(f"{error.filename or 'a file'}: {error.strerror or error}", 2)


def _exit(sentence: str, code: int) -> None:
    print(f"gsa: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
