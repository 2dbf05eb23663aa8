"""A study: a folder of recipes and some seeds in, a folder of rows and predictions an arm and seed out.

    work/NAME-sSEED/      the run: tuned, measured, resumed by the same call
    out/NAME-sSEED/       its rows, predictions, recipe, note and log, once all of it is measured
    out/untuned-s0/       the untuned model, which all arms share, measured once
    out/LEVEL-only-sS/    what a first link gives for itself, such as sa-only; nothing is tuned for it

An arm that is in `out` is left alone; two processes may work on different arms.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gsa.atomic_io import atomic_path, write_atomic
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.checksums import from_checked_json, to_checked_json
from gsa.errors import InputError, suggest
from gsa.evaluation import predictions, results
from gsa.evaluation.evaluate import evaluate
from gsa.locking import BusyError, folder_lock
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training.run import tune

Say = Callable[[str], None]
UNTUNED, BASE = "untuned", "base.json"


@dataclass(frozen=True)
class Arm:
    """One recipe with one seed."""

    recipe: Recipe
    first: str
    """Name of the arm that its first link is, empty where there is none or another recipe has the name."""
    work: Path
    out: Path

    @property
    def name(self) -> str:
        """Of its folders."""
        return f"{self.recipe.name}-s{self.recipe.seed}"

    @property
    def done(self) -> bool:
        """Whether its results are there."""
        return (self.out / self.name / results.FILE).is_file()


def study(arms: Sequence[Arm], say: Say = print) -> list[Path]:
    """Tune and measure the arms of a plan; return the folders of those that are done.

    Raises InputError for an arm that is there and of another recipe.
    """
    for arm in arms:
        if arm.done:
            _same_recipe(arm)
            say(f"{arm.name}: in {arm.out} already, skipped")
            continue
        say(f"{arm.name}: at work")
        try:
            _run(arm, say)
        except BusyError:
            say(f"{arm.name}: another process is at work on it, skipped")
    made = [arm.out / arm.name for arm in arms if arm.done]
    left = [arm.name for arm in arms if not arm.done]
    more = f"; left: {', '.join(left)}" if left else ""
    say(f"{len(made)} of {len(arms)} arms are there{more}")
    return made


def plan(
    folder: Path,
    out: Path,
    work: Path,
    seeds: Sequence[int],
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    prefix: str = "",
) -> list[Arm]:
    """Return the arms of a folder's recipes, or of those named, seed by seed as they are worked on.

    `prefix` and a hyphen go before their names. Raises InputError for a bad recipe, a name, or recipes
    that do not belong together.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise InputError(f"'{folder}': expected a folder with recipes, found no .toml file in it")
    recipes = {file: load_recipe(file, overrides) for file in files}
    known = {recipe.name: file for file, recipe in recipes.items()}
    if len(known) < len(files):
        raise InputError(f"'{folder}': two recipes have one name: expected distinct names")
    for name in names:
        if name not in known:
            raise InputError(f"arm '{name}'{suggest(name, known)}: expected one of {', '.join(known)}")
    _one_base(recipes)
    firsts = _first_links(list(recipes.values()))
    before = f"{prefix}-" if prefix else ""
    arms = []
    for seed in seeds:
        for name, file in known.items():
            if not names or name in names:
                recipe = load_recipe(file, [_formatted(o, seed) for o in overrides], seed)
                recipe = recipe.model_copy(update={"name": before + name})
                first = before + firsts[name] if name in firsts else ""
                arms.append(Arm(recipe, first, work, out))
    return arms


def _same_recipe(arm: Arm) -> None:
    """Raise InputError if the results that are there were made by another recipe."""
    stored = load_recipe(RunFolder(arm.out / arm.name).recipe_file)
    for key in ("backbone", "layout", "lora", "training", "levels", "evaluation"):
        if getattr(stored, key) != getattr(arm.recipe, key):
            raise InputError(
                f"'{arm.out / arm.name}' was made with another {key} than its recipe has now: expected the "
                "same, or another --out"
            )


def _formatted(override: str, seed: int) -> str:
    return override.replace("{seed}", str(seed))


def _one_base(recipes: dict[Path, Recipe]) -> None:
    """Raise InputError unless arms differ in nothing that would make them different models untuned."""
    (file, first), *others = recipes.items()
    for other, recipe in others:
        for key in ("backbone", "layout", "evaluation"):
            if getattr(recipe, key) != getattr(first, key):
                raise InputError(
                    f"'{other}' and '{file}' differ in {key}: expected the same in all arms of a study"
                )


