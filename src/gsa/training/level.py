"""One level of a run: its data and the model so far in, a stored link and the model with it out.

A level resumes from its newest undamaged checkpoint; the steps that were lost are reported.
"""

import hashlib
import logging
import time
import zlib
from typing import Any

from gsa.atomic_io import make_folder, remove_tree
from gsa.chain.chain import Chain
from gsa.chain.link import LOG
from gsa.chain.lora import fresh_link, save_link
from gsa.chain.run_folder import RunFolder
from gsa.progress import Progress, count_of, duration
from gsa.recipes.schema import Recipe
from gsa.signals import Stopped
from gsa.training.checkpoint import Checkpoints, step_of
from gsa.training.step_log import StepLog
from gsa.training.trainer import Control, Session, tune_link
from gsa.training.training_data import TrainingData

logger = logging.getLogger(__name__)


def tune_level(
    recipe: Recipe, number: int, model: Any, chain: Chain, data: TrainingData, control: Control
) -> tuple[Any, Chain]:
    """Tune and store the link of level `number`, from 1; return the model with it and the longer chain.

    Raises Stopped, once a checkpoint is stored, if a signal asked for it.
    """
    level, run = recipe.levels[number - 1], RunFolder(chain.root)
    title, steps = f"level {number} {level.name}", len(data.steps)
    counts = ", ".join(f"{name} {len(prompts):,}" for name, prompts in data.prompts.items())
    logger.info("%s: %s; %s, %s", title, counts, count_of(steps, "step"), count_of(data.tokens, "token"))
    linked = fresh_link(model, recipe.lora_of(level), zlib.crc32(f"{recipe.seed}/{number}".encode()))
    fingerprint = _fingerprint(chain, number, data)
    control.ranks.check_equal(fingerprint, "data or another base")
    checkpoints = Checkpoints(run.level_checkpoints(number, level), fingerprint)
    checkpoint = control.ranks.broadcast(checkpoints.newest)
    log = StepLog(run.log_file, chain.log(), number, level.name)
    lost = 0
    if control.ranks.is_main:
        lost = log.rewind((checkpoint / LOG).read_text(encoding="utf-8") if checkpoint else "")
        make_folder(checkpoints.folder)  # flushed, so that a power cut does not lose it with its checkpoints
    if checkpoint or lost:
        repeated = f"; {lost} later steps are repeated" if lost else ""
        logger.info(
            "%s: resuming from step %d of %d%s", title, step_of(checkpoint), len(data.steps), repeated
        )
    began = time.monotonic()
    with Progress(title, steps, "steps") as progress:
        progress.resume(step_of(checkpoint))
        on_step = _Reporter(log, progress, data)
        session = Session(title, checkpoints, checkpoint, on_step, lambda: log.text, control)
        step = tune_link(linked, data, recipe, level, session)
    if control.stop.signum and step < min(steps, level.stop_step or steps):
        kept = (
            f"{title} has a checkpoint of step {step} of {len(data.steps)}; the same command resumes from it"
        )
        raise Stopped(control.stop.signum, kept)

    def store() -> Chain:
        folder = run.links_folder / f"{number}-{level.name}"
        longer = chain.append(save_link(linked, folder, level.name, recipe.backbone.name, log.text))
        remove_tree(run.checkpoints_folder)
        return longer

    longer = control.ranks.broadcast(store)
    logger.info("%s: finished in %s", title, duration(time.monotonic() - began))
    return linked, longer


def _fingerprint(chain: Chain, number: int, data: TrainingData) -> str:
    """Return a checksum of what a level's checkpoints depend on: base, links, and all tokens in order."""
    digest = hashlib.sha256(f"{chain.base} {number} {[link.sha256 for link in chain.links]}".encode())
    for rows in data.steps:
        digest.update(repr([len(row.prompts) for row in rows]).encode())
        for prompt in (prompt for row in rows for prompt in row.prompts):
            digest.update(repr((prompt.ids, prompt.gold)).encode())
    return digest.hexdigest()


class _Reporter:
    """Adds each step to the log and advances the progress bar."""

    def __init__(self, log: StepLog, progress: Progress, data: TrainingData) -> None:
        self.log, self.progress = log, progress
        self.tokens_per_step = data.tokens / len(data.steps)
        self.began, self.steps = time.monotonic(), 0

    def __call__(self, entry: dict[str, Any]) -> None:
        self.log.add(entry)
        self.steps += 1
        speed = self.steps * self.tokens_per_step / max(time.monotonic() - self.began, 1e-9)
        self.progress.advance(1, f"loss {entry['loss']:.4f}, {speed:,.0f} tokens/s")
