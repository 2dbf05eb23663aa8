"""Exports of a run: a chain in, a folder out that loads without this package, or with it on the same base.

    merged      a model folder for plain transformers, with its recipe
    adapter     one PEFT adapter whose rank is the sum of the links' ranks, for PEFT and vLLM
    gguf        one file of 16 bits for llama.cpp and programs that build on it, and one of 8 bits
    chain       the links alone in 16 bits, a few megabytes, for this package
    classifier  one task as a sequence classifier, for transformers' pipelines and what reads such folders

Each has a README.md with the prompts and a script that scores labels; all but a classifier have labels.json
with the labels' tokens.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from gsa.atomic_io import atomic_path
from gsa.chain.base import base_name, load_chain, load_config
from gsa.chain.calibration import Calibration
from gsa.chain.chain import Chain, Link
from gsa.chain.link import CONFIG, PREFIX, WEIGHTS, LinkWeights
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import TASK_TABLE, ModelSource
from gsa.checksums import checksums, sha256
from gsa.data.task import Task
from gsa.errors import InputError, suggest
from gsa.export.classifier import OTHERS, write_classifier
from gsa.export.labels import LABELS, label_table
from gsa.export.model_card import CONVERSATION, Exported, card
from gsa.model import smollm2
from gsa.model.hf_logging import quiet_libraries
from gsa.model.validation import check_adapter
from gsa.recipes.schema import Recipe

ABOUT = "GSA-135M.md"
"""The shipped model's card in an export of it: scores, licences of its data, limits, biases."""
HUB = {smollm2.NAME: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Names on the hub of backbones that are fetched from elsewhere, in other precision."""


def export(
    root: Path, kind: str, out: Path, level: int | None = None, task: str = "", context: bool = True
) -> Path:
    """Write a run's chain, or its first `level` links, to the new folder `out` and return it.

    `root` may be the shipped model's name. `task` is that of a classifier; without `context` a task that
    reads conversations is exported for lone utterances. Raises InputError for an unknown kind, a folder that
    is not empty, a level that the run does not have, for GGUF an architecture or tokenizer that it cannot
    hold exactly, and for a classifier a task that it cannot.
    """
    if kind not in FORMATS:
        near = suggest(kind, FORMATS)
        raise InputError(f"--format '{kind}': expected one of {', '.join(FORMATS)}{near}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"'{out}' exists already: expected a new or empty folder for --out")
    if kind != "classifier" and (task or not context):
        raise InputError(f"--task and --no-context: expected only with --format classifier, found '{kind}'")
    recipe, chain = RunFolder.find(root).read()
    chain.check_level(level)
    recipe = recipe.at_level(len(chain.links) if level is None else level)
    chosen = (
        _classifier_task(_source(recipe, chain).tasks(level), task, context) if kind == "classifier" else None
    )
    with atomic_path(out) as draft:
        draft.mkdir()
        if chosen:
            _classifier(recipe, chain, level, chosen, draft)
        else:
            KINDS[kind](recipe, chain, level, draft)
    return out


def _merged(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    recipe = _in_float32(recipe)
    loaded = load_chain(chain, recipe.backbone, level, "cpu")
    with quiet_libraries():
        loaded.model.save_pretrained(out)
        loaded.tokenizer.save_pretrained(out)
    RunFolder(out).recipe_file.write_text(recipe.toml(), encoding="utf-8")
    if below := _source(recipe, chain).all_tasks_below():
        RunFolder(out).tasks_file.write_bytes(TASK_TABLE.dump_json(below, indent=1))
    _readme(recipe, chain, level, "merged", loaded.tokenizer, out)


def _in_float32(recipe: Recipe) -> Recipe:
    """Return the recipe with float32 weights, into which links are merged without rounding.

    Raises InputError for a backbone in 4 bits, which has no such weights.
    """
    if recipe.backbone.quantize:
        raise InputError(
            f"run '{recipe.name}' was tuned on 4-bit weights (backbone.quantize), into which links are not "
            "merged: expected --format adapter or chain"
        )
    return recipe.model_copy(update={"backbone": recipe.backbone.model_copy(update={"precision": "float32"})})


def _adapter(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    links = chain.link_weights(level)
    if not links:
        raise InputError(f"'{chain.root}': expected a level of 1 or more for an adapter, found no link")
    tensors, rank = stacked(links)
    config = {**links[-1].config, "r": rank, "lora_alpha": rank, "target_modules": _targets(links)}
    _save(tensors, out / WEIGHTS)
    (out / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _, tokenizer = load_config(recipe.backbone)
    _readme(recipe, chain, level, "adapter", tokenizer, out)


def stacked(links: Sequence[LinkWeights]) -> tuple[dict[str, torch.Tensor], int]:
    """Return the tensors of one link that equals several in a row, and its rank, the sum of theirs.

    The sum of scaled B_i A_i is one product: the A's stacked, the scaled B's concatenated. A layer that only
    some links change gets zeros for the others.
    """
    names = sorted({name for link in links for name in link.pairs})
    ranks = [next(iter(link.pairs.values()))[0].shape[0] for link in links]
    tensors = {}
    for name in names:
        shape = next(link.pairs[name] for link in links if name in link.pairs)
        parts = []
        for link, rank in zip(links, ranks, strict=True):
            zeros = torch.zeros(rank, shape[0].shape[1]), torch.zeros(shape[1].shape[0], rank)
            a, b = link.pairs.get(name, zeros)
            parts.append((a, b * link.scaling))
        tensors[f"{PREFIX}{name}.lora_A.weight"] = torch.cat([a for a, _ in parts], dim=0)
        tensors[f"{PREFIX}{name}.lora_B.weight"] = torch.cat([b for _, b in parts], dim=1)
    return tensors, sum(ranks)


def _targets(links: Sequence[LinkWeights]) -> list[str]:
    return sorted({name.rpartition(".")[2] for link in links for name in link.pairs})


def _gguf(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    from gsa.export.gguf import check_architecture, write_gguf

    loaded = load_chain(chain, _in_float32(recipe).backbone, level, "cpu")
    check_architecture(loaded.model.config, recipe.backbone.name)
    write_gguf(loaded, recipe.name, out / f"{recipe.name}-f16.gguf")
    write_gguf(loaded, recipe.name, out / f"{recipe.name}-q8_0.gguf", quantized=True)
    _readme(recipe, chain, level, "gguf", loaded.tokenizer, out)


def _classifier(recipe: Recipe, chain: Chain, level: int | None, task: Task, out: Path) -> None:
    loaded = load_chain(chain, _in_float32(recipe).backbone, level, "cpu")
    calibration = Calibration.read(chain.root, chain.identity(level))
    write_classifier(loaded, recipe.layout, task, calibration.temperature(task), out)
    _readme(recipe, chain, level, "classifier", loaded.tokenizer, out, task)


def _source(recipe: Recipe, chain: Chain) -> ModelSource:
    return ModelSource(recipe.name, recipe.backbone, recipe, chain)


def _classifier_task(tasks: Mapping[str, Task], name: str, context: bool) -> Task:
    """Return the task of a classifier; raises InputError for one that reads more than a text."""
    if name not in tasks:
        given = f"found '{name}'{suggest(name, tasks)}" if name else "found none"
        raise InputError(f"--task: expected one of {', '.join(tasks)} for a classifier, {given}")
    task = tasks[name]
    if task.multilabel:
        raise InputError(f"task '{name}' has several labels at once: {OTHERS}")
    if task.context and context:
        raise InputError(
            f"task '{name}' reads conversations, a classifier reads one text: expected --no-context for lone "
            f"utterances; {OTHERS}"
        )
    return task


def _chain(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    links = []
    for link in chain.links[:level]:
        source = check_adapter(chain.link_folder(link))
        folder = RunFolder(out).links_folder / link.folder
        folder.mkdir(parents=True)
        tensors = {name: tensor.half() for name, tensor in load_file(source / WEIGHTS).items()}
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise InputError(
                f"link '{link.name}': a weight is beyond what 16 bits hold: expected below 65504"
            )
        _save(tensors, folder / WEIGHTS)
        shutil.copyfile(source / CONFIG, folder / CONFIG)
        links.append(Link(link.name, link.folder, checksums(folder, (WEIGHTS, CONFIG))))
    exported = Chain(out, chain.base, tuple(links), chain.recipe)
    exported.write()
    if calibration := Calibration.read(chain.root, chain.identity(level)):
        replace(calibration, identity=exported.identity()).write(out)
    # As it is: its checksum is in the chain, and this version may write the same recipe with further keys.
    shutil.copyfile(RunFolder(chain.root).recipe_file, RunFolder(out).recipe_file)
    _, tokenizer = load_config(recipe.backbone)
    _readme(recipe, chain, level, "chain", tokenizer, out)


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Write tensors to a file that others may read, too, unlike those of safetensors' own writer."""
    file.write_bytes(save(tensors, metadata={"format": "pt"}))


def _readme(
    recipe: Recipe,
    chain: Chain,
    level: int | None,
    kind: str,
    tokenizer: Any,
    out: Path,
    task: Task | None = None,
) -> None:
    weights = {
        file.relative_to(out).as_posix(): sha256(file)
        for file in sorted(out.rglob("*"))
        if file.suffix in (".gguf", ".safetensors")
    }
    about = ""
    if _is_shipped(chain, level):
        about = ABOUT
        shutil.copyfile(RunFolder.shipped().root / "README.md", out / about)
    source = _source(recipe, chain)
    below = base_name(recipe.backbone)
    exported = Exported(
        recipe=recipe,
        kind=kind,
        links=tuple(link.name for link in chain.links[:level]),
        base=chain.base,
        hub="" if Path(below).expanduser().exists() else HUB.get(below, below),
        unpacked=below == smollm2.NAME or below != recipe.backbone.name,
        weights=weights,
        about=about,
        task=task,
        tasks=source.tasks(level),
        tuned=source.tuned_names(level),
    )
    (out / "README.md").write_text(card(exported, tokenizer), encoding="utf-8")
    if task:  # a classifier's own head has the labels
        return
    table = label_table(tokenizer, recipe.layout, exported.tasks, CONVERSATION)
    (out / LABELS).write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _is_shipped(chain: Chain, level: int | None) -> bool:
    """Return whether links are those of the shipped model, wherever they are stored."""
    weights = [link.sha256 for link in chain.links[:level]]
    shipped = RunFolder.shipped()
    if not weights or not shipped.is_run():
        return False
    return weights == [link.sha256 for link in Chain.read(shipped.root).links[: len(weights)]]


KINDS = {"merged": _merged, "adapter": _adapter, "gguf": _gguf, "chain": _chain}
FORMATS = (*KINDS, "classifier")
