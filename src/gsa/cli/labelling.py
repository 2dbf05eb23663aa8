"""What `gsa predict` does: a text, a file or a stream in; a label, a labelled file or a stream out."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gsa.data.task import Task
from gsa.data.types import Dialogue, Prediction, confident
from gsa.datasets.chat import is_conversation, parse_conversation
from gsa.datasets.record_files import INPUT_SUFFIXES, format_of, open_records, output_format_of
from gsa.datasets.records import ReadOptions, RecordReader
from gsa.errors import InputError, suggest
from gsa.prediction.chunking import MAX_TURNS
from gsa.prediction.documents import predict_texts
from gsa.prediction.explain import Explanation
from gsa.prediction.inputs import dialogue, example, instruction_text
from gsa.prediction.job import JobConfig, LabelJob, label_file, label_stream
from gsa.prediction.loading import load
from gsa.prediction.output_paths import check_output_paths, link_target, rejects_path
from gsa.prediction.parts import RowCounts
from gsa.prediction.predictor import Predictor
from gsa.prediction.writers import passage_rows
from gsa.progress import Progress, count_of, duration

logger = logging.getLogger(__name__)

UNSUPPORTED = ("xls", "zip", "doc", "docx", "pdf")
"""Suffixes of files that cannot be read; no word of a text ends so either."""
COLUMN_OPTIONS = (
    "text", "speaker", "dialogue-id", "order", "aspect-column", "instruction-column", "labels-column"
)  # fmt: skip
"""Options that name the Columns of a file, in their order."""
BAR = 10
"""Characters of the bar of the strongest word."""


@dataclass(frozen=True)
class PredictOptions:
    """The options of `gsa predict`."""

    model: str | None = None
    level: int | None = None
    precision: str = "auto"
    read: ReadOptions = field(default_factory=lambda: ReadOptions(""))
    """How the input is read; its format is empty where the input's suffix gives it."""
    output: Path | None = None
    labels: Sequence[str] = ()
    instruction: str = ""
    context: bool = False
    """Whether a task reads the turns before the target, even if it was not tuned to."""
    only: tuple[str, ...] = ()
    """Labels whose rows are written; empty is all."""
    min_probability: float = 0.0
    """Of the label, below which a row is not written."""
    min_confidence: float = 0.0
    """The most probable label is given if its probability is as high."""
    document: bool = False
    """Whether every text is read in passages."""
    explain: bool = False
    """Whether the effect of each word of a text is printed too."""
    prefix: str = ""
    rejects: Path | None = None
    overwrite: bool = False
    as_json: bool = False
    device: str = ""
    """Of the model; empty is the default one."""

    def of_files(self) -> dict[str, object]:
        """Return the options that say how files are read and written, by name."""
        columns = {f"--{name}": value for name, value in zip(COLUMN_OPTIONS, self.read.columns, strict=True)}
        return {
            "--output": self.output, "--only": self.only, "--min": self.min_probability,
            "--rejects": self.rejects, "--prefix": self.prefix, "--overwrite": self.overwrite, **columns,
            "--format": self.read.format, "--encoding": self.read.encoding,
            "--delimiter": self.read.delimiter, "--no-quotes": not self.read.quotes,
        }  # fmt: skip

    def load(self, task: str) -> tuple[Predictor, Task]:
        """Return the model, and the task with its labels; raises InputError for labels it does not have."""
        predictor = load(self.model, self.level, self.device, self.precision)
        if predictor.precision != "float32":
            logger.info("precision %s", predictor.precision)
        in_rows = bool(self.read.columns.labels) and task not in predictor.tasks and not self.labels
        instruction = instruction_text(self.instruction)
        if self.read.columns.instruction and task not in predictor.tasks:
            instruction = instruction or task  # each row has its own
        if in_rows and instruction:  # a row without a label list is rejected
            chosen = Task(task, 4, instruction, context=self.context)
        else:
            chosen = predictor.task(task, self.labels, instruction, self.context)
        if chosen.name in predictor.tasks.keys() - predictor.tuned and not self.instruction:
            logger.warning("no level was tuned on the task '%s': its labels are guesses", chosen.name)
        for label in self.only:
            if label not in chosen.labels and not self.read.columns.labels:
                near = suggest(label, chosen.labels)
                raise InputError(f"--only '{label}'{near}: expected one of {', '.join(chosen.labels)}")
        return predictor, chosen


def label(task: str, source: str, options: PredictOptions) -> tuple[str, bool]:
    """Label a text, a file, or standard input (`-`); returns what to print, and whether that is a success.

    It is none if every row was rejected. Raises InputError for anything unexpected, before the model is
    loaded where that is possible.
    """
    path = file_of(source)
    if path is None and source != "-":
        return _predict_text(task, source, options), True
    if options.explain:
        raise InputError("--explain: expected a text as the input, found a file")
    read = replace(options.read, format=format_of(path, options.read.format))
    output_format = output_format_of(options.output) if options.output else _stream_format(read.format)
    output = link_target(options.output) if options.output else None
    check_output_paths(path, output, options.rejects, options.overwrite)
    if path:
        reader = open_records(path, read)
        reader.close()
        read = replace(reader.options, format=read.format)  # whether texts are a chat depends on the task
    predictor, chosen = options.load(task)
    config = JobConfig(
        path, read, chosen, output_format, options.prefix, predictor.identity, options.only,
        options.min_probability, options.min_confidence, options.document,
        tuned_labels=predictor.tuned_labels,
    )  # fmt: skip
    progress = Progress(path.name if path else "standard input")
    started = time.monotonic()
    with closing(LabelJob(config, predictor.predict, progress, None if path else sys.stdin.buffer)) as job:
        _check_dialogues(job.reader, chosen, source)
        if output:
            counts = label_file(job, output, options.rejects, options.overwrite)
        else:
            counts = label_stream(job, sys.stdout.buffer, options.rejects, options.overwrite)
    rejects = rejects_path(output, options.rejects) if output else options.rejects
    line = summary(counts, time.monotonic() - started, rejects)
    if not output:
        logger.info("%s", line)
    succeeded = bool(counts.labelled) or not counts.rejected
    return (f"{output}: {line}" if output else ""), succeeded


