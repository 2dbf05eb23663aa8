"""The README of an export: what it is, how to load it, the exact prompts, how labels are scored.

In: what was exported. Out: Markdown with the hub's front matter; its Python block runs as it is, without
this package.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gsa.data.encoder import Encoder
from gsa.data.task import Task
from gsa.data.types import Dialogue, Utterance
from gsa.recipes.datasets import task_of, tasks_of
from gsa.recipes.schema import Recipe

TEXT = Dialogue("", (Utterance("The soup was cold and nobody cared."),))
TALK = Dialogue(
    "",
    (
        Utterance("The train is cancelled again.", "Ana"),
        Utterance("Wonderful, I just love waiting in the rain.", "Ben"),
    ),
)

OPEN = {
    "merged": """from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(FOLDER).eval()
tokenizer = AutoTokenizer.from_pretrained(FOLDER)""",
    "adapter": """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained(BASE)
model = PeftModel.from_pretrained(base, FOLDER).eval()
tokenizer = AutoTokenizer.from_pretrained(BASE)""",
    "gguf": """from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=FILE).eval()
tokenizer = AutoTokenizer.from_pretrained(FOLDER, gguf_file=FILE)""",
}

SCORE = '''


def probabilities(prompt, labels, ending=""):
    """Return the probability of each label as the answer to a prompt, which is read once."""
    texts = [f"{prompt} {label}" for label in labels]
    ids = [tokenizer(text, split_special_tokens=True)["input_ids"] for text in texts]
    if ending:
        ids = [[*one, tokenizer.convert_tokens_to_ids(ending)] for one in ids]
    same = 0  # what all labels have in common belongs to the prompt
    while all(len(one) > same + 1 and one[same] == ids[0][same] for one in ids):
        same += 1
    scores = []
    with torch.no_grad():
        read = model(torch.tensor([ids[0][:same]]), use_cache=True)
        for answer in (one[same:] for one in ids):
            logits = [read.logits[0, -1:]]
            if len(answer) > 1:
                past = copy.deepcopy(read.past_key_values)
                logits.append(model(torch.tensor([answer[:-1]]), past_key_values=past).logits[0])
            chances = torch.cat(logits).float().log_softmax(-1)
            scores.append(chances[torch.arange(len(answer)), torch.tensor(answer)].sum())
    return torch.stack(scores).softmax(0).tolist()
'''


@dataclass(frozen=True)
class Exported:
    """What a card is about."""

    recipe: Recipe
    kind: str
    links: Sequence[str]
    """Their names."""
    base: str
    """Identity of the base weights."""
    hub: str
    """Name of the model below everything on the hub; empty where it is a folder."""
    unpacked: bool
    """Whether the base has no address of its own: the default backbone, or a run."""
    weights: Mapping[str, str]
    """Files of weights and their checksums."""
    about: str = ""
    """File with the shipped model's own card, where that is what was exported."""

    @property
    def source(self) -> str:
        """What `gsa export` calls the run."""
        return self.recipe.name if self.about else "RUN"


def card(this: Exported, tokenizer: Any) -> str:
    """Return the README of an export, whose script needs to know how the tokenizer splits the labels."""
    recipe = this.recipe
    chain = f"levels {', '.join(this.links)}" if this.links else "the untuned backbone"
    tasks = list(tasks_of(recipe).values())
    lines = [
        *_front(this),
        "",
        f"# {recipe.name}: {_TITLE[this.kind]}",
        "",
        f"Made by `gsa export` from the run `{recipe.name}`: {chain}.",
        f"Backbone `{recipe.backbone.name}`, {this.base}.",
        *(f"`{file}` has sha256 {checksum}." for file, checksum in this.weights.items()),
        "",
        *([_ABOUT.format(this.about), ""] if this.about else []),
        _NOTE[this.kind].format(base=recipe.backbone.name, run=this.source),
        "",
        "Labels are scored, not generated: the answer is the likeliest label of the list, by the",
        "log-probability of all of its tokens. Greedy text may leave the list, above all where a level was",
        "tuned on the label list alone. The prompt must be as below, to the last sign; the label follows",
        "after one space.",
        "",
        "```python",
        *_script(this, tasks[0], tokenizer),
        "```",
        "",
        *_commands(this, tasks[0]),
        f"Layout `{recipe.layout.name}`, at most {recipe.layout.max_tokens} tokens with the answer.",
    ]
    for task in tasks:
        lines += ["", f"## {task.name}", "", f"Labels: {', '.join(map(task.word, task.labels))}", ""]
        lines += ["```text", prompt(recipe, task), "```"]
    return "\n".join(lines) + "\n"


def _front(this: Exported) -> list[str]:
    """Return the YAML that the hub reads; JSON's lists and texts are YAML's too."""
    levels = this.recipe.levels[: len(this.links)]
    asked = dict.fromkeys(task_of(source).name for level in levels for source in level.datasets)
    tags = [_TAGS.get(name, name) for name in asked]
    tags += ["lora"] if this.kind in ("adapter", "chain") else ["gguf"] if this.kind == "gguf" else []
    yours = "license: unknown  # yours to choose; those of the backbone and of the data bear on it"
    return [
        "---",
        "license: apache-2.0" if this.about else yours,
        *(["language: en"] if this.about else []),
        *([f"base_model: {json.dumps(this.hub)}"] if this.hub else []),
        f"library_name: {_LIBRARY[this.kind]}",
        f"tags: {json.dumps(tags)}",
        "---",
    ]


