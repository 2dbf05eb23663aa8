"""A tuned model as an ordinary sequence classifier for one task, which any program can load.

In: a merged model and a task whose labels are one token each. Out: a folder for transformers'
`text-classification` pipeline. The tokenizer's post-processor puts instruction, labels and cue around the
text; the rows of the classifier's head are those of the language-model head that belong to the labels, so its
softmax is the probability of each label among the labels.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, normalizers, processors
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import Task
from gsa.data.token_counts import TokenIds, tokenize
from gsa.data.types import Dialogue, Example, Prediction, Utterance
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.model.hf_logging import quiet_libraries
from gsa.model.scoring import score

OTHERS = "expected another --format: merged, adapter, gguf and chain take every task"
WHITE_SPACE = "".join(map(chr, range(0x3001))).translate(
    {code: None for code in range(0x3001) if not chr(code).isspace()}
)
"""What `str.split` takes for white space."""
SAMPLES = (
    "It was fine.", "Dreadful, all of it!", "it works", "3 stars of 5", "(really?)", "'Quoted' \"twice\"",
    "\U0001f600 nice", "çà et là", "素晴らしい。", "...", " two  spaces\nand lines ", "x<|im_end|>y </s>",
)  # fmt: skip
"""Texts on which tokens and probabilities are compared with this package's own before a folder is kept."""
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Frame:
    """The token ids that stand around a text in a prompt, and those of the answers."""

    before: TokenIds
    after: TokenIds
    answers: TokenIds
    """One token for each label."""


def write_classifier(loaded: LoadedModel, layout: Layout, task: Task, temperature: float, out: Path) -> None:
    """Write the folder; `temperature` is the task's calibration, 1 for none.

    Raises InputError for a task or a tokenizer that a classifier cannot hold exactly.
    """
    encoder = Encoder(loaded.tokenizer, layout, task)
    frame = frame_of(loaded.tokenizer, encoder)
    tokenizer = _tokenizer(loaded.tokenizer, frame, layout)
    prompts = encoder.encode([_example(text) for text in SAMPLES])
    for text, prompt in zip(SAMPLES, prompts, strict=True):
        if tuple(tokenizer(text)["input_ids"]) != prompt.ids:
            raise InputError(
                f"the tokenizer joins texts such as {text!r} with what stands around them: {OTHERS}"
            )
    classifier = _model(loaded.model, frame, task, tokenizer.pad_token_id, temperature)
    _check(classifier, tokenizer, score(loaded.model, prompts), temperature)
    with quiet_libraries():
        classifier.save_pretrained(out)
        tokenizer.save_pretrained(out)


def frame_of(tokenizer: Any, encoder: Encoder) -> Frame:
    """Return what stands around a text in a task's prompts.

    Raises InputError for a task with several labels at once or an aspect, for labels of several tokens, and
    for a layout that repeats the text.
    """
    task, text = encoder.task, encoder.layout.line(Utterance(SAMPLES[0]))
    if task.about:
        raise InputError(f"task '{task.name}' asks about a part of the text: {OTHERS}")
    (prompt,) = encoder.encode([_example(text)])
    longest = max(range(len(task.labels)), key=lambda i: len(prompt.answers[i]))
    if len(prompt.answers[longest]) > 1:
        raise InputError(
            f"task '{task.name}': the label '{task.labels[longest]}' takes {len(prompt.answers[longest])} "
            f"tokens, where a classifier has one for each label: {OTHERS}"
        )
    dialogue = Dialogue("", (Utterance(text),))
    written = encoder.layout.prompt(task, dialogue, 0, range(1))
    if written.count(text) > 1:
        raise InputError(f"layout '{encoder.layout.name}' shows the text twice: {OTHERS}")
    before = tokenize(tokenizer, [written[: written.index(text)]])[0] if written.index(text) else ()
    length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    answers = tuple(answer[0] for answer in prompt.answers)
    return Frame(before, prompt.ids[len(before) + length :], answers)


def _tokenizer(source: Any, frame: Frame, layout: Layout) -> Any:
    """Return a tokenizer that turns a text into the ids of its prompt; truncation cuts the text alone."""
    backend = Tokenizer.from_str(source.backend_tokenizer.to_str())
    folded = [normalizers.Replace(Regex(f"[{WHITE_SPACE}]+"), " "), normalizers.Strip()]
    cased = [normalizers.Lowercase()] if layout.fold_case == "all" else []
    own = [backend.normalizer] if backend.normalizer else []
    backend.normalizer = normalizers.Sequence([*folded, *cased, *own])
    backend.no_truncation()
    backend.no_padding()
    template, pieces = ["$A"], []
    for name, ids, place in (("[BEFORE]", frame.before, 0), ("[AFTER]", frame.after, len(template) + 1)):
        if ids:
            template.insert(place, name)
            pieces.append({"id": name, "ids": list(ids), "tokens": source.convert_ids_to_tokens(list(ids))})
    backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=pieces)
    pad = source.pad_token or source.eos_token
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=source.bos_token,
        eos_token=source.eos_token,
        unk_token=source.unk_token,
        pad_token=pad,
        padding_side="right",
        truncation_side="right",
        model_max_length=layout.max_tokens - 1,
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


def _model(source: Any, frame: Frame, task: Task, pad: int, temperature: float) -> Any:
    """Return the sequence classifier with the weights of a causal language model."""
    config = copy.deepcopy(source.config)
    config._attn_implementation = "sdpa"
    config.pad_token_id, config.use_cache = pad, False
    config.problem_type = "single_label_classification"
    config.id2label = dict(enumerate(task.labels))
    config.label2id = {label: i for i, label in enumerate(task.labels)}
    head = source.get_output_embeddings()
    try:
        classifier = AutoModelForSequenceClassification.from_config(config).eval().requires_grad_(False)
        body = getattr(classifier, classifier.base_model_prefix)
        body.load_state_dict(getattr(source, source.base_model_prefix).state_dict())
        suitable = isinstance(classifier.score, nn.Linear) and classifier.score.bias is None
    except (ValueError, AttributeError, RuntimeError):
        suitable = False
    if not suitable or getattr(head, "bias", None) is not None:
        raise InputError(
            f"the architecture {config.model_type} has no sequence classifier with a plain head: {OTHERS}"
        )
    classifier.score.weight.copy_(head.weight[list(frame.answers)] / temperature)
    return classifier


def _check(classifier: Any, tokenizer: Any, expected: Sequence[Prediction], temperature: float) -> None:
    """Raise InputError unless padded batches give the probabilities of this package."""
    with torch.inference_mode():
        batch = tokenizer(list(SAMPLES), padding=True, return_tensors="pt")
        logits = classifier(**batch).logits.float() * temperature
    known = torch.tensor([list(prediction.probabilities.values()) for prediction in expected])
    difference = (logits.softmax(-1) - known).abs().max().item()
    if not difference <= TOLERANCE:
        raise InputError(
            f"the classifier's probabilities differ by up to {difference:.2g} from those of the language "
            f"model: {OTHERS}"
        )


def _example(text: str) -> Example:
    return Example("", "", Dialogue("", (Utterance(text),)), 0)