def _stream_format(input_format: str) -> str:
    """Return the format of standard output: that of the input, if it can be streamed and written."""
    return {"parquet": "jsonl", "csv": "csv", "tsv": "tsv", "xlsx": "csv"}.get(input_format, "jsonl")


def _check_dialogues(reader: RecordReader, task: Task, source: str) -> None:
    """Warn where a task that reads conversations gets a table of turns whose conversations are not named."""
    if task.context and not reader.has_dialogues and reader.names.speaker in reader.columns:
        logger.warning(
            "%s: has speakers, but no column 'dialogue_id': each row is read alone; --dialogue-id COLUMN "
            "names the conversations", source,
        )  # fmt: skip


def file_of(source: str) -> Path | None:
    """Return the file that an argument names; None for a text.

    Raises InputError for a folder named by its path, and for what looks like the name of a missing file: a
    word with a file's suffix, or one that begins with the name of a folder.
    """
    path = Path(source)
    try:
        if path.is_file():
            return path
        is_folder = path.is_dir() and "/" in source
        in_folder = "/" in source and path.parent not in (Path("/"), Path(".")) and path.parent.is_dir()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return None
    if is_folder:
        raise InputError(f"'{source}': expected a file or a text, found a folder")
    has_suffix = path.suffix.lower().removeprefix(".") in (*INPUT_SUFFIXES, *UNSUPPORTED)
    if (has_suffix or in_folder) and not any(map(str.isspace, source)):
        raise InputError(f"'{source}': expected a file, found none")
    return None


def _predict_text(task: str, text: str, options: PredictOptions) -> str:
    """Return the labels of a text; of a conversation for a task that reads one, those of each turn."""
    for name, value in options.of_files().items():
        if value:
            raise InputError(f"{name}: expected a file as the input, or no {name} for a text")
    conversation = dialogue(text, "text")
    predictor, chosen = options.load(task)
    if chosen.context and is_conversation(text.splitlines()):
        conversation = Dialogue("", tuple(parse_conversation(text, MAX_TURNS)))
    if options.explain:
        return _explained(predictor.explain(conversation.turns, chosen), options)
    turns = range(len(conversation.turns))
    examples = [example(chosen, conversation, turn) for turn in turns]
    predictions = predict_texts(predictor.predict, examples, chosen, options.document or None)
    predictions = confident(predictions, options.min_confidence)
    if options.as_json:
        objects = [_as_json(prediction) for prediction in predictions]
        return json.dumps(objects if len(turns) > 1 else objects[0], ensure_ascii=False)
    lines = [_line(prediction) for prediction in predictions]
    if len(turns) == 1:
        passages = getattr(predictions[0], "passages", ())
        return "\n".join([*lines, *(f"{_line(part.prediction)}  {part.text}" for part in passages)])
    return "\n".join(f"{turn.line()}\n  {line}" for turn, line in zip(conversation.turns, lines, strict=True))


def _explained(explanation: Explanation, options: PredictOptions) -> str:
    """Return a prediction, and a line for each word: its effect as a number and as a bar."""
    (prediction,) = confident([explanation.prediction], options.min_confidence)
    if options.as_json:
        effects = {"words": explanation.words, "effects": explanation.effects}
        return json.dumps({**_as_json(prediction), **effects}, ensure_ascii=False)
    strongest = max(map(abs, explanation.effects)) or 1.0
    lines = [_line(prediction)]
    for word, effect in zip(explanation.words, explanation.effects, strict=True):
        bar = ("+" if effect > 0 else "-") * round(BAR * abs(effect) / strongest)
        lines.append(f"{effect:+6.2f}  {bar:<{BAR}}  {word}")
    return "\n".join(lines)


def _as_json(prediction: Prediction) -> dict[str, object]:
    hidden = ("greedy", "passages")
    content = {name: value for name, value in asdict(prediction).items() if name not in hidden}
    return {**content, "passages": passages} if (passages := passage_rows(prediction)) else content


def _line(prediction: Prediction) -> str:
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    line = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
    words = prediction.truncated.words
    line += f"  ({count_of(words, 'word')} not read)" if words else ""
    return line + ("  (not sure enough for a label)" if prediction.label is None else "")


def summary(counts: RowCounts, seconds: float, rejects: Path | None) -> str:
    """Return how many rows were labelled with which labels, skipped as blank lines, and rejected and why."""
    labels = f" ({counts.by_label()})" if counts.labels else ""
    parts = [f"{count_of(counts.labelled, 'row')} labelled in {duration(seconds)}{labels}"]
    if counts.untuned:
        parts.append(f"{counts.untuned:,} of them with other labels ({counts.first_untuned})")
    if counts.uncertain:
        parts.append(f"{counts.uncertain:,} of them without a label (below --min-confidence)")
    if counts.dropped:
        parts.append(f"{counts.labelled - counts.dropped:,} of them written")
    if counts.blank_lines:
        parts.append(counts.skipped())
    if not counts.rejected:
        return ", ".join([*parts, "none rejected"])
    hint = f"see {rejects}" if rejects else "--rejects FILE keeps them"
    return ", ".join([*parts, f"{counts.rejected:,} rejected ({counts.first_reason}; {hint})"])
