"""Rows built ahead: the same links with workers as without, also after a death, which frees the folder."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from breaking import command
from killing import Child

from gsa.chain.base import load_config
from gsa.chain.chain import Chain
from gsa.model.forward import RowFormat
from gsa.recipes.loader import load_recipe
from gsa.training.batches import StepBatches, step_loader
from gsa.training.distributed import Ranks
from gsa.training.run import tune
from gsa.training.trainer import ChainTrainer
from gsa.training.training_data import build_training_data
from gsa.trie import attention

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def at_step(number: int, happens: Callable[[], object]) -> None:
    """Let something happen before the n-th step, in a child."""
    calls, plain = 0, ChainTrainer.training_step

    def step(self: ChainTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == number:
            happens()
        return plain(self, *args, **kwargs)  # type: ignore[arg-type]

    ChainTrainer.training_step = step  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def recipes(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The first level with dropout, by number of workers: four steps, a checkpoint after the second."""
    paths = {}
    for workers in (0, 2):
        changes = ["training.max_row_tokens=500", "lora.dropout=0.2", f"training.loader_workers={workers}"]
        recipe = load_recipe(recipe_file, changes)
        paths[workers] = tmp_path_factory.mktemp("recipes") / f"{workers}.toml"
        paths[workers].write_text(recipe.model_copy(update={"levels": recipe.levels[:1]}).toml())
    return paths


@pytest.fixture(scope="module")
def alone(recipes: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without workers."""
    root = tmp_path_factory.mktemp("alone") / "run"
    tune(load_recipe(recipes[0]), root)
    return root


def links(root: Path) -> list[str]:
    return [link.sha256 for link in Chain.read(root).links]


def test_workers_change_no_byte(recipes: dict[int, Path], alone: Path, tmp_path: Path) -> None:
    tune(load_recipe(recipes[2]), tmp_path / "run")
    assert links(tmp_path / "run") == links(alone)
    assert (tmp_path / "run" / "log.jsonl").read_text() == (alone / "log.jsonl").read_text()


def test_a_killed_run_frees_its_folder_at_once_and_resumes_to_the_same_bytes(
    recipes: dict[int, Path], alone: Path, tmp_path: Path
) -> None:
    def dying() -> None:
        at_step(4, lambda: os.kill(os.getpid(), signal.SIGKILL))
        command("tune", recipes[2], "--out", tmp_path / "run")()

    child = Child(dying)
    os.waitpid(child.pid, 0)  # its workers may still be there
    code, said = Child(command("tune", recipes[2], "--out", tmp_path / "run")).end()
    assert code == 0, said
    assert "resuming from step 2 of 4" in said
    assert links(tmp_path / "run") == links(alone)


def test_a_killed_worker_is_one_sentence(recipes: dict[int, Path], tmp_path: Path) -> None:
    def work() -> None:
        def kill() -> None:
            for process in multiprocessing.active_children():
                process.kill()
                process.join()

        at_step(1, kill)
        command("tune", recipes[2], "--out", tmp_path / "run")()

    code, said = Child(work).end()
    assert code == 2, said
    assert said.count("gsa: ") == said.count("a process that builds rows was killed") == 1


def test_signals_are_for_the_process_that_tunes(
    recipes: dict[int, Path], alone: Path, tmp_path: Path
) -> None:
    """Ctrl-C in a terminal reaches all processes of a group."""

    def work() -> None:
        os.setpgrp()
        at_step(3, lambda: os.killpg(0, signal.SIGINT))
        command("tune", recipes[2], "--out", tmp_path / "run")()

    code, said = Child(work).end()
    assert code == 130, said
    assert said.count("stopping after this step") == 1
    assert "stopped by SIGINT: level 1 SA has a checkpoint of step 3 of 4" in said
    assert Child(command("tune", recipes[2], "--out", tmp_path / "run")).end()[0] == 0
    assert links(tmp_path / "run") == links(alone)


def test_each_rank_gets_its_rows_in_the_order_of_the_steps(recipes: dict[int, Path]) -> None:
    recipe = load_recipe(recipes[0])
    _, tokenizer = load_config(recipe.backbone)
    steps = build_training_data(recipe, recipe.levels[0], tokenizer).steps
    row_format = RowFormat(attention.NAME, torch.float32)
    loaders = [
        step_loader(StepBatches(steps, Ranks(rank, 2), row_format), workers=1, pin_memory=False)
        for rank in (0, 1)
    ]
    for rows, *parts in zip(steps, *loaders, strict=True):
        read = sorted(batch.inputs["input_ids"][0].tolist() for part in parts for batch in part)
        assert read == sorted(row.trie.tokens.tolist() for row in rows)
        assert len(parts[0]) == (len(rows) + 1) // 2
