"""A study: recipes and seeds in, one folder of result rows and predictions per arm and seed out.

    work/NAME-sSEED/      the run: tuned, evaluated, resumed by the same call
    out/NAME-sSEED/       its rows, predictions, recipe, note and log, once everything is measured
    out/untuned-s0/       the untuned model, which all arms share, measured once
    out/LEVEL-only-sS/    what the first link alone reaches, such as sa-only; nothing is tuned for it

An arm that is already in `out` is skipped; two processes may work on different arms.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gsa.atomic_io import atomic_path, write_atomic
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import with_layout_of_backbone
from gsa.checksums import from_checked_json, to_checked_json
from gsa.errors import InputError, suggest
from gsa.evaluation import results
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.predictions import PredictionStore
from gsa.locking import BusyError, folder_lock
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training.run import tune

logger = logging.getLogger(__name__)
UNTUNED, BASE = "untuned", "base.json"


@dataclass(frozen=True)
class Arm:
    """One recipe with one seed."""

    recipe: Recipe
    first_link_arm: str
    """Name of the arm that its first link is; empty where there is none or another recipe has the name."""
    work: Path
    out: Path

    @property
    def name(self) -> str:
        """Name of its folders."""
        return f"{self.recipe.name}-s{self.recipe.seed}"

    @property
    def results(self) -> Path:
        """Folder of its results."""
        return self.out / self.name

    @property
    def is_done(self) -> bool:
        """Whether its results are complete."""
        return RunFolder(self.results).results_file.is_file()


@dataclass(frozen=True)
class StudyPlan:
    """What a study runs: which recipes with which seeds, and where."""

    recipes: Path
    """Folder of TOML files."""
    out: Path
    work: Path
    seeds: Sequence[int]
    names: Sequence[str] = ()
    """Recipes to run, by name; empty for all."""
    overrides: Sequence[str] = ()
    """`key=value` changes of every recipe; {seed} stands for the seed."""
    prefix: str = ""
    """Put before the arms' names, with a hyphen."""

    def arms(self) -> list[Arm]:
        """Return the arms, seed by seed in the order in which they are run.

        Raises InputError for a bad recipe, an unknown name, or recipes that do not belong together.
        """
        files = sorted(self.recipes.glob("*.toml"))
        if not files:
            raise InputError(f"'{self.recipes}': expected a folder with recipes, found no .toml file in it")
        recipes = {file: load_recipe(file, self.overrides) for file in files}
        by_name = {recipe.name: file for file, recipe in recipes.items()}
        if len(by_name) < len(files):
            raise InputError(f"'{self.recipes}': two recipes have one name: expected distinct names")
        for name in self.names:
            if name not in by_name:
                raise InputError(
                    f"arm '{name}'{suggest(name, by_name)}: expected one of {', '.join(by_name)}"
                )
        _check_comparable(recipes)
        first_links = _first_links(list(recipes.values()))
        prefix = f"{self.prefix}-" if self.prefix else ""
        arms = []
        for seed in self.seeds:
            overrides = [override.replace("{seed}", str(seed)) for override in self.overrides]
            for name in (name for name in by_name if not self.names or name in self.names):
                recipe = with_layout_of_backbone(load_recipe(by_name[name], overrides, seed))
                recipe = recipe.model_copy(update={"name": prefix + name})
                first = prefix + first_links[name] if name in first_links else ""
                arms.append(Arm(recipe, first, self.work, self.out))
        return arms


def run_study(arms: Sequence[Arm]) -> list[Path]:
    """Tune and evaluate arms; return the folders of those that are done.

    Raises InputError for an arm whose results are there and were made by another recipe.
    """
    for arm in arms:
        if arm.is_done:
            _check_same_recipe(arm)
            logger.info("%s: in %s already, skipped", arm.name, arm.out)
            continue
        logger.info("%s: started", arm.name)
        try:
            _run(arm)
        except BusyError:
            logger.warning("%s: another process runs it, skipped", arm.name)
    done = [arm.results for arm in arms if arm.is_done]
    missing = [arm.name for arm in arms if not arm.is_done]
    suffix = f"; missing: {', '.join(missing)}" if missing else ""
    logger.info("%d of %d arms are done%s", len(done), len(arms), suffix)
    return done


def _check_same_recipe(arm: Arm) -> None:
    """Raise InputError if the results that are there were made by another recipe."""
    stored = load_recipe(RunFolder(arm.results).recipe_file)
    for key in ("backbone", "layout", "lora", "training", "levels", "evaluation"):
        if getattr(stored, key) != getattr(arm.recipe, key):
            raise InputError(
                f"'{arm.results}' was made with another {key} than its recipe has now: expected the "
                "same, or another --out"
            )


