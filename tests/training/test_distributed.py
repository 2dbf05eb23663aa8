"""Several ranks: the links of one process, one sentence for all, and what a death of one or all leaves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from breaking import command
from ranks import Launch, timed
from safetensors.torch import load_file

from gsa.chain.base import load_config
from gsa.chain.chain import Chain
from gsa.locking import folder_lock
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training import level
from gsa.training.distributed import Ranks, share
from gsa.training.run import tune
from gsa.training.trainer import ChainTrainer
from gsa.training.training_data import build_training_data

SENTENCE = "another process of this tuning was killed or lost"


def links(root: Path) -> list[tuple[str, str]]:
    return [(link.name, link.sha256) for link in Chain.read(root).links]


def distance(root: Path, other: Path, name: str) -> float:
    """How far what a link learned, its B's, which start at zero, is from another's, relative."""
    a, b = (
        torch.cat([tensors[key].flatten() for key in sorted(tensors) if "lora_B" in key])
        for tensors in (load_file(r / "links" / name / "adapter_model.safetensors") for r in (root, other))
    )
    return float((a - b).norm() / b.norm())


def rank() -> int:
    return int(os.environ["RANK"])


def at_step(number: int, happens: Callable[[], object]) -> None:
    """Let something happen before the n-th step that this process computes."""
    calls, plain = 0, ChainTrainer.training_step

    def step(self: ChainTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == number:
            happens()
        return plain(self, *args, **kwargs)  # type: ignore[arg-type]

    ChainTrainer.training_step = step  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def recipe(recipe_file: Path) -> Recipe:
    """The tiny recipe in shorter rows: two a step in level 1, one in its last step; more in other levels."""
    return load_recipe(recipe_file, ["training.max_row_tokens=500"])


@pytest.fixture(scope="module")
def short_file(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first level alone: four steps, a checkpoint after the second."""
    path = tmp_path_factory.mktemp("short") / "short.toml"
    path.write_text(recipe.model_copy(update={"levels": recipe.levels[:1]}).toml())
    return path


