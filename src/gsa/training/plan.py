"""A dry run: what a recipe reads, how much sharing saves, how long it takes and how much memory it needs.

Of the backbone only configuration and tokenizer are loaded; its weights are counted on torch's meta device,
so a 7B model is planned on a machine that cannot hold it.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from gsa.chain.base import load_config, resolve_base
from gsa.chain.lora import fresh_link
from gsa.chain.source import with_layout_of_backbone
from gsa.data.encoder import Prompt
from gsa.data.token_counts import TokenCountCache
from gsa.datasets.catalogue import data_root, get, missing_message
from gsa.errors import InputError
from gsa.model import smollm2
from gsa.model.ops import linear
from gsa.model.precision import resolve_precision
from gsa.model.validation import check_tokenizer, refuse_unsuitable
from gsa.recipes.schema import Backbone, Level, Lora, Recipe
from gsa.training import gpus, memory
from gsa.training.gpus import Gpu, find_gpu
from gsa.training.training_data import TrainingData, build_training_data, token_count
from gsa.trie.packing import PackedRow, branches, group, pack

REPEATED_WARNING = 0.25
"""Share of tokens computed again beyond which a plan warns."""
EFFICIENCY = 0.65
"""Share of the matrix-product peak that a tuning step reaches on CPU, as measured (docs/performance.md)."""

# The configuration of the paper's backbone, whose hub page is gated: LlamaConfig's defaults are Llama-7B's.
KNOWN = {"meta-llama/Llama-2-7b-hf": {"max_position_embeddings": 4096, "rms_norm_eps": 1e-5}}


@dataclass(frozen=True)
class LevelPlan:
    """One level's arithmetic."""

    name: str
    examples: dict[str, int]
    """Training examples by dataset, one epoch."""
    flat_tokens: int
    """Tokens of all epochs with one sequence per prompt, without padding."""
    trie_tokens: int
    """Tokens of all epochs with shared prefixes."""
    steps: int
    trainable: int
    """Parameters of the link."""
    seconds: float
    """Estimated on the plan's device."""


@dataclass(frozen=True)
class Plan:
    """A recipe's arithmetic."""

    levels: tuple[LevelPlan, ...]
    parameters: int
    """Of the backbone."""
    memory: float
    """Estimated peak, bytes, of the process or of the GPU (`training.memory`)."""
    gflops: float
    """Speed of matrix products, GFLOP/s: this machine's in float32, or what is published of a GPU."""
    device: str
    """``this CPU``, or the name of a GPU."""
    notes: tuple[str, ...]


