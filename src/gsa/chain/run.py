"""A run: recipe in, a folder with the tuned chain out; the same call resumes it.

run/recipe.toml     the recipe as resolved
run/run.json        seed, versions, commit, checksums of the training examples
run/chain.json      base and links; grows as levels finish
run/links/          one PEFT adapter folder a level
run/log.jsonl       one line a step
"""

import json
import platform
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gsa.chain.backbone import Loaded, load_backbone, load_config
from gsa.chain.batches import Lessons, lessons
from gsa.chain.chain import MANIFEST, Chain, fresh_link, merge
from gsa.chain.recipe import Level, Recipe
from gsa.chain.recipe_file import load_recipe
from gsa.chain.tuning import reached, token_count, tune_link
from gsa.errors import InputError
from gsa.files import write

Say = Callable[[str], None]
STORED_RECIPE, LOG, SCRATCH = "recipe.toml", "log.jsonl", "checkpoints"


def tune(recipe: Recipe, root: Path, say: Say = print) -> Chain:
    """Tune every level of a recipe that `root` does not hold yet, one link each.

    Raises InputError if `root` holds a run of another recipe, or anything that is not a run. All data is
    read before weights are loaded and before anything is written, so bad data costs no time.
    """
    _check(recipe, root)
    chain = Chain.read(root) if (root / MANIFEST).is_file() else None
    finished = len(chain.links) if chain else 0
    if chain and finished == len(recipe.levels):
        say(f"{root}: all {finished} levels are tuned already")
        shutil.rmtree(root / SCRATCH, ignore_errors=True)
        return chain
    _, tokenizer = load_config(recipe.backbone)
    plans = {level.name: lessons(recipe, level, tokenizer) for level in recipe.levels[finished:]}
    if chain:
        say(f"{root}: {finished} of {len(recipe.levels)} levels are tuned already")
        loaded = chain.load(recipe.backbone)
    else:
        loaded = load_backbone(recipe.backbone)
        chain = Chain(root, loaded.identity)
    write(root / STORED_RECIPE, recipe.toml())  # first: it is what makes the folder a run
    _note(recipe, root, plans)
    chain.write()
    model = loaded.model
    for number, level in enumerate(recipe.levels[finished:], finished + 1):
        model, chain = _tune_level(recipe, level, number, model, chain, plans.pop(level.name), say)
    return chain


def load_run(root: Path, level: int | None = None) -> tuple[Recipe, Chain, Loaded]:
    """Return a run's recipe and chain, and the model of a level (None: the last)."""
    recipe, chain = read_run(root)
    return recipe, chain, chain.load(recipe.backbone, level)


def read_run(root: Path) -> tuple[Recipe, Chain]:
    """Return a run's recipe and chain without loading its model; raises InputError if it is not a run."""
    if not root.is_dir():
        raise InputError(f"run '{root}' does not exist: expected a folder made by `gsa tune`")
    return load_recipe(root / STORED_RECIPE), Chain.read(root)


def _tune_level(
    recipe: Recipe, level: Level, number: int, model: Any, chain: Chain, plan: Lessons, say: Say
) -> tuple[Any, Chain]:
    tokens = token_count(plan.rows)
    counts = ", ".join(f"{name} {len(prompts)}" for name, prompts in plan.prompts.items())
    say(f"level {number} {level.name}: {counts}; {plan.steps} steps over {tokens} tokens")
    scratch = chain.root / SCRATCH / f"{number}-{level.name}"
    linked = fresh_link(model, recipe.lora, zlib.crc32(f"{recipe.seed}/{number}".encode()))
    _rewind(chain.root / LOG, number, reached(scratch))
    progress = _Teller(chain.root / LOG, number, level.name, plan, say)
    tune_link(linked, plan, recipe, level, scratch, progress)
    chain = chain.extended(level.name, linked, recipe.backbone.name)
    shutil.rmtree(chain.root / SCRATCH)
    say(f"level {number} {level.name}: done in {progress.seconds():.0f} s")
    return merge(linked), chain


class _Teller:
    """Writes each step to the log and says now and then how far the level is."""

    def __init__(self, log: Path, number: int, name: str, plan: Lessons, say: Say) -> None:
        self.log, self.number, self.name, self.say = log, number, name, say
        self.steps, self.tokens_a_step = plan.steps, token_count(plan.rows) / plan.steps
        self.began = self.told = time.monotonic()
        self.first: int | None = None

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def __call__(self, entry: dict[str, Any]) -> None:
        step = entry["step"]
        self.first = step - 1 if self.first is None else self.first
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"level": self.number, "name": self.name, **entry}) + "\n")
        now = time.monotonic()
        if now - self.told >= 10 or step == self.steps:
            self.told = now
            rate = (step - self.first) / (now - self.began)
            left = (self.steps - step) / rate
            self.say(
                f"  {self.name} step {step}/{self.steps}  loss {entry['loss']:.4f}  "
                f"{rate * self.tokens_a_step:.0f} tokens/s  {left:.0f} s left"
            )


def _rewind(log: Path, level: int, step: int) -> None:
    """Drop the log's lines of steps that a resumed level takes again, and what a kill left of a line."""
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        try:
            entry = json.loads(line)
            if (entry["level"], entry["step"]) <= (level, step):
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    write(log, "".join(kept))


def _check(recipe: Recipe, root: Path) -> None:
    """Raise InputError unless `root` is new, empty, a run of this recipe, or one that tuned nothing yet."""
    stored = root / STORED_RECIPE
    if not stored.is_file():
        found = [path for path in root.iterdir() if path.suffix != ".part"] if root.is_dir() else [root]
        if root.exists() and found:
            raise InputError(f"'{root}' is there and is not a run: expected a new or empty folder for --out")
        return
    if not (root / SCRATCH).exists() and not ((root / MANIFEST).is_file() and Chain.read(root).links):
        return
    before = load_recipe(stored)
    differs = [key for key in Recipe.model_fields if getattr(before, key) != getattr(recipe, key)]
    if differs:
        raise InputError(
            f"'{root}' holds a run of another recipe ('{differs[0]}' differs): expected the same recipe, "
            "or another --out"
        )


def _note(recipe: Recipe, root: Path, plans: dict[str, Lessons]) -> None:
    """Store what the run was made with and from."""
    packages = ("gsa-llm", "torch", "transformers", "peft", "accelerate", "tokenizers")
    data = {
        f"{level}/{name}": {
            "examples": len(prompts),
            "crc32": zlib.crc32(repr([p.ids for p in prompts]).encode()),
        }
        for level, plan in plans.items()
        for name, prompts in plan.prompts.items()
    }
    note = root / "run.json"
    try:
        before = json.loads(note.read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        before = {}
    changed = [name for name, found in data.items() if before.get(name, found) != found]
    if changed and (root / SCRATCH).exists():
        raise InputError(
            f"'{root}': the data of {changed[0]} changed since its level began: expected the same"
        )
    data = {**before, **data}
    content = {
        "seed": recipe.seed,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "commit": _commit(),
        "data": data,
    }
    write(note, json.dumps(content, indent=2) + "\n")


def _commit() -> str:
    """Return the commit of the source tree, or an empty string for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if tracked.returncode == 0 and done.returncode == 0 else ""
