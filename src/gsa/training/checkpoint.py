"""Checkpoints: all that a level's tuning needs to resume, complete or not counted; safetensors and JSON only.

    checkpoint-N/weights.safetensors     the link's A and B
    checkpoint-N/optimizer.safetensors   Adam's moments, and the states of torch's random number generators
    checkpoint-N/state.json              the fingerprint, the optimizer's groups, the schedule, and the states
                                         of Python's and numpy's random number generators
    checkpoint-N/trainer_state.json      the Trainer's own record of step and epoch
    checkpoint-N/log.jsonl               the level's lines of the log so far
    checkpoint-N/SHA256SUMS              checksums of these files, written last

In: a Trainer after a step. Out: the folder; and from the newest undamaged one, the same Trainer again.
"""

import json
import logging
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from gsa.atomic_io import atomic_path, remove_tree
from gsa.chain.link import LOG
from gsa.chain.lora import adapter_tensors, to_cpu
from gsa.checksums import SUMS, checksums, format_sums, read_sums, verify
from gsa.errors import InputError

logger = logging.getLogger(__name__)

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
TRAINER = "trainer_state.json"
FILES = (WEIGHTS, OPTIMIZER, STATE, TRAINER, LOG)
KEPT = 2
"""Checkpoints that are kept: the newest, and the one before in case that is damaged."""


class Checkpoints:
    """The checkpoints of one level."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """`fingerprint` stands for the base, links and data that the level is tuned on."""
        self.folder, self.fingerprint = folder, fingerprint

    def save(self, trainer: Any, log: str) -> None:
        """Store a checkpoint of the step that `trainer` reached, and remove those that are too old.

        Raises InputError, and stores nothing, if a weight is NaN or infinite.
        """
        step = trainer.state.global_step
        weights = to_cpu(adapter_tensors(trainer.model))
        check_finite(weights, f"{trainer.session.title} step {step}")
        tensors, state = _trainer_state(trainer)
        with atomic_path(self._path(step)) as draft:
            draft.mkdir()
            (draft / WEIGHTS).write_bytes(save(weights))
            (draft / OPTIMIZER).write_bytes(save(tensors))
            content = json.dumps({"fingerprint": self.fingerprint, **state})
            (draft / STATE).write_text(content, encoding="utf-8")
            (draft / LOG).write_text(log, encoding="utf-8")
            trainer.state.save_to_json(str(draft / TRAINER))
            (draft / SUMS).write_text(format_sums(checksums(draft, FILES)), encoding="utf-8")
        for old in self._steps()[KEPT:]:
            remove_tree(self._path(old))

    def newest(self) -> Path | None:
        """Return the newest undamaged checkpoint, None if there is none.

        Damaged ones are reported and removed. Raises InputError for one of other data, another base or
        other links.
        """
        for step in self._steps():
            checkpoint = self._path(step)
            try:
                if checkpoint.is_symlink():
                    raise ValueError("it is a symbolic link")
                sums = read_sums(checkpoint)
                if set(sums) != set(FILES):
                    raise ValueError(f"{SUMS} is missing or damaged")
                verify(checkpoint, sums)
            except (OSError, ValueError) as error:
                logger.warning("the checkpoint of step %d is damaged and not used: %s", step, error)
                remove_tree(checkpoint)
                continue
            if _read_state(checkpoint)["fingerprint"] != self.fingerprint:
                raise InputError(
                    f"'{checkpoint}' belongs to other data, another base or other links: expected those that "
                    "its level started with; remove the folder to restart the level"
                )
            return checkpoint
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step}"

    def _steps(self) -> list[int]:
        """Return the steps that have a checkpoint, the newest first."""
        names = [
            re.fullmatch(r"checkpoint-(\d{1,12})", path.name) for path in self.folder.glob("checkpoint-*")
        ]
        return sorted((int(match[1]) for match in names if match), reverse=True)


def check_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError if a weight is NaN or infinite."""
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise InputError(f"{where}: '{name}' holds NaN or infinity: try a lower learning rate")


def step_of(checkpoint: Path | None) -> int:
    """Return the step of a checkpoint, 0 for none."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def load_weights(checkpoint: Path, model: Any) -> None:
    """Copy a checkpoint's A and B into the active link of `model`."""
    stored = load_file(checkpoint / WEIGHTS)
    with torch.no_grad():
        for name, weight in adapter_tensors(model).items():
            weight.copy_(stored[name])


def load_optimizer(checkpoint: Path, trainer: Any) -> None:
    """Restore the optimizer and schedule of `trainer` from a checkpoint."""
    state = _read_state(checkpoint)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(checkpoint / OPTIMIZER).items():
        kind, number, key = name.split("/")
        if kind == "optimizer":
            moments.setdefault(int(number), {})[key] = tensor
    groups = [{**group, "betas": tuple(group["betas"])} for group in state["groups"]]
    trainer.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    trainer.lr_scheduler.load_state_dict(state["schedule"])


def load_random(checkpoint: Path) -> None:
    """Restore the random number generators; GPUs that the checkpoint does not know keep their seeds."""
    tensors, state = load_file(checkpoint / OPTIMIZER), _read_state(checkpoint)
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))
    torch.random.set_rng_state(tensors["random/cpu/0"])
    for device in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        if f"random/cuda/{device}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random/cuda/{device}"], device)


def _trainer_state(trainer: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return optimizer, schedule and random number generators: the tensors, and what is stored as JSON."""
    optimizer = trainer.optimizer.state_dict()
    tensors = {
        f"optimizer/{number}/{key}": value.detach().cpu().contiguous()
        for number, moments in optimizer["state"].items()
        for key, value in moments.items()
    }
    tensors["random/cpu/0"] = torch.random.get_rng_state()
    if torch.cuda.is_available():
        for device, generator in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{device}"] = generator
    kind, keys, *rest = np.random.get_state()
    state = {
        "groups": optimizer["param_groups"],
        "schedule": trainer.lr_scheduler.state_dict(),
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }
    return tensors, state


def _read_state(checkpoint: Path) -> Any:
    return json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
