"""Labels of one text, as lines for the shell or as JSON."""

import json
from dataclasses import asdict

from gsa.cli.predict_options import PredictOptions
from gsa.data.task import Task
from gsa.data.types import Dialogue, Prediction, confident
from gsa.datasets.chat import is_conversation, parse_conversation
from gsa.errors import InputError
from gsa.prediction.chunking import MAX_TURNS
from gsa.prediction.documents import predict_texts
from gsa.prediction.explain import Explanation
from gsa.prediction.inputs import aspect_examples, dialogue, example
from gsa.prediction.language import foreign_note
from gsa.prediction.predictor import Predictor
from gsa.prediction.writers import passage_rows
from gsa.progress import count_of

BAR = 10
"""Characters of the bar of the strongest word."""


def label_text(task: str, text: str, options: PredictOptions) -> str:
    """Return the labels of a text; of a conversation for a task that reads one, those of each turn."""
    for name, value in options.of_files().items():
        if value:
            raise InputError(f"{name}: expected a file as the input, or no {name} for a text")
    conversation = dialogue(text, "text")
    predictor, chosen = options.load(task)
    if options.aspects or chosen.takes_aspect:
        return _aspects(predictor, chosen, text, options)
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
    lines = [_line(prediction, chosen.multilabel) for prediction in predictions]
    if len(turns) == 1:
        passages = getattr(predictions[0], "passages", ())
        return "\n".join(
            [*lines, *(f"{_line(part.prediction, chosen.multilabel)}  {part.text}" for part in passages)]
        )
    return "\n".join(f"{turn.line()}\n  {line}" for turn, line in zip(conversation.turns, lines, strict=True))


def _aspects(predictor: Predictor, task: Task, text: str, options: PredictOptions) -> str:
    """Return the label of each aspect of a text."""
    if not task.takes_aspect:
        raise InputError(f"--aspect: task '{task.name}' is about the text: expected a task about an aspect")
    if not options.aspects:
        raise InputError(f"task '{task.name}': expected --aspect, what in the text is asked about")
    if options.explain or options.document:
        raise InputError("--explain, --document: expected a task about the text, not about an aspect")
    ((*examples,),) = aspect_examples(task, [text], [options.aspects])
    predictions = confident(predictor.predict(examples, task), options.min_confidence)
    pairs = zip(options.aspects, predictions, strict=True)
    if options.as_json:
        return json.dumps([{"aspect": name, **_as_json(one)} for name, one in pairs], ensure_ascii=False)
    return "\n".join(f"{name}: {_line(one)}" for name, one in pairs)


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


def _line(prediction: Prediction, held_only: bool = False) -> str:
    """Return the labels, or only those that hold, for a task of several at once, the most probable first."""
    labels = prediction.labels if held_only else prediction.probabilities
    ranked = sorted(labels, key=lambda label: -prediction.probabilities[label])
    line = "  ".join(f"{label} {prediction.probabilities[label]:.2f}" for label in ranked)
    words = prediction.truncated.words
    line += f"  ({count_of(words, 'word')} not read)" if words else ""
    line += f"  ({foreign_note(prediction.language)})" if prediction.language else ""
    return line + ("  (not sure enough for a label)" if prediction.label is None else "")