def _check_comparable(recipes: dict[Path, Recipe]) -> None:
    """Raise InputError unless all arms have the same untuned model, prompts and evaluation."""
    (first_file, first), *rest = recipes.items()
    if first.backbone.precision == "auto":
        raise InputError(
            f"'{first_file}': backbone.precision is auto: expected float32 or bfloat16 in a study, the same "
            "on every machine"
        )
    for file, recipe in rest:
        for key in ("backbone", "layout", "evaluation"):
            if getattr(recipe, key) != getattr(first, key):
                raise InputError(
                    f"'{file}' and '{first_file}' differ in {key}: expected the same in all arms of a study"
                )


def _first_links(recipes: Sequence[Recipe]) -> dict[str, str]:
    """Return by recipe the name of the arm that its first link is, where no recipe has that name."""
    taken = {recipe.name for recipe in recipes}
    names: dict[str, str] = {}
    for recipe in recipes:
        name = f"{recipe.levels[0].name.lower()}-only"
        if len(recipe.levels) > 1 and name not in taken:
            names[recipe.name] = name
            taken.add(name)
    return names


def _run(arm: Arm) -> None:
    """Tune and evaluate one arm and store its results."""
    root = arm.work / arm.name
    with folder_lock(root, "study"):
        if arm.is_done:
            return
        chain = tune(arm.recipe, root)
        _evaluate(arm, root, chain)
        if arm.first_link_arm:
            _store_first_link(arm, root)
        with atomic_path(arm.results) as draft:
            run = RunFolder(root)
            shutil.copytree(run.predictions_folder, RunFolder(draft).predictions_folder)
            for file in (run.results_file, run.recipe_file, run.metadata_file, run.log_file):
                shutil.copyfile(file, draft / file.name)
        logger.info("%s: results are in %s", arm.name, arm.out)


def _evaluate(arm: Arm, root: Path, chain: Chain) -> None:
    """Evaluate the final model, and the first link if it is an arm, in full; the others on the sample."""
    recipe, last = arm.recipe, len(arm.recipe.levels)
    sample, limit = recipe.evaluation.sample, recipe.evaluation.limit
    evaluator = Evaluator(root)
    if recipe.few_shot:
        evaluator.evaluate([0], limit=sample)
    else:
        with folder_lock(arm.out / f"{UNTUNED}-s0", "study", wait=True):
            _evaluate_untuned(arm, evaluator, chain)
    sampled = {level: [source.name for source in recipe.datasets] for level in range(1, last)}
    if arm.first_link_arm:
        own = [source.name for source in recipe.levels[0].datasets]
        evaluator.evaluate([1], own, limit=limit)
        sampled[1] = [name for name in sampled[1] if name not in own]
    for level, datasets in sampled.items():
        if datasets:
            evaluator.evaluate([level], datasets, limit=sample)
    evaluator.evaluate([last], limit=limit)


def _evaluate_untuned(arm: Arm, evaluator: Evaluator, chain: Chain) -> None:
    """Take the untuned model's predictions from other arms, compute what is missing, and share the result."""
    root, recipe = arm.out / f"{UNTUNED}-s0", arm.recipe
    shared, split = PredictionStore(root), recipe.evaluation.split
    base = {"base": chain.base, "layout": recipe.layout_at(0).model_dump(mode="json", exclude_none=True)}
    if (root / BASE).is_file() and from_checked_json((root / BASE).read_text(encoding="utf-8")) != base:
        raise InputError(f"'{root}' is of another backbone or layout: expected another --out")
    names = [source.name for source in recipe.datasets]
    for name in names:
        if evaluator.predictions.load(0, name, split) is None:
            shared.copy_to(evaluator.predictions, 0, name, split)
    rows = evaluator.evaluate([0], limit=recipe.evaluation.sample)
    write_atomic(root / BASE, to_checked_json(base))
    for name in names:
        evaluator.predictions.copy_to(shared, 0, name, split)
    results.add(root, [replace(row, run=UNTUNED, seed=0) for row in rows if row.level == 0])


def _store_first_link(arm: Arm, root: Path) -> None:
    """Store the results of the first link as an arm of its own."""
    level = arm.recipe.levels[0]
    recipe = arm.recipe.model_copy(update={"name": arm.first_link_arm, "levels": (level,)})
    run = RunFolder(root)
    metadata = from_checked_json(run.metadata_file.read_text(encoding="utf-8"))
    data = {key: value for key, value in metadata["data"].items() if key.startswith(f"{level.name}/")}
    steps = run.log_file.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [row for row in results.read(root) if row.level <= 1]
    with atomic_path(arm.out / f"{arm.first_link_arm}-s{arm.recipe.seed}") as draft:
        copy = RunFolder(draft)
        write_atomic(copy.recipe_file, recipe.toml())
        write_atomic(copy.metadata_file, to_checked_json({**metadata, "data": data}))
        write_atomic(copy.log_file, "".join(step for step in steps if json.loads(step)["level"] == 1))
        for number in (0, 1):
            for source in arm.recipe.datasets:
                key = number, source.name, recipe.evaluation.split
                PredictionStore(root).copy_to(PredictionStore(draft), *key)
        results.add(draft, [replace(row, run=arm.first_link_arm) for row in rows])