def _commands(this: Exported, task: Task) -> list[str]:
    """Return how another program is asked the first task's question."""
    if this.kind == "chain":
        return []
    asked = prompt(this.recipe, task)
    words = [task.word(label) for label in task.labels]
    if this.kind == "gguf":
        grammar = "root ::= " + " | ".join(json.dumps(f" {word}", ensure_ascii=False) for word in words)
        lines = [
            f"llama-completion -m {shlex.quote(next(iter(this.weights)))} -no-cnv --temp 0 -n 16 "
            f"--grammar {shlex.quote(grammar)} -p {shlex.quote(asked)}"
        ]
        said = "With llama.cpp (`llama-completion` is called `llama-cli` in older ones); not run here:"
    else:
        name = shlex.quote(this.recipe.name)
        rank = this.recipe.lora.rank * len(this.links)
        most = next((r for r in (8, 16, 32, 64, 128, 256, 512) if r >= rank), rank)
        base = shlex.quote(_base(this))
        served = f"{base} --enable-lora --max-lora-rank {most} --lora-modules {name}=."
        body = {"model": this.recipe.name, "prompt": asked, "max_tokens": 16, "temperature": 0}
        lines = [
            f"vllm serve {served if this.kind == 'adapter' else f'. --served-model-name {name}'}",
            "curl http://127.0.0.1:8000/v1/completions --json "
            + shlex.quote(json.dumps(body, ensure_ascii=False)),
        ]
        said = "With vLLM, whose greedy text begins with the label or leaves the list; not run here:"
    return [said, "", "```bash", *lines, "```", ""]


def prompt(recipe: Recipe, task: Task) -> str:
    """Return the exact prompt of an invented example, before the answer and the space in front of it."""
    talk = TALK if task.context else TEXT
    target = len(talk.turns) - 1
    turns = recipe.layout.turns(talk, target) if task.context else range(1)
    return recipe.layout.prompt(task, talk, target, turns)


def _script(this: Exported, task: Task, tokenizer: Any) -> list[str]:
    if this.kind == "chain":
        question = f"model.classify({task.name!r}, {TEXT.turns[0].text!r})"
        return ["import gsa", "", 'model = gsa.load(".")', f"print({question})"]
    example = _example(this.recipe, task, tokenizer)
    return ["import copy", "", "import torch", _open(this) + SCORE, example]


def _base(this: Exported) -> str:
    """Return where an adapter's base is: a name that the run has for it, or the folder that is made of it."""
    return "base" if this.unpacked else this.recipe.backbone.name


def _open(this: Exported) -> str:
    made = f"  # made here by: gsa export {this.source} --format merged --level 0 --out base"
    heads = {
        "merged": ['FOLDER = "."'],
        "adapter": ['FOLDER = "."', f"BASE = {json.dumps(_base(this))}{made if this.unpacked else ''}"],
        "gguf": ['FOLDER = "."', f"FILE = {next(iter(this.weights), '')!r}"],
    }
    return "\n".join(["", *heads[this.kind], ""]) + OPEN[this.kind]


def _example(recipe: Recipe, task: Task, tokenizer: Any) -> str:
    ends = Encoder(tokenizer, recipe.layout, task).ends
    labels = [task.word(label) for label in task.labels]
    ending = f", ending={tokenizer.eos_token!r}" if ends else ""
    call = f"probabilities(prompt, labels{ending})"
    return f"\nlabels = {labels!r}\nprompt = {prompt(recipe, task)!r}\nprint(dict(zip(labels, {call})))"


_TITLE = {"merged": "merged model", "adapter": "PEFT adapter", "gguf": "GGUF", "chain": "chain of links"}
_LIBRARY = {"merged": "transformers", "adapter": "peft", "gguf": "transformers", "chain": "gsa-llm"}
_TAGS = {
    "sentiment": "sentiment-analysis",
    "emotion": "emotion-recognition-in-conversation",
    "sarcasm": "sarcasm-detection",
}
_ABOUT = (
    "Its scores, the licences of the data that it was tuned on, what it is not good for, and its biases are\n"
    "those of [GSA-135M]({}), whose card is beside this one: read it before you pass this on."
)
_NOTE = {
    "merged": "A model folder for plain transformers: base and links added up in float32.",
    "adapter": (
        "One PEFT adapter whose rank is the sum of the links' ranks; it does what the links do in a row.\n"
        "It needs the very base weights that the links were tuned on, here `{base}`. The default backbone,\n"
        "`smollm2-135m`, is unpacked from a Python package, and a run is no folder of a model; either is\n"
        "written by `gsa export {run} --format merged --level 0 --out base`."
    ),
    "gguf": (
        "One file of 16 bits with its tokenizer, for llama.cpp, what builds on it, and transformers.\n"
        "In llama.cpp, evaluate prompt and label and add up the log-probabilities of the label's tokens, or\n"
        "restrict sampling to the labels with a grammar; temperature 0."
    ),
    "chain": (
        "The links alone, unmerged, in 16 bits: `gsa predict --model FOLDER`, `gsa serve --model FOLDER`,\n"
        "`gsa eval FOLDER`. The base comes from where it always does, and is checked."
    ),
}
