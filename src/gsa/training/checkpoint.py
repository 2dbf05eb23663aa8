"""Checkpoints: all that a level's tuning needs to go on, whole or not there; safetensors and JSON only.

    checkpoint-N/weights.safetensors     the link's A and B
    checkpoint-N/optimizer.safetensors   Adam's moments; for the random numbers, torch's state
    checkpoint-N/state.json              the optimizer's groups, the schedule, Python's and numpy's states
    checkpoint-N/trainer_state.json      the Trainer's own note of step and epoch
    checkpoint-N/log.jsonl               the level's lines of the log so far
    checkpoint-N/gsa.json                what it fingerprint to and a checksum of each file, written last

In: a Trainer after a step. Out: the folder; and from the newest whole one, the same Trainer again.
"""

import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from gsa.atomic_io import atomic_path, from_checked_json, remove_tree, sha256, to_checked_json
from gsa.chain.chain import link_weights
from gsa.chain.manifest import LOG
from gsa.errors import InputError

NOTE, WEIGHTS, OPTIMIZER, STATE = "gsa.json", "weights.safetensors", "optimizer.safetensors", "state.json"
TRAINER = "trainer_state.json"
FILES = {WEIGHTS, OPTIMIZER, STATE, TRAINER, LOG}
KEPT = 2
"""Checkpoints of a level that are kept: the newest, and the one before in case that is damaged."""


def save_checkpoint(scratch: Path, trainer: Any, fingerprint: str, log: str) -> None:
    """Store a checkpoint of the step that `trainer` reached, and remove those that are too old.

    Raises InputError, storing nothing, if a weight is no longer a finite number.
    """
    weights = {name: w.detach().cpu().contiguous() for name, w in link_weights(trainer.model).items()}
    check_finite(weights, f"{trainer.progress.level} step {trainer.state.global_step}")
    tensors, state = _state_of(trainer)
    with atomic_path(_folder(scratch, trainer.state.global_step)) as draft:
        draft.mkdir()
        (draft / WEIGHTS).write_bytes(save(weights))
        (draft / OPTIMIZER).write_bytes(save(tensors))
        (draft / STATE).write_text(json.dumps(state), encoding="utf-8")
        (draft / LOG).write_text(log, encoding="utf-8")
        trainer.state.save_to_json(str(draft / TRAINER))
        sums = {name: sha256(draft / name) for name in sorted(FILES)}
        (draft / NOTE).write_text(to_checked_json({"of": fingerprint, "files": sums}), encoding="utf-8")
    for step in _steps(scratch)[KEPT:]:
        remove_tree(_folder(scratch, step))


def check_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError unless every weight is a finite number."""
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise InputError(f"{where}: '{name}' holds no finite numbers any more: try a lower learning rate")


def newest(scratch: Path, fingerprint: str, say: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint, None if there is none; damaged ones are told and removed.

    Raises InputError for one that fingerprint to other data, another base or other links.
    """
    for step in _steps(scratch):
        folder = _folder(scratch, step)
        try:
            _check(folder, fingerprint)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            say(f"  the checkpoint of step {step} is damaged and does not count: {error}")
            remove_tree(folder)
            continue
        return folder
    return None


def _check(folder: Path, fingerprint: str) -> None:
    if folder.is_symlink():
        raise ValueError("it is a link")
    note = from_checked_json((folder / NOTE).read_text(encoding="utf-8"))
    if set(note["files"]) != FILES:
        raise ValueError(f"{NOTE} lists other files")
    for name, known in note["files"].items():
        if (folder / name).is_symlink() or sha256(folder / name) != known:
            raise ValueError(f"the checksum of {name} differs")
    if note["of"] != fingerprint:
        raise InputError(
            f"'{folder}' belongs to other data, another base or other links: expected those that its level "
            "began with; remove the folder to begin the level anew"
        )


def reached(folder: Path | None) -> int:
    """Return the step of a checkpoint, 0 for none."""
    return int(folder.name.rpartition("-")[2]) if folder else 0


def load_weights(folder: Path, model: Any) -> None:
    """Put a checkpoint's A and B into the active link of `model`."""
    stored = load_file(folder / WEIGHTS)
    with torch.no_grad():
        for name, weight in link_weights(model).items():
            weight.copy_(stored[name])


def load_state(folder: Path, trainer: Any) -> None:
    """Put a checkpoint's optimizer and schedule into `trainer`."""
    tensors, state = load_file(folder / OPTIMIZER), _read(folder)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, number, key = name.split("/")
        if kind == "optimizer":
            moments.setdefault(int(number), {})[key] = tensor
    groups = [{**group, "betas": tuple(group["betas"])} for group in state["groups"]]
    trainer.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    trainer.lr_scheduler.load_state_dict(state["schedule"])


def load_random(folder: Path) -> None:
    """Set the states of all random numbers to a checkpoint's."""
    tensors, state = load_file(folder / OPTIMIZER), _read(folder)
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))
    torch.random.set_rng_state(tensors["random/0/cpu"])
    if torch.cuda.is_available():
        torch.cuda.random.set_rng_state_all(
            [tensors[f"random/{i}/cuda"] for i in range(torch.cuda.device_count())]
        )


def _read(folder: Path) -> Any:
    return json.loads((folder / STATE).read_text(encoding="utf-8"))


def _state_of(trainer: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what of the optimizer, schedule and random numbers is tensors, and what is JSON."""
    optimizer = trainer.optimizer.state_dict()
    tensors = {
        f"optimizer/{number}/{key}": value.detach().cpu().contiguous()
        for number, moments in optimizer["state"].items()
        for key, value in moments.items()
    }
    tensors["random/0/cpu"] = torch.random.get_rng_state()
    if torch.cuda.is_available():
        for i, found in enumerate(torch.cuda.random.get_rng_state_all()):
            tensors[f"random/{i}/cuda"] = found
    kind, keys, *rest = np.random.get_state()
    state = {
        "groups": optimizer["param_groups"],
        "schedule": trainer.lr_scheduler.state_dict(),
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }
    return tensors, state


def _folder(scratch: Path, step: int) -> Path:
    return scratch / f"checkpoint-{step}"


def _steps(scratch: Path) -> list[int]:
    """Return the steps that have a checkpoint, the newest first."""
    names = [re.fullmatch(r"checkpoint-(\d{1,12})", path.name) for path in scratch.glob("checkpoint-*")]
    return sorted((int(found[1]) for found in names if found), reverse=True)
