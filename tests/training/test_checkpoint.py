"""Checkpoints: the newest undamaged one counts; damaged ones, symbolic links and other names do not."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gsa.checksums import SUMS
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training.checkpoint import FILES, OPTIMIZER, STATE, Checkpoints, load_random, step_of
from gsa.training.run import tune
from gsa.training.step_log import StepLog
from gsa.training.trainer import ChainTrainer


@pytest.fixture(scope="module")
def scratch(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a run that was stopped before the fourth step of its first level."""
    recipe: Recipe = load_recipe(recipe_file, ["training.checkpoint_steps=1"])
    root = tmp_path_factory.mktemp("stopped") / "run"
    plain = ChainTrainer.compute_loss

    def stopping(self: ChainTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainTrainer, "compute_loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(recipe, root)
    return root / "checkpoints" / "1-SA"


@pytest.fixture
def copy(scratch: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scratch, tmp_path / "1-SA"))


def checkpoints(folder: Path, fingerprint: str = "") -> Checkpoints:
    """The checkpoints of a folder, by default with the fingerprint that they have."""
    state = folder / "checkpoint-2" / STATE
    return Checkpoints(folder, fingerprint or json.loads(state.read_text())["fingerprint"])


def test_two_are_kept_of_safetensors_json_and_text(scratch: Path) -> None:
    assert sorted(path.name for path in scratch.iterdir()) == ["checkpoint-2", "checkpoint-3"]
    for folder in scratch.iterdir():
        assert {path.name for path in folder.iterdir()} == {*FILES, SUMS}
    log = (scratch / "checkpoint-3" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3]


@pytest.mark.parametrize("name", sorted({*FILES, SUMS}))
def test_the_one_before_counts_when_the_newest_is_damaged_and_that_is_reported(
    copy: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = copy / "checkpoint-3" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    assert step_of(checkpoints(copy).newest()) == 2
    assert "the checkpoint of step 3 is damaged and not used" in caplog.text
    assert not (copy / "checkpoint-3").exists()


def test_a_checkpoint_of_something_else_is_refused(copy: Path) -> None:
    with pytest.raises(InputError, match="belongs to other data, another base or other links"):
        checkpoints(copy, "something else").newest()
    assert (copy / "checkpoint-3").is_dir()


def test_links_and_other_names_do_not_count(
    copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.move(copy / "checkpoint-3", tmp_path / "elsewhere")
    (copy / "checkpoint-3").symlink_to(tmp_path / "elsewhere")
    for odd in ("checkpoint-x", "checkpoint-", "checkpoint-9999999999999999"):
        (copy / odd).mkdir()
    assert step_of(checkpoints(copy).newest()) == 2
    assert "it is a symbolic link" in caplog.text
    assert (tmp_path / "elsewhere" / SUMS).is_file(), "what a link leads to is left alone"


def test_random_numbers_go_on_where_they_were(scratch: Path) -> None:
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        drawn = []
        for _ in range(2):
            load_random(scratch / "checkpoint-3")
            drawn.append((random.random(), np.random.rand(), float(torch.rand(1))))
        assert drawn[0] == drawn[1]
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def test_a_checkpoint_moves_between_machines_with_and_without_gpus(
    scratch: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generators of GPUs that the checkpoint does not know are left as they are; unknown ones are ignored."""
    restored: dict[int, list[int]] = {}
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, i: restored.update({i: state.tolist()}))
    tensors = load_file(copy / "checkpoint-3" / OPTIMIZER)
    save_file(
        {**tensors, "random/cuda/0": torch.tensor([7], dtype=torch.uint8)}, copy / "checkpoint-3" / OPTIMIZER
    )
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        load_random(copy / "checkpoint-3")  # written with a GPU, resumed without
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        load_random(scratch / "checkpoint-3")  # written without, resumed with two
        assert restored == {}
        load_random(copy / "checkpoint-3")  # written with one, resumed with two
        assert restored == {0: [7]}
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def test_none_is_step_zero(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "nowhere", "x").newest() is None
    assert step_of(None) == 0


def test_a_log_is_rewound_to_what_is_sure(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    before, mine = '{"level": 1, "step": 1}\n', '{"level": 2, "step": 1}\n'
    lost = ['{"level": 2, "step": 2}', '{"level": 2, "step": 3}', '{"level": 2', "[]", '{"level": 2}', "\xff"]
    path.write_text(before + mine + "\n".join(lost), encoding="latin-1")
    log = StepLog(path, before, 2, "ERC")
    assert log.rewind(mine) == 2
    log.add({"step": 2, "loss": 0.5})
    assert path.read_text().startswith(before + mine)
    assert json.loads(path.read_text().splitlines()[-1]) == {
        "level": 2,
        "name": "ERC",
        "step": 2,
        "loss": 0.5,
    }
    assert log.text.count("\n") == 2