def make_plan(recipe: Recipe, gpu: str = "") -> Plan:
    """Return a recipe's plan for this CPU, or for one of `gpus.GPUS`.

    Raises InputError for an unknown GPU, and for bad data as tuning does.
    """
    device = find_gpu(gpu) if gpu else None
    recipe = with_layout_of_backbone(recipe)
    config, tokenizer, notes = _describe(recipe.backbone)
    refuse_unsuitable(config, recipe.backbone.name, recipe.layout.max_tokens)
    check_tokenizer(tokenizer, config, recipe.backbone.name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        parameters = model.num_parameters()
        body = parameters - model.get_input_embeddings().weight.numel()
        if not config.tie_word_embeddings:
            body -= model.get_output_embeddings().weight.numel()
        links = [_trainable(model, recipe.lora_of(level)) for level in recipe.levels]
    precision = recipe.backbone.precision  # a plan for another machine may be made here
    if precision == "auto":
        precision = "bfloat16" if device else resolve_precision(precision)
    gflops = getattr(device, precision) * 1e3 if device else matmul_gflops(config.hidden_size)
    # Forward and backward through frozen weights: two products each of 2 operations per weight.
    operations = 6 if recipe.training.recompute else 4
    weights_per_second = gflops * 1e9 * (gpus.EFFICIENCY if device else EFFICIENCY) / operations
    levels: list[LevelPlan] = []
    rows: list[PackedRow] = []
    prompts: list[Prompt] = []
    for full_level, link in zip(recipe.levels, links, strict=True):
        level = _available(full_level, notes)
        data = build_training_data(recipe, level, tokenizer)
        flat = sum(len(b) for row in data.rows for p in row.prompts for b in branches(p, row.score))
        seconds = (body + link) * data.tokens / weights_per_second
        counts = {name: len(prompts) for name, prompts in data.prompts.items()}
        levels.append(LevelPlan(level.name, counts, flat, data.tokens, len(data.steps), link, seconds))
        rows += data.rows
        prompts += [prompt for encoded in data.prompts.values() for prompt in encoded]
        notes += _repetition_notes(data, level, recipe, tokenizer)
    sizes = _sizes(recipe.backbone, parameters, body, links, rows, prompts)
    dtype = getattr(torch, precision)
    if device:
        peak = memory.gpu_memory(recipe, config, sizes, dtype.itemsize)
    else:
        peak = memory.cpu_memory(recipe, config, sizes, dtype)
    if recipe.training.fsdp:
        weights = memory.weight_bytes(recipe, sizes, dtype.itemsize)
        share = (
            f"the weights, {weights / 2**30:.1f} GiB of the memory, are divided by the number of processes"
        )
        notes.append(f"training.fsdp: {share}, up to the largest layer and the embeddings")
    if device:
        notes += _gpu_notes(device, gpu, peak)
    return Plan(tuple(levels), parameters, peak, gflops, gpu or "this CPU", tuple(notes))


def _sizes(
    backbone: Backbone,
    parameters: int,
    body: int,
    links: list[int],
    rows: list[PackedRow],
    prompts: list[Prompt],
) -> memory.Sizes:
    """Return what the estimate of memory counts, of the rows and prompts of all levels."""
    return memory.Sizes(
        parameters=parameters,
        body=body,
        links=tuple(links),
        earlier=_earlier_links(backbone),
        prompts=len(prompts),
        prompt_tokens=sum(len(prompt.ids) for prompt in prompts),
        nodes=token_count(rows),
        longest=max(len(row.trie) for row in rows),
        deepest=max(int(row.trie.depth.max()) + 1 for row in rows),
        predicting=max(len(set(row.predicted[0].tolist())) for row in rows),
    )


def _gpu_notes(gpu: Gpu, name: str, memory: float) -> list[str]:
    """Return what the reader of a plan for a GPU must know."""
    notes = ["gsa was never run on a GPU: that it reaches 40% of the peak is an assumption"]
    if memory > gpu.memory * 1e9:
        notes.append(
            f"{name} has {gpu.memory * 1e9 / 2**30:.1f} GiB, less than this needs: expected a larger GPU, "
            "training.recompute = true, or smaller training.max_row_tokens and training.activation_tokens"
        )
    return notes


def _trainable(model: Any, lora: Lora) -> int:
    """Return the number of parameters of a link on a model, which is left without it."""
    linked = fresh_link(model, lora, 0)
    count: int = sum(p.numel() for p in linked.parameters() if p.requires_grad)
    linked.unload()
    return count


def _earlier_links(backbone: Backbone) -> int:
    """Return the number of parameters of the links on a backbone that is a run, 0 for a model."""
    _, runs = resolve_base(backbone)
    links = [link for chain, level in runs for link in chain.link_weights(level)]
    return sum(a.numel() + b.numel() for link in links for a, b in link.pairs.values())


def _repetition_notes(data: TrainingData, level: Level, recipe: Recipe, tokenizer: Any) -> list[str]:
    """Return a note where much of an epoch is computed again because conversations are cut.

    Rows are cut at `training.max_row_tokens`; prompts at `layout.max_tokens`, beyond which later targets are
    shown a history that starts at a later turn.
    """
    max_row_tokens, layout = recipe.training.max_row_tokens, recipe.layout_of(level)
    groups = [part for prompts in data.prompts.values() for part in group(prompts)]
    cut, uncut = (
        token_count(pack(groups, level.loss == "labels", limit)) for limit in (max_row_tokens, sys.maxsize)
    )
    counts = TokenCountCache(tokenizer, layout.line)
    shares = {
        f"training.max_row_tokens than {max_row_tokens}": 1 - uncut / cut,
        f"layout.max_tokens than {layout.max_tokens}": sum(_repeated_turns(g, counts) for g in groups) / cut,
    }
    repeated = sum(shares.values())
    if repeated <= REPEATED_WARNING:
        return []
    causes = [key for key, share in shares.items() if share > REPEATED_WARNING / 2]
    return [
        f"level '{level.name}': {repeated:.0%} of its tokens are computed twice or more, because "
        f"conversations are cut: expected a larger {' and a larger '.join(causes)}"
    ]


def _repeated_turns(group: Sequence[Prompt], counts: TokenCountCache) -> int:
    """Return the tokens of turns that prompts about one dialogue show again behind another first turn."""
    if not any(prompt.omitted_turns for prompt in group):
        return 0
    stops: dict[int, int] = {}  # by first turn; prompts with the same one share it and what follows
    for prompt in group:
        start, stop = prompt.turns.start, prompt.turns.stop
        stops[start] = max(stop, stops.get(start, 0))
    of_turns = counts.of(group[0].example.dialogue)
    repeated = covered = 0
    for start, stop in sorted(stops.items()):
        repeated += of_turns.total(range(start, max(start, min(stop, covered))))
        covered = max(covered, stop)
    return repeated


def _available(level: Level, notes: list[str]) -> Level:
    """Return a level without the benchmark's datasets whose files are missing, and add a note on each."""
    messages = {s.name: missing_message(get(s.name), data_root()) for s in level.datasets if not s.path}
    missing = {name: sentence for name, sentence in messages.items() if sentence}
    if len(missing) == len(level.datasets):
        raise InputError(f"level '{level.name}': {next(iter(missing.values()))}")
    notes += [f"left out of the plan: {sentence}" for sentence in missing.values()]
    return level.model_copy(update={"datasets": tuple(s for s in level.datasets if s.name not in missing)})


def matmul_gflops(hidden: int, rows: int = 1024) -> float:
    """Return the speed of a float32 product of (rows, hidden) by (hidden, 4 hidden), the best of 12 runs."""
    hidden = min(hidden, 1024)
    a, b = torch.randn(rows, hidden), torch.randn(4 * hidden, hidden)
    best = float("inf")
    for product in [torch.nn.functional.linear, linear] * 6:
        began = time.perf_counter()
        product(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * rows * hidden * 4 * hidden / best / 1e9


def _describe(backbone: Backbone) -> tuple[Any, Any, list[str]]:
    """Return configuration and tokenizer; for a known model that cannot be loaded, substitutes and a note."""
    try:
        config, tokenizer = load_config(backbone)
        return config, tokenizer, []
    except InputError:
        if backbone.name not in KNOWN:
            raise
    _, tokenizer = load_config(Backbone(name=smollm2.NAME))
    note = (
        f"{backbone.name} cannot be loaded: tokens are counted with {smollm2.NAME}'s tokenizer, an estimate"
    )
    return LlamaConfig(**KNOWN[backbone.name]), tokenizer, [note]
