"""A run for others: a chain in, a folder out that loads without this package, or with it on the same base.

merged    a model folder for plain transformers, its recipe beside it
adapter   one PEFT adapter whose rank is the sum of the links' ranks, for PEFT and vLLM
gguf      one file of 16 bits for llama.cpp and what builds on it
chain     the links alone in 16 bits, a few megabytes, for this package

Each has a README.md with the prompts and, where Python reads it, a script that scores labels.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from gsa.atomic_io import atomic_path, sha256, with_checksum_line, write_atomic
from gsa.chain import base
from gsa.chain.chain import Chain
from gsa.chain.link import CONFIG, PREFIX, WEIGHTS, LinkWeights
from gsa.chain.manifest import MANIFEST, Link, Manifest
from gsa.chain.run_folder import read_run, run_to_read
from gsa.errors import InputError, suggest
from gsa.export.model_card import Exported, card
from gsa.model import smollm2
from gsa.model.hf_logging import quiet_libraries
from gsa.model.validation import adapter
from gsa.recipes.loader import STORED_RECIPE
from gsa.recipes.schema import Recipe

ABOUT = "GSA-135M.md"
"""The shipped model's card in an export of it: scores, licences of its data, limits, biases."""
HUB = {smollm2.NAME: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Where a backbone that comes from elsewhere is on the hub, in other precision."""


def export(root: Path, kind: str, out: Path, level: int | None = None) -> Path:
    """Write a run's chain, or its first `level` links, to the new folder `out` and return it.

    `root` may be the shipped model's name. Raises InputError for an unknown kind, a folder that is not empty,
    a level that the run does not have, and for GGUF an architecture or tokenizer that it cannot hold exactly.
    """
    if kind not in KINDS:
        near = suggest(kind, KINDS)
        raise InputError(f"--format '{kind}': expected one of {', '.join(KINDS)}{near}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"'{out}' is there already: expected a new or empty folder for --out")
    recipe, chain = read_run(run_to_read(root))
    chain.check_level(level)
    with atomic_path(out) as draft:
        draft.mkdir()
        KINDS[kind](recipe, chain, level, draft)
    return out


def _merged(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    loaded = chain.load(recipe.backbone, level, "cpu")
    with quiet_libraries():
        loaded.model.save_pretrained(out)
        loaded.tokenizer.save_pretrained(out)
    (out / STORED_RECIPE).write_text(recipe.toml(), encoding="utf-8")
    _readme(recipe, chain, level, "merged", loaded.tokenizer, out)


def _adapter(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    links = chain.link_weights(level)
    if not links:
        raise InputError(f"'{chain.root}': expected a level of 1 or more for an adapter, found no link")
    tensors, rank = stacked(links)
    config = {**links[-1].config, "r": rank, "lora_alpha": rank, "target_modules": _targets(links)}
    _save(tensors, out / WEIGHTS)
    (out / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _, tokenizer = base.load_config(recipe.backbone)
    _readme(recipe, chain, level, "adapter", tokenizer, out)


def stacked(links: Sequence[LinkWeights]) -> tuple[dict[str, torch.Tensor], int]:
    """Return one link that does what several do in a row, and its rank, the sum of theirs.

    The sum of scaled B_i A_i is one product: the A's below one another, the scaled B's side by side. A
    layer that only some links change gets zeros for the others.
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

    loaded = chain.load(recipe.backbone, level, "cpu")
    check_architecture(loaded.model.config, recipe.backbone.name)
    write_gguf(loaded, recipe.name, out / f"{recipe.name}-f16.gguf")
    _readme(recipe, chain, level, "gguf", loaded.tokenizer, out)


def _chain(recipe: Recipe, chain: Chain, level: int | None, out: Path) -> None:
    links = []
    for link in chain.links[:level]:
        source, folder = adapter(chain.checked(link)), out / "links" / link.folder
        folder.mkdir(parents=True)
        tensors = {name: tensor.half() for name, tensor in load_file(source / WEIGHTS).items()}
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise InputError(
                f"link '{link.name}': a weight is beyond what 16 bits hold: expected below 65504"
            )
        _save(tensors, folder / WEIGHTS)
        shutil.copyfile(source / CONFIG, folder / CONFIG)
        links.append(Link(link.name, link.folder, sha256(folder / WEIGHTS), sha256(folder / CONFIG)))
    Chain(out, chain.base, tuple(links), chain.recipe).write()
    write_atomic(out / STORED_RECIPE, with_checksum_line(recipe.toml()))
    _, tokenizer = base.load_config(recipe.backbone)
    _readme(recipe, chain, level, "chain", tokenizer, out)


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Write tensors as any other file: safetensors' own writer lets nobody but the user read it."""
    file.write_bytes(save(tensors, metadata={"format": "pt"}))


def _readme(recipe: Recipe, chain: Chain, level: int | None, kind: str, tokenizer: Any, out: Path) -> None:
    weights = {
        file.relative_to(out).as_posix(): sha256(file)
        for file in sorted(out.rglob("*"))
        if file.suffix in (".gguf", ".safetensors")
    }
    about = ""
    if _is_shipped(chain, level):
        about = ABOUT
        shutil.copyfile(base.SHIPPED / "README.md", out / about)
    below = base.base_name(recipe.backbone)
    exported = Exported(
        recipe=recipe,
        kind=kind,
        links=tuple(link.name for link in chain.links[:level]),
        base=chain.base,
        hub="" if Path(below).expanduser().exists() else HUB.get(below, below),
        unpacked=below == smollm2.NAME or below != recipe.backbone.name,
        weights=weights,
        about=about,
    )
    (out / "README.md").write_text(card(exported, tokenizer), encoding="utf-8")


def _is_shipped(chain: Chain, level: int | None) -> bool:
    """Tell whether links are those of the shipped model, wherever they lie."""
    mine = [link.sha256 for link in chain.links[:level]]
    if not mine or not (base.SHIPPED / MANIFEST).is_file():
        return False
    return mine == [link.sha256 for link in Manifest.read(base.SHIPPED).links][: len(mine)]


KINDS = {"merged": _merged, "adapter": _adapter, "gguf": _gguf, "chain": _chain}
