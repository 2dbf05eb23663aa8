"""A chain with one more link: the mean of the links of runs that were tuned on it.

    python research/average_links CHAIN RUN [RUN ...] --out DIR

In: a chain, and runs of one level each whose backbone it was, of one seed and one shape: their links began
with the same A's and B's, and differ by the examples that they saw. Out: a run with the chain's links and the
mean of theirs, A's and B's one by one ("model soup", Wortsman et al. 2022); its last level is that of the
last run. Links from different initial values cannot be averaged so, and are refused.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from gsa.chain.chain import Chain, Link
from gsa.chain.link import CONFIG, WEIGHTS
from gsa.chain.run_folder import RunFolder
from gsa.checksums import checksums, sha256
from gsa.errors import InputError
from gsa.progress import configure_logging

MIN_COSINE = 0.9
"""Least cosine of two links' A's: in tuning they move little, and those of two seeds are orthogonal."""

Tensors = dict[str, Tensor]


def main(
    chain: Annotated[Path, typer.Argument(metavar="CHAIN", help="A run, or an exported chain.")],
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs of one level tuned on it.")],
    out: Annotated[Path, typer.Option(help="Folder of the new run.")],
) -> None:
    """Write the chain with the mean of the runs' links."""
    configure_logging()
    try:
        average(chain, runs, out)
    except InputError as error:
        raise SystemExit(f"average_links: {error}") from None


def average(root: Path, runs: list[Path], out: Path) -> Chain:
    """Return the chain of `root` in `out`, with the mean of the runs' links.

    Raises InputError for an `out` that exists, and for links that were not tuned on the chain, or that have
    other shapes or initial values.
    """
    if out.exists():
        raise InputError(f"'{out}' exists: expected a new folder")
    recipe, chain = RunFolder(root).read()
    last = RunFolder(runs[-1]).read()[0]
    folders = [_link_folder(run, chain) for run in runs]
    mean = mean_tensors([load_file(folder / WEIGHTS) for folder in folders])
    level = last.levels[-1]
    longer = RunFolder(out)
    link_folder = longer.links_folder / f"{len(chain.links) + 1}-{level.name}"
    link_folder.mkdir(parents=True)
    for link in chain.links:
        shutil.copytree(chain.link_folder(link), longer.links_folder / link.folder)
    save_file(mean, link_folder / WEIGHTS, metadata={"format": "pt"})
    shutil.copy(folders[-1] / CONFIG, link_folder / CONFIG)
    text = recipe.model_copy(update={"levels": (*recipe.levels[: len(chain.links)], level)}).toml()
    longer.recipe_file.write_text(text, encoding="utf-8")
    link = Link(level.name, link_folder.name, checksums(link_folder, (WEIGHTS, CONFIG)))
    return replace(chain, root=out, recipe=sha256(longer.recipe_file)).append(link)


def _link_folder(run: Path, chain: Chain) -> Path:
    """Return the folder of a run's only link, which was tuned on a chain."""
    tuned = Chain.read(run)
    if len(tuned.links) != 1 or tuned.base != chain.identity():
        raise InputError(f"'{run}': expected a run of one level with '{chain.root}' as its backbone")
    return tuned.link_folder(tuned.links[0])


def mean_tensors(links: list[Tensors]) -> Tensors:
    """Return the mean of links' tensors, by name; raises InputError for links that cannot be averaged."""
    first, *others = links
    for other in others:
        if {name: t.shape for name, t in other.items()} != {name: t.shape for name, t in first.items()}:
            raise InputError("expected links on the same layers with the same rank")
        cosine = float(torch.cosine_similarity(_flat(first, "lora_A"), _flat(other, "lora_A"), dim=0))
        if cosine < MIN_COSINE:
            raise InputError(
                f"the links' A's have a cosine of {cosine:.2f}: expected at least {MIN_COSINE}, as links of "
                "one seed have, which began with the same values"
            )
    return {name: torch.stack([link[name] for link in links]).mean(0) for name in first}


def _flat(link: Tensors, side: str) -> Tensor:
    return torch.cat([link[name].flatten().float() for name in sorted(link) if side in name])


if __name__ == "__main__":
    typer.run(main)
