"""The command `gsa predict`: parses and calls, nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from gsa.cli.options import (
    Device,
    DialogueColumn,
    Json,
    Label,
    Labels,
    Level,
    Model,
    Precision,
    Quiet,
    SpeakerColumn,
    TaskArgument,
    TextColumn,
    label_list,
)
from gsa.errors import InputError

Order = Annotated[str | None, typer.Option(help="Column that sorts the turns of a dialogue.")]
AspectColumn = Annotated[str | None, typer.Option(help="Column of aspects that are asked about.")]
Aspect = Annotated[
    list[str] | None, typer.Option(help="Of a text: an aspect that is asked about; repeat it for each.")
]
InstructionColumn = Annotated[str | None, typer.Option(help="Column of instructions, instead of the task's.")]
LabelsColumn = Annotated[str | None, typer.Option(help="Column of label lists, instead of the task's.")]
InputFormat = Annotated[
    str, typer.Option("--format", help="Format of the input: csv, tsv, jsonl, parquet, xlsx, txt, chat.")
]
Encoding = Annotated[str, typer.Option(help="Encoding of the input; found if not given.")]
Delimiter = Annotated[str, typer.Option(help="Delimiter of a CSV; found if not given.")]
NoQuotes = Annotated[
    bool, typer.Option("--no-quotes", help="Quotes in CSV and TSV are text; a line is a row.")
]

Instruction = Annotated[str, typer.Option(help="Instruction of a task of your own.")]
Context = Annotated[bool, typer.Option("--context", help="Read the preceding turns as well.")]
Document = Annotated[bool, typer.Option("--document", help="Read texts in passages, whatever their length.")]
Explain = Annotated[bool, typer.Option("--explain", help="Print what each word of a text adds.")]
MinConfidence = Annotated[float, typer.Option(min=0, max=1, help="No label where its probability is below.")]

Output = Annotated[
    Path | None, typer.Option(help="Labelled file, format by suffix; default: standard output.")
]
Only = Annotated[list[str] | None, typer.Option(help="Write only rows with this label; may be repeated.")]
Minimum = Annotated[
    float, typer.Option("--min", min=0, max=1, help="Write only rows whose label is as probable.")
]
Prefix = Annotated[str, typer.Option(help="Prefix of the new columns.")]
Rejects = Annotated[Path | None, typer.Option(help="File for bad rows; default: OUTPUT.rejects.jsonl.")]
ReplaceFiles = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]

Ray = Annotated[bool, typer.Option("--ray", help="Label the files of a folder by Ray Data (docs/scale.md).")]
Workers = Annotated[int, typer.Option(min=0, help="With --ray: processes; default: one for every CPU.")]
BlockRows = Annotated[int, typer.Option(min=0, help="With --ray: rows that a worker stores at a time.")]
IdColumn = Annotated[str, typer.Option("--id", help="With --ray: column of ids that must not repeat.")]


def predict(
    task: TaskArgument,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A text, a file (a table, JSON lines, texts), or -.")
    ],
    model: Model = None,
    level: Level = None,
    precision: Precision = "auto",
    device: Device = "",
    output: Output = None,
    text: TextColumn = None,
    speaker: SpeakerColumn = None,
    dialogue_id: DialogueColumn = None,
    order: Order = None,
    aspect_column: AspectColumn = None,
    instruction_column: InstructionColumn = None,
    labels_column: LabelsColumn = None,
    input_format: InputFormat = "",
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    labels: Labels = "",
    label: Label = None,
    instruction: Instruction = "",
    context: Context = False,
    aspect: Aspect = None,
    no_quotes: NoQuotes = False,
    only: Only = None,
    min_confidence: MinConfidence = 0.0,
    document: Document = False,
    explain: Explain = False,
    minimum: Minimum = 0.0,
    prefix: Prefix = "",
    rejects: Rejects = None,
    overwrite: ReplaceFiles = False,
    ray: Ray = False,
    workers: Workers = 0,
    block_rows: BlockRows = 0,
    id_column: IdColumn = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label a text, a file or standard input; the same command resumes an interrupted file.

    Exits with 1 if every row was rejected.
    """
    from gsa.cli.labelling import label as label_source
    from gsa.cli.predict_options import PredictOptions
    from gsa.datasets.records import Columns, ReadOptions, checked_delimiter

    columns = Columns(text, speaker, dialogue_id, order, aspect_column, instruction_column, labels_column)
    read = ReadOptions(input_format, columns, not no_quotes, encoding, checked_delimiter(delimiter))
    options = PredictOptions(
        model, level, precision, read, output, label_list(labels, label), instruction, context,
        tuple(only or ()), minimum, min_confidence, document, explain,
        prefix, rejects, overwrite, as_json, aspects=tuple(aspect or ()),
    )  # fmt: skip
    if ray:
        from gsa.cli.folders import label_folder

        result, labelled_any = label_folder(task, Path(source), options, workers, block_rows, id_column)
    elif workers or block_rows or id_column:
        raise InputError("--workers, --block-rows, --id: expected only with --ray")
    else:
        result, labelled_any = label_source(task, source, options)
    if result:
        print(result)
    if not labelled_any:
        raise typer.Exit(1)
