"""The mean of links that were tuned on one chain is one more link of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gsa.chain.chain import Chain
from gsa.chain.link import WEIGHTS
from gsa.chain.run_folder import RunFolder
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune

SCRIPT = Path(__file__).parents[2] / "research" / "average_links"


@pytest.fixture(scope="module")
def runs(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three runs on the tiny run: of other data, and of another seed."""
    folder = tmp_path_factory.mktemp("soup")
    level = '[[levels]]\nname = "MORE"\ndatasets = [{ name = "sampler-sentiment", limit = LIMIT }]\n'
    head = f'name = "more"\n[backbone]\nname = "{tuned.as_posix()}"\n[lora]\nrank = 2\n'
    (folder / "more.toml").write_text(head + level + "learning_rate = 1e-3\n")
    settings = {"one": (8, 0), "two": (12, 0), "seed": (8, 1)}
    for name, (limit, seed) in settings.items():
        text = (folder / "more.toml").read_text().replace("LIMIT", str(limit))
        (folder / f"{name}.toml").write_text(f"seed = {seed}\n{text}")
        tune(load_recipe(folder / f"{name}.toml"), folder / name)
    return {name: folder / name for name in settings}


def average(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_mean_is_one_more_link(tuned: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    done = average(tuned, runs["one"], runs["two"], "--out", tmp_path / "soup")
    assert done.returncode == 0, done.stderr
    recipe, chain = RunFolder(tmp_path / "soup").read()
    assert [link.name for link in chain.links] == [*(link.name for link in Chain.read(tuned).links), "MORE"]
    assert recipe.levels[-1].datasets[0].limit == 12
    assert chain.identity(len(chain.links) - 1) == Chain.read(tuned).identity()
    one, two, mean = (
        load_file(c.link_folder(c.links[-1]) / WEIGHTS)
        for c in (Chain.read(runs["one"]), Chain.read(runs["two"]), chain)
    )
    assert any(not torch.equal(one[name], two[name]) for name in mean)
    for name, tensor in mean.items():
        assert torch.allclose(tensor, (one[name] + two[name]) / 2, atol=1e-7)


def test_links_that_cannot_be_averaged_are_refused(
    tuned: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for arguments, says in (
        ((tuned, runs["one"], runs["seed"]), "expected at least 0.9, as links of one seed"),
        ((runs["one"], runs["two"]), "expected a run of one level with"),
        ((tuned, tuned), "expected a run of one level with"),
    ):
        done = average(*arguments, "--out", out)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert says in done.stderr
        assert not out.exists()
    out.mkdir()
    assert "exists: expected a new folder" in average(tuned, runs["one"], "--out", out).stderr
