"""The page's tabs in Gradio: fields and buttons, each bound to one handler."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd  # type: ignore[import-untyped]

from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.data.types import Prediction
from gsa.datasets.record_files import FORMATS, STREAMED_SUFFIXES
from gsa.prediction.language import foreign_note
from gsa.progress import count_of
from gsa.serving.requests import client_of
from gsa.serving.schemas import MAX_TEXT
from gsa.web import examples
from gsa.web.handlers import SAME_FORMAT, Handlers, error_message
from gsa.web.html import conversation, escape, explanation, note, passages
from gsa.web.timeline import plot_update, timeline

MAX_FILES = 2
"""Files that are labelled at a time; further ones wait."""
EVENT: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
TURNS_HINT = "One turn per line, as Name: text. The name may be omitted."


def header(handlers: Handlers, model: str) -> None:
    """Say what this is, and which model answers."""
    names = handlers.levels.names
    levels = f" · {len(names) - 1} tuned level{'s' if len(names) > 2 else ''}" if names else ""
    gr.HTML(
        f'<header class="gsa-top"><h1>gsa</h1><p>Polarity, emotion and sarcasm, with probabilities.</p>'
        f'<p class="gsa-model"><bdi>{escape(model)}</bdi>{escape(levels)}</p></header>'
    )


def text_tab(handlers: Handlers) -> None:
    """One text, its label, the probabilities of all, and what each word adds."""
    with gr.Tab("Text", id="text"):
        text = gr.Textbox(label="Text", lines=4, max_lines=12, placeholder="Write or paste a text.",
                          elem_id="text-in", max_length=MAX_TEXT)  # fmt: skip
        _examples(text, examples.TEXTS)
        task = _task_choice(handlers, SENTIMENT.name)
        with gr.Row():
            button = gr.Button("Label it", variant="primary", elem_id="text-go")
            explain_button = gr.Button("Explain it", elem_id="explain-go")
        output = gr.Label(label="Label", elem_id="text-out")
        words = gr.HTML(elem_id="explain-out", elem_classes="gsa-out")

    async def label(text: str, task: str, request: gr.Request) -> tuple[dict[str, float], str]:
        with _gradio_errors():
            prediction = await handlers.label_text(text, task, _client(request))
            _warn(prediction)
            return _probabilities(prediction, _multilabel(handlers, task)), passages(prediction)

    async def explain(text: str, task: str, request: gr.Request) -> tuple[dict[str, float], str]:
        with _gradio_errors():
            explained = await handlers.explain_text(text, task, _client(request))
            _warn(explained.prediction)
            return _probabilities(explained.prediction), explanation(explained)

    gr.on([button.click, text.submit], label, [text, task], [output, words], **EVENT)
    explain_button.click(explain, [text, task], [output, words], **EVENT)


def aspect_tab(handlers: Handlers) -> None:
    """One text and the polarity of each of its aspects, where the model was tuned on aspects."""
    if handlers.predictor.aspect_task() not in handlers.predictor.tasks.values():
        return
    with gr.Tab("Aspects", id="aspects"):
        text = gr.Textbox(label="Text", lines=4, max_lines=12, max_length=MAX_TEXT, elem_id="aspects-in",
                          placeholder="The food was great, the service slow.")  # fmt: skip
        names = gr.Textbox(label="Aspects", info="Separated by commas.", placeholder="food, service",
                           max_length=1000, elem_id="aspects-names")  # fmt: skip
        button = gr.Button("Label every aspect", variant="primary", elem_id="aspects-go")
        output = gr.Dataframe(interactive=False, elem_id="aspects-out")

    async def label(text: str, names: str, request: gr.Request) -> pd.DataFrame:
        with _gradio_errors():
            predictions = await handlers.label_aspects(text, names, _client(request))
            _warn(next(iter(predictions.values())))
            return aspect_table(predictions)

    gr.on([button.click, names.submit], label, [text, names], output, **EVENT)


def aspect_table(predictions: Mapping[str, Prediction]) -> pd.DataFrame:
    """Return a row for each aspect: its label and the probability of every label."""
    rows = [
        {"aspect": aspect, "label": p.label, **{label: round(x, 2) for label, x in p.probabilities.items()}}
        for aspect, p in predictions.items()
    ]
    return pd.DataFrame(rows)


def conversation_tab(handlers: Handlers) -> None:
    """A conversation turn by turn, below a plot of the probabilities."""
    tasks = [name for name, task in handlers.predictor.tasks.items() if task.context]
    preferred = [name for name in (EMOTION.name, SARCASM.name) if name in tasks] or tasks[:1]
    with gr.Tab("Conversation", id="talk"):
        pasted = gr.Textbox(label="Conversation", info=TURNS_HINT, lines=7, max_lines=16, elem_id="talk-in",
                            placeholder="Mara: I finally got the keys!\nJonas: No way! Already?")  # fmt: skip
        _examples(pasted, examples.CONVERSATIONS)
        chosen = gr.CheckboxGroup(tasks, value=preferred, label="Ask of every turn", elem_id="talk-tasks",
                                  visible=len(tasks) > 1)  # fmt: skip
        button = gr.Button("Label every turn", variant="primary", elem_id="talk-go")
        plot = gr.LinePlot(label="Probability over the turns", x="turn", y="probability", color="label",
                           colors_in_legend=[], y_lim=[0, 1], x_axis_format="d", y_axis_format=".0%",
                           tooltip="all", height=280, visible=False, elem_id="talk-plot")  # fmt: skip
        plot_legend = gr.HTML(elem_id="talk-legend")
        output = gr.HTML(elem_id="talk-out", elem_classes="gsa-out")

    async def label(pasted: str, chosen: list[str], request: gr.Request) -> tuple[Any, str, str]:
        ordered = sorted(chosen, key=lambda name: (name not in preferred, tasks.index(name)))
        with _gradio_errors():
            turns, predictions = await handlers.label_conversation(pasted, ordered, _client(request))
        return *plot_update(timeline(predictions)), conversation(turns, predictions)

    button.click(label, [pasted, chosen], [plot, plot_legend, output], **EVENT)


def file_tab(handlers: Handlers) -> None:
    """A file in, the same file with labels out."""
    megabytes = handlers.limits.upload / 2**20
    with gr.Tab("File", id="file"):
        suffixes = [f".{name}" for name in STREAMED_SUFFIXES]
        source = gr.File(label="File to label", file_types=suffixes, height=150, elem_id="file-in")
        _accept_uploads_only(source, handlers.uploads)
        gr.HTML(note("CSV, TSV, JSONL, JSON or Parquet with one row per text or turn, or one text per "
                     f"line, up to {megabytes:g} MB. "
                     "Labels and probabilities are added as columns. Rows that cannot be read are left out, "
                     "counted, and kept in a file of their own with the reason."))  # fmt: skip
        task = _task_choice(handlers, SENTIMENT.name)
        with gr.Accordion("Columns and format", open=False):
            with gr.Row():
                text = gr.Textbox(label="Text column", placeholder="text", max_length=200)
                speaker = gr.Textbox(label="Speaker column", placeholder="speaker", max_length=200)
                dialogue = gr.Textbox(label="Conversation column", placeholder="dialogue_id", max_length=200)
            output = gr.Dropdown([SAME_FORMAT, *FORMATS], value=SAME_FORMAT, label="Format of the result")
        with gr.Row():
            button = gr.Button("Label the file", variant="primary", elem_id="file-go")
            stop = gr.Button("Stop", elem_id="file-stop")
        status = gr.HTML(elem_id="file-out", elem_classes="gsa-out")
        with gr.Row():
            labelled = gr.File(label="Labelled rows", visible=False, interactive=False, elem_id="file-done")
            rejected = gr.File(label="Rejected rows", visible=False, interactive=False, elem_id="file-bad")

    async def label(
        source: str | None, task: str, text: str, speaker: str, dialogue: str, output: str,
        request: gr.Request,
    ) -> AsyncIterator[Any]:  # fmt: skip
        columns = text, speaker, dialogue
        yield note("waiting for the model"), _file_update(None), _file_update(None)
        with _gradio_errors():
            async for progress in handlers.label_file(source, task, columns, output, _client(request)):
                files = _file_update(progress.output), _file_update(progress.rejects)
                yield note(progress.message), *files

    labelling = button.click(
        label, [source, task, text, speaker, dialogue, output], [status, labelled, rejected],
        concurrency_limit=MAX_FILES, trigger_mode="once", **EVENT,
    )  # fmt: skip
    stop.click(lambda: note("stopped"), None, status, cancels=labelling, **EVENT)


def compare_tab(handlers: Handlers) -> None:
    """What each level of the chain answers to the same input."""
    names = handlers.levels.names
    with gr.Tab("Levels", id="levels"):
        if not names:
            gr.HTML(note("This model has no levels to compare: only a run made by gsa tune has them."))
            return
        hint = f"{TURNS_HINT} Of a conversation the last turn is labelled; sentiment reads all as one text."
        text = gr.Textbox(label="Text or conversation", info=hint, lines=6, max_lines=16, elem_id="levels-in")
        _examples(text, examples.LEVELS)
        task = _task_choice(handlers, EMOTION.name)
        button = gr.Button("Compare the levels", variant="primary", elem_id="levels-go")
        if not handlers.levels.loaded:
            gr.HTML(note("The first comparison loads the model once more, which takes some seconds."))
        target = gr.HTML(elem_id="levels-out", elem_classes="gsa-out")
        with gr.Row():
            labels = [gr.Label(label=name, min_width=300, elem_classes="gsa-level") for name in names]

    async def compare(text: str, task: str, request: gr.Request) -> list[Any]:
        with _gradio_errors():
            shown, predictions = await handlers.compare_levels(text, task, _client(request))
        shown = shown if len(shown) <= 160 else f"{shown[:160]}…"
        _warn(predictions[-1])  # the same text at every level
        held_only = _multilabel(handlers, task)
        return [note(f"{task} of: {shown}"), *(_probabilities(one, held_only) for one in predictions)]

    button.click(compare, [text, task], [target, *labels], **EVENT)


@contextmanager
def _gradio_errors() -> Iterator[None]:
    """Turn every exception into a message that Gradio shows."""
    try:
        yield
    except Exception as error:
        raise gr.Error(escape(error_message(error)), print_exception=False) from None


def _probabilities(prediction: Prediction, held_only: bool = False) -> dict[str, float]:
    """Return what gr.Label shows: every label, or those that hold, for a task of several labels at once."""
    labels = prediction.labels if held_only else prediction.probabilities
    return {label: prediction.probabilities[label] for label in labels}


def _warn(prediction: Prediction) -> None:
    """Show what the model did not read of a text, and that it is in another language."""
    counts = (prediction.truncated.turns, "distant turn"), (prediction.truncated.words, "word")
    omitted = [count_of(count, noun) for count, noun in counts if count]
    if omitted:
        gr.Warning(f"Too long to be read in full: {' and '.join(omitted)} left out.")
    if prediction.language:
        gr.Warning(f"This text is {foreign_note(prediction.language)}.")


def _file_update(file: Path | None) -> Any:
    return gr.update(value=str(file) if file else None, visible=file is not None)


def _accept_uploads_only(field: Any, folder: Path) -> None:
    """Make a file field take only what browsers sent into `folder`: no links, no other paths."""
    move = field.async_move_resource_to_block_cache

    async def checked(path: Any) -> str | None:
        if "://" in str(path) or not Path(path).resolve().is_relative_to(folder.resolve()):
            raise ValueError("expected a file that was uploaded to this page")
        cached: str | None = await move(path)
        return cached

    field.async_move_resource_to_block_cache = checked


def _examples(field: Any, texts: Mapping[str, str]) -> None:
    """Offer each text by a button, which puts it into the field without a request to the server."""
    with gr.Row(elem_classes="gsa-try"):
        gr.HTML('<span class="gsa-note">Try:</span>', scale=0)
        for name, text in texts.items():
            button = gr.Button(name, size="sm", scale=0, min_width=0)
            button.click(None, None, field, js=f"() => {json.dumps(text)}", api_visibility="private")


def _multilabel(handlers: Handlers, task: str) -> bool:
    return handlers.predictor.tasks[task].multilabel


def _task_choice(handlers: Handlers, preferred: str) -> Any:
    tasks = [name for name, task in handlers.predictor.tasks.items() if not task.takes_aspect]
    value = preferred if preferred in tasks else tasks[0]
    return gr.Radio(tasks, value=value, label="Question", visible=len(tasks) > 1)


def _client(request: gr.Request) -> str:
    return client_of(request.client.host) if request.client else ""
