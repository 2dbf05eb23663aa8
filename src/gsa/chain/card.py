"""The README of an export: what it is, how to load it, the exact prompts, how labels are scored.

In: a recipe and what was exported. Out: Markdown; its Python block runs as it is, without this package.
"""

from collections.abc import Sequence
from typing import Any

from gsa.chain.batches import tasks_of
from gsa.chain.recipe import Recipe
from gsa.tasks.dialogue import Dialogue, Utterance
from gsa.tasks.encoding import Encoder
from gsa.tasks.task import Task

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


def card(
    recipe: Recipe, kind: str, links: Sequence[str], base: str, weights: dict[str, str], tokenizer: Any
) -> str:
    """Return the README of an export of `kind` with the named links; `weights` are files and checksums."""
    name, chain = recipe.name, f"levels {', '.join(links)}" if links else "the untuned backbone"
    tasks = list(tasks_of(recipe).values())
    lines = [
        f"# {name}: {_TITLE[kind]}",
        "",
        f"Made by `gsa export` from the run `{name}`: {chain}.",
        f"Backbone `{recipe.backbone.name}`, {base}.",
        *(f"`{file}` has sha256 {checksum}." for file, checksum in weights.items()),
        "",
        _NOTE[kind].format(base=recipe.backbone.name),
        "",
        "Labels are scored, not generated: the answer is the likeliest label of the list, by the",
        "log-probability of all of its tokens. Greedy text may leave the list, above all where a level was",
        "tuned on the label list alone. The prompt must be as below, to the last sign; the label follows",
        "after one space.",
        "",
        "```python",
        *_script(kind, recipe, weights, tasks[0], tokenizer),
        "```",
        "",
        f"Layout `{recipe.layout.name}`, at most {recipe.layout.max_tokens} tokens with the answer.",
    ]
    for task in tasks:
        lines += ["", f"## {task.name}", "", f"Labels: {', '.join(map(task.word, task.labels))}", ""]
        lines += ["```text", prompt(recipe, task), "```"]
    return "\n".join(lines) + "\n"


def prompt(recipe: Recipe, task: Task) -> str:
    """Return the exact prompt of an invented example, before the answer and the space in front of it."""
    talk = TALK if task.context else TEXT
    target = len(talk.turns) - 1
    turns = recipe.layout.turns(talk, target) if task.context else range(1)
    return recipe.layout.prompt(task, talk, target, turns)


def _script(kind: str, recipe: Recipe, weights: dict[str, str], task: Task, tokenizer: Any) -> list[str]:
    if kind == "chain":
        question = f"model.classify({task.name!r}, {TEXT.turns[0].text!r})"
        return ["import gsa", "", 'model = gsa.load(".")', f"print({question})"]
    example = _example(recipe, task, tokenizer)
    return ["import copy", "", "import torch", _open(kind, recipe, weights) + SCORE, example]


def _open(kind: str, recipe: Recipe, weights: dict[str, str]) -> str:
    base = recipe.backbone.name
    heads = {
        "merged": ['FOLDER = "."'],
        "adapter": ['FOLDER = "."', f"BASE = {base!r}"],
        "gguf": ['FOLDER = "."', f"FILE = {next(iter(weights), '')!r}"],
    }
    return "\n".join(["", *heads[kind], ""]) + OPEN[kind]


def _example(recipe: Recipe, task: Task, tokenizer: Any) -> str:
    ends = Encoder(tokenizer, recipe.layout, task).ends
    labels = [task.word(label) for label in task.labels]
    ending = f", ending={tokenizer.eos_token!r}" if ends else ""
    call = f"probabilities(prompt, labels{ending})"
    return f"\nlabels = {labels!r}\nprompt = {prompt(recipe, task)!r}\nprint(dict(zip(labels, {call})))"


_TITLE = {"merged": "merged model", "adapter": "PEFT adapter", "gguf": "GGUF", "chain": "chain of links"}
_NOTE = {
    "merged": "A model folder for plain transformers: base and links added up in float32.",
    "adapter": (
        "One PEFT adapter whose rank is the sum of the links' ranks; it does what the links do in a row.\n"
        "It needs the very base weights that the links were tuned on, here `{base}`. Those of\n"
        "`smollm2-135m`, unpacked from a Python package, are written by\n"
        "`gsa export RUN --format merged --level 0 --out base`."
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