def _first_links(recipes: Sequence[Recipe]) -> dict[str, str]:
    """Return by recipe the name of the arm that its first link is, where no recipe has that name."""
    taken = {recipe.name for recipe in recipes}
    found: dict[str, str] = {}
    for recipe in recipes:
        name = f"{recipe.levels[0].name.lower()}-only"
        if len(recipe.levels) > 1 and name not in taken:
            found[recipe.name] = name
            taken.add(name)
    return found


def _run(arm: Arm, say: Say) -> None:
    root = arm.work / arm.name
    with folder_lock(root, "study"):
        if arm.done:
            return
        chain = tune(arm.recipe, root)
        _measure(arm, root, chain, say)
        if arm.first:
            _keep_first(arm, root)
        with atomic_path(arm.out / arm.name) as draft:
            run = RunFolder(root)
            shutil.copytree(run.predictions_folder, RunFolder(draft).predictions_folder)
            for file in (run.results_file, run.recipe_file, run.metadata_file, run.log_file):
                shutil.copyfile(file, draft / file.name)
        say(f"{arm.name}: in {arm.out}")


def _measure(arm: Arm, root: Path, chain: Chain, say: Say) -> None:
    """Measure the final model, and the first link if it is an arm, on all; others on the sample."""
    recipe, last = arm.recipe, len(arm.recipe.levels)
    sample, whole = recipe.evaluation.sample, recipe.evaluation.limit
    few_shot = recipe.few_shot
    if few_shot:
        evaluate(root, [0], limit=sample, say=say)
    else:
        with folder_lock(arm.out / f"{UNTUNED}-s0", "study", wait=True):
            _share_untuned(arm, root, chain, say)
    if arm.first:
        own = [source.name for source in recipe.levels[0].datasets]
        evaluate(root, [1], own, limit=whole, say=say)
    if last > 1:
        evaluate(root, list(range(1, last)), limit=sample, say=say)
    evaluate(root, [last], limit=whole, say=say)


def _share_untuned(arm: Arm, root: Path, chain: Chain, say: Say) -> None:
    """Take the untuned model's predictions from other arms, compute what is missing, and leave it to them."""
    shared, split = arm.out / f"{UNTUNED}-s0", arm.recipe.evaluation.split
    base = {"base": chain.base, "layout": arm.recipe.layout.model_dump(mode="json")}
    if (shared / BASE).is_file() and from_checked_json((shared / BASE).read_text(encoding="utf-8")) != base:
        raise InputError(f"'{shared}' is of another backbone or layout: expected another --out")
    names = [source.name for source in arm.recipe.datasets]
    _copy(shared, root, 0, names, split)
    rows = evaluate(root, [0], limit=arm.recipe.evaluation.sample, say=say)
    write_atomic(shared / BASE, to_checked_json(base))
    _copy(root, shared, 0, names, split)
    mine = [replace(row, run=UNTUNED, seed=0) for row in rows if row.level == 0]
    results.add(shared, mine)


def _copy(source: Path, target: Path, level: int, names: Sequence[str], split: str) -> None:
    """Copy predictions that `target` does not hold yet."""
    for name in names:
        table = predictions.load(source, predictions.path_of(source, level, name, split))
        file = predictions.path_of(target, level, name, split)
        if table is not None and predictions.load(target, file) is None:
            predictions.store(target, file, table)


def _keep_first(arm: Arm, root: Path) -> None:
    """Store what the first link gives as an arm of its own."""
    level = arm.recipe.levels[0]
    recipe = arm.recipe.model_copy(update={"name": arm.first, "levels": (level,)})
    run = RunFolder(root)
    note = from_checked_json(run.metadata_file.read_text(encoding="utf-8"))
    data = {key: found for key, found in note["data"].items() if key.startswith(f"{level.name}/")}
    steps = run.log_file.read_text(encoding="utf-8").splitlines(keepends=True)
    names = [source.name for source in arm.recipe.datasets]
    with atomic_path(arm.out / f"{arm.first}-s{arm.recipe.seed}") as draft:
        kept = RunFolder(draft)
        write_atomic(kept.recipe_file, recipe.toml())
        write_atomic(kept.metadata_file, to_checked_json({**note, "data": data}))
        write_atomic(kept.log_file, "".join(step for step in steps if json.loads(step)["level"] == 1))
        for number in (0, 1):
            _copy(root, draft, number, names, recipe.evaluation.split)
        rows = [row for row in results.read(root) if row.level <= 1]
        results.add(draft, [replace(row, run=arm.first) for row in rows])