@pytest.fixture(scope="module")
def alone(short_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alone") / "run"
    tune(load_recipe(short_file), root)
    return root


def test_two_ranks_give_the_links_of_one(recipe: Recipe, tmp_path: Path) -> None:
    """The same bytes at two rows a step; at more rows, which are added in another order, 1e-6."""
    _, tokenizer = load_config(recipe.backbone)
    rows = [
        [len(step) for step in build_training_data(recipe, part, tokenizer).steps] for part in recipe.levels
    ]
    assert rows == [[2, 2, 2, 1], [4, 3, 3], [8, 8]]
    tune(recipe, tmp_path / "one")
    codes, said = Launch(lambda: tune(recipe, tmp_path / "two")).end()
    assert codes == [0, 0], said
    assert links(tmp_path / "two")[0] == links(tmp_path / "one")[0]
    assert 0 < distance(tmp_path / "two", tmp_path / "one", "2-ERC") < 1e-6
    assert 0 < distance(tmp_path / "two", tmp_path / "one", "3-SD") < 1e-6
    one, two = ((tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert one[:4] == two[:4]
    assert len(one) == len(two)
    Chain.read(tmp_path / "two").log()  # verifies all links


def test_without_the_sum_of_gradients_the_links_are_others(
    alone: Path, short_file: Path, tmp_path: Path
) -> None:
    def work() -> None:
        Ranks.sum_gradients = lambda *_: None  # type: ignore[method-assign]
        tune(load_recipe(short_file), tmp_path / "run")

    codes, said = Launch(work).end()
    assert codes == [0, 0], said
    assert distance(tmp_path / "run", alone, "1-SA") > 0.1


@pytest.mark.parametrize("killed", [(0,), (1,), (0, 1)])
def test_a_killed_rank_ends_all_and_any_number_of_ranks_resumes(
    alone: Path, short_file: Path, tmp_path: Path, killed: tuple[int, ...]
) -> None:
    def work() -> None:
        if rank() in killed:
            at_step(4, lambda: os.kill(os.getpid(), signal.SIGKILL))
        command("tune", short_file, "--out", tmp_path / "run")()

    codes, said = Launch(work).end()
    assert codes == [-signal.SIGKILL if i in killed else 2 for i in (0, 1)], said
    assert said.count("gsa: ") == said.count(SENTENCE) == 2 - len(killed)
    for ranks in (1, 2):
        root = shutil.copytree(tmp_path / "run", tmp_path / f"on-{ranks}")
        codes, said = Launch(command("tune", short_file, "--out", root), ranks).end()
        assert codes == [0] * ranks, said
        assert "resuming from step 2 of 4; 1 later steps are repeated" in said
        assert links(root) == links(alone)
        assert (root / "log.jsonl").read_text() == (alone / "log.jsonl").read_text()


@pytest.mark.slow
def test_torchrun_interrupted_and_started_again_gives_the_links_of_one(
    alone: Path, short_file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    start = partial(
        subprocess.Popen, [*torchrun, "-m", "gsa", "tune", str(short_file), "--out", str(root)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    interrupted = start()
    deadline = time.monotonic() + 120
    while not (root / "log.jsonl").exists() and interrupted.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=120)
    assert "stopped by SIGINT" in said or interrupted.returncode == 0, said
    again = start()
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert links(root) == links(alone)


@pytest.mark.parametrize("signalled", [(0, 1), (1,)])
def test_sigint_and_the_sigterm_that_follows_are_one_request(
    alone: Path, short_file: Path, tmp_path: Path, signalled: tuple[int, ...]
) -> None:
    """All ranks stop after the same step, also where one alone was asked to."""

    def interrupt() -> None:
        for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), signum)

    def work() -> None:
        if rank() in signalled:
            at_step(3, interrupt)
        command("tune", short_file, "--out", tmp_path / "run")()

    codes, said = Launch(work).end()
    assert codes == [130, 130], said
    assert said.count("stopped by") == 1
    assert "stopped by SIGINT: level 1 SA has a checkpoint of step 3 of 4" in said
    codes, said = Launch(command("tune", short_file, "--out", tmp_path / "run")).end()
    assert codes == [0, 0], said
    assert links(tmp_path / "run") == links(alone)


def test_dropout_resumes_to_the_same_bytes(short_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(short_file, ["lora.dropout=0.2"])

    def dying() -> None:
        at_step(4, lambda: os.kill(os.getpid(), signal.SIGKILL))
        tune(recipe, tmp_path / "run")

    Launch(dying).end()
    for name in ("run", "whole"):
        codes, said = Launch(lambda name=name: tune(recipe, tmp_path / name)).end()  # type: ignore[misc]
        assert codes == [0, 0], said
    assert links(tmp_path / "run") == links(tmp_path / "whole")


def test_a_busy_folder_is_refused_by_all_ranks_in_one_sentence(short_file: Path, tmp_path: Path) -> None:
    with folder_lock(tmp_path / "run", "tune"):
        seconds, codes, said = timed(Launch(command("tune", short_file, "--out", tmp_path / "run")))
    assert codes == [2, 2]
    assert said.count("gsa: ") == said.count("another process is working in this folder") == 1
    assert seconds < 5


@pytest.mark.parametrize("change", ["lora.rank=x", "levels.0.datasets.0.name=nothing"])
def test_what_all_ranks_refuse_is_one_sentence(short_file: Path, tmp_path: Path, change: str) -> None:
    codes, said = Launch(command("tune", short_file, "--set", change, "--out", tmp_path / "run")).end()
    assert codes == [2, 2]
    assert said.count("gsa: ") == 1
    assert not (tmp_path / "run").exists()


def test_other_data_on_another_machine_is_refused(short_file: Path, tmp_path: Path) -> None:
    def work() -> None:
        level._fingerprint = lambda *_: f"files of {rank()}"
        command("tune", short_file, "--out", tmp_path / "run")()

    codes, said = Launch(work).end()
    assert codes == [2, 2]
    assert said.count("gsa: ") == 1
    assert "process 1 of 2 has other data or another base than process 0" in said


def test_nan_in_one_ranks_row_ends_all_with_the_examples(short_file: Path, tmp_path: Path) -> None:
    def work() -> None:
        if rank() == 1:
            plain = ChainTrainer.training_step
            ChainTrainer.training_step = lambda self, *args: plain(_spoil(self), *args)  # type: ignore[method-assign]
        command("tune", short_file, "--out", tmp_path / "run")()

    codes, said = Launch(work).end()
    assert codes == [2, 2]
    assert said.count("gsa: ") == said.count("level 1 SA step 1: the loss is nan on sampler-sentiment") == 1


def _spoil(trainer: ChainTrainer) -> ChainTrainer:
    loss = trainer.loss
    trainer.loss = lambda *args: loss(*args) * float("nan")  # type: ignore[arg-type, assignment]
    return trainer


def test_rows_are_shared_by_their_tokens() -> None:
    assert share([5, 9, 1, 4], 2) == [[1, 2], [0, 3]]
    assert share([7, 7, 7], 2) == [[0, 2], [1]]
    assert share([3], 3) == [[0], [], []]
    assert share([1, 2, 3], 1) == [[0, 1, 2]]
