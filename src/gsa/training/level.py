"""One level of a run: its lessons and the model so far in, a stored link and the merged model out.

The level goes on from its newest whole checkpoint; what of it was lost is told.
"""

import hashlib
import time
import zlib
from collections.abc import Callable
from typing import Any

from gsa.atomic_io import make_folder, remove_tree
from gsa.chain.chain import Chain, fresh_link, merge
from gsa.chain.manifest import LOG
from gsa.recipes.schema import Level, Recipe
from gsa.signals import Stop, Stopped
from gsa.training.checkpoint import newest, reached
from gsa.training.dataset import TrainingData
from gsa.training.step_log import StepLog
from gsa.training.trainer import Progress, token_count, tune_link

Say = Callable[[str], None]
SCRATCH = "checkpoints"


def tune_level(
    recipe: Recipe,
    level: Level,
    number: int,
    model: Any,
    chain: Chain,
    plan: TrainingData,
    say: Say,
    stop: Stop,
) -> tuple[Any, Chain]:
    """Tune, store and merge the link of level `number`; return the merged model and the longer chain.

    Raises Stopped once a checkpoint is stored if `stop` was asked for.
    """
    tokens = token_count(plan.rows)
    counts = ", ".join(f"{name} {len(prompts)}" for name, prompts in plan.prompts.items())
    say(f"level {number} {level.name}: {counts}; {plan.steps} steps over {tokens} tokens")
    scratch = chain.root / SCRATCH / f"{number}-{level.name}"
    linked = fresh_link(model, recipe.lora, zlib.crc32(f"{recipe.seed}/{number}".encode()))
    fingerprint = _fingerprint(chain, number, plan)
    checkpoint = newest(scratch, fingerprint, say)
    log = StepLog(chain.root / LOG, chain.log(), number, level.name)
    lost = log.rewind((checkpoint / LOG).read_text(encoding="utf-8") if checkpoint else "")
    if checkpoint or lost:
        again = f"; {lost} steps after it are taken again" if lost else ""
        say(f"  {level.name} goes on from step {reached(checkpoint)} of {plan.steps}{again}")
    teller = Teller(log, level.name, plan, say)
    here = f"level {number} {level.name}"
    progress = Progress(here, scratch, checkpoint, fingerprint, teller, lambda: log.text, stop)
    make_folder(scratch)  # its name flushed, so that a power cut does not lose the checkpoints with it
    step = tune_link(linked, plan, recipe, level, progress)
    if step < plan.steps:
        raise Stopped(
            stop.signum,
            f"{here} has a checkpoint of step {step} of {plan.steps}, the same command goes on from there",
        )
    chain = chain.extended(level.name, linked, recipe.backbone.name, log.text)
    remove_tree(chain.root / SCRATCH)
    say(f"{here}: done in {teller.seconds():.0f} s")
    return merge(linked), chain


def _fingerprint(chain: Chain, number: int, plan: TrainingData) -> str:
    """Return what a level's checkpoints depend on, as a checksum: base, links, and every token in order."""
    digest = hashlib.sha256(f"{chain.base} {number} {[link.sha256 for link in chain.links]}".encode())
    for row in plan.rows:
        for prompt in row.prompts:
            digest.update(repr((prompt.ids, prompt.gold)).encode())
    return digest.hexdigest()


class Teller:
    """Writes each step to the log and says now and then how far the level is."""

    def __init__(self, log: StepLog, name: str, plan: TrainingData, say: Say) -> None:
        """`name` is the level's, `plan` what it is tuned on."""
        self.log, self.name, self.say = log, name, say
        self.steps, self.tokens_a_step = plan.steps, token_count(plan.rows) / plan.steps
        self.began = self.told = time.monotonic()
        self.first: int | None = None

    def seconds(self) -> float:
        """Return how long the level has been tuned, in this process."""
        return time.monotonic() - self.began

    def __call__(self, entry: dict[str, Any]) -> None:
        """Take note of a step."""
        step = entry["step"]
        self.first = step - 1 if self.first is None else self.first
        self.log.add(entry)
        now = time.monotonic()
        if now - self.told >= 10 or step == self.steps:
            self.told = now
            rate = (step - self.first) / (now - self.began)
            left = (self.steps - step) / rate
            self.say(
                f"  {self.name} step {step}/{self.steps}  loss {entry['loss']:.4f}  "
                f"{rate * self.tokens_a_step:.0f} tokens/s  {left:.0f} s left"
            )
