"""The page's tabs in Gradio: fields and buttons, each bound to one handler."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.prediction.readers import FORMATS
from gsa.web import examples
from gsa.web.handlers import SAME, Handlers
from gsa.web.html import escaped, note

ASKED: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
LIVE = '<div aria-live="polite">${value}</div>'
"""Around every answer, so that it is read aloud when it comes."""
SAYS_TURNS = "One turn a line, as Name: text. The name may be left out."


def header(handlers: Handlers, model: str) -> None:
    """Say what this is, and what answers."""
    names = handlers.levels.names
    level = f" · {len(names) - 1} tuned level{'s' if len(names) > 2 else ''}" if names else ""
    gr.HTML(
        f'<header class="gsa-top"><h1>gsa</h1><p>Polarity, emotion and sarcasm, with probabilities.</p>'
        f'<p class="gsa-model"><bdi>{escaped(model)}</bdi>{escaped(level)}</p></header>'
    )


def text_tab(handlers: Handlers) -> None:
    """One text, its label and the probabilities of all."""
    with gr.Tab("Text", id="text"):
        text = gr.Textbox(label="Text", lines=4, max_lines=12, placeholder="Write or paste a text.",
                          elem_id="text-in", max_length=handlers.limits.text)  # fmt: skip
        _try(text, examples.TEXTS)
        task = _question(handlers, SENTIMENT.name)
        button = gr.Button("Label it", variant="primary", elem_id="text-go")
        out = _result("text-out")

    async def asked(text: str, task: str, request: gr.Request) -> str:
        return await handlers.text(text, task, _client(request))

    gr.on([button.click, text.submit], asked, [text, task], out, **ASKED)


def talk_tab(handlers: Handlers) -> None:
    """A conversation in colours."""
    tasks = [name for name, task in handlers.predictor.tasks.items() if task.context]
    usual = [name for name in (EMOTION.name, SARCASM.name) if name in tasks] or tasks[:1]
    with gr.Tab("Conversation", id="talk"):
        talk = gr.Textbox(label="Conversation", info=SAYS_TURNS, lines=7, max_lines=16, elem_id="talk-in",
                          placeholder="Mara: I finally got the keys!\nJonas: No way! Already?")  # fmt: skip
        _try(talk, examples.TALKS)
        chosen = gr.CheckboxGroup(tasks, value=usual, label="Ask of every turn", elem_id="talk-tasks",
                                  visible=len(tasks) > 1)  # fmt: skip
        button = gr.Button("Label every turn", variant="primary", elem_id="talk-go")
        out = _result("talk-out")

    async def asked(talk: str, chosen: list[str], request: gr.Request) -> str:
        ordered = sorted(chosen, key=lambda name: (name not in usual, tasks.index(name)))
        return await handlers.talk(talk, ordered, _client(request))

    button.click(asked, [talk, chosen], out, **ASKED)


def file_tab(handlers: Handlers) -> None:
    """A file in, the same file with labels out."""
    most = handlers.limits.upload / 2**20
    with gr.Tab("File", id="file"):
        kinds = [f".{kind}" for kind in FORMATS]
        source = gr.File(label="File to label", file_types=kinds, height=150, elem_id="file-in")
        _only_sent(source, handlers.sent)
        gr.HTML(note(f"CSV, TSV, JSONL or Parquet with one row a text or turn, up to {most:g} MB. Labels and "
                     "probabilities are added as columns. Rows that cannot be read are left out, counted, "
                     "and kept in a file of their own with the reason."))  # fmt: skip
        task = _question(handlers, SENTIMENT.name)
        with gr.Accordion("Columns and format", open=False):
            with gr.Row():
                text = gr.Textbox(label="Text column", placeholder="text", max_length=200)
                speaker = gr.Textbox(label="Speaker column", placeholder="speaker", max_length=200)
                talk = gr.Textbox(label="Conversation column", placeholder="dialogue_id", max_length=200)
            kind = gr.Dropdown([SAME, *FORMATS], value=SAME, label="Format of the result")
        with gr.Row():
            button = gr.Button("Label the file", variant="primary", elem_id="file-go")
            stop = gr.Button("Stop", elem_id="file-stop")
        out = _result("file-out")
        with gr.Row():
            done = gr.File(label="Labelled rows", visible=False, interactive=False, elem_id="file-done")
            bad = gr.File(label="Rejected rows", visible=False, interactive=False, elem_id="file-bad")

    async def asked(
        source: str | None, task: str, text: str, speaker: str, talk: str, kind: str, request: gr.Request
    ) -> AsyncIterator[Any]:
        columns = text, speaker, talk
        yield note("waiting for the model"), gr.update(visible=False), gr.update(visible=False)
        async for said, end in handlers.file(source, task, columns, kind, _client(request)):
            files = (end.output, end.rejects) if end else (None, None)
            yield said, *(gr.update(value=str(f) if f else None, visible=f is not None) for f in files)

    begun = button.click(
        asked, [source, task, text, speaker, talk, kind], [out, done, bad],
        concurrency_limit=handlers.limits.labelling, trigger_mode="once", **ASKED,
    )  # fmt: skip
    stop.click(lambda: note("stopped"), None, out, cancels=begun, **ASKED)


def compare_tab(handlers: Handlers) -> None:
    """What each level of the chain says of the same input."""
    with gr.Tab("Levels", id="levels"):
        if not handlers.levels.names:
            gr.HTML(note("This model is no chain of links: the levels of a run made by gsa tune stand here."))
            return
        says = f"{SAYS_TURNS} Of a conversation the last turn is labelled; sentiment reads all as one text."
        text = gr.Textbox(label="Text or conversation", info=says, lines=6, max_lines=16, elem_id="levels-in")
        _try(text, examples.LEVELS)
        task = _question(handlers, EMOTION.name)
        button = gr.Button("Compare the levels", variant="primary", elem_id="levels-go")
        if not handlers.levels.loaded:
            gr.HTML(note("The first comparison reads the model's weights again, which takes some seconds."))
        out = _result("levels-out")

    async def asked(text: str, task: str, request: gr.Request) -> str:
        return await handlers.compare(text, task, _client(request))

    button.click(asked, [text, task], out, **ASKED)


def _only_sent(upload: Any, folder: Path) -> None:
    """Make a field of files take those alone that browsers sent into `folder`: no links, no other paths."""
    take = upload.async_move_resource_to_block_cache

    async def checked(path: Any) -> str | None:
        if "://" in str(path) or not Path(path).resolve().is_relative_to(folder.resolve()):
            raise ValueError("expected a file that was sent to this page")
        found: str | None = await take(path)
        return found

    upload.async_move_resource_to_block_cache = checked


def _try(field: Any, offered: Mapping[str, str]) -> None:
    """Offer texts by a button each, which puts it into the field without asking the server."""
    with gr.Row(elem_classes="gsa-try"):
        gr.HTML('<span class="gsa-note">Try:</span>', scale=0)
        for name, text in offered.items():
            button = gr.Button(name, size="sm", scale=0, min_width=0)
            button.click(None, None, field, js=f"() => {json.dumps(text)}", api_visibility="private")


def _question(handlers: Handlers, usual: str) -> Any:
    tasks = list(handlers.predictor.tasks)
    value = usual if usual in tasks else tasks[0]
    return gr.Radio(tasks, value=value, label="Question", visible=len(tasks) > 1)


def _result(name: str) -> Any:
    return gr.HTML(elem_id=name, elem_classes="gsa-out", html_template=LIVE)


def _client(request: gr.Request) -> str:
    return request.client.host if request.client else ""
