"""Loading of recipes: TOML and ``key=value`` overrides in; a Recipe out, or an error that names the key."""

import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gsa.data.layout import Layout
from gsa.datasets.catalogue import get
from gsa.errors import InputError, item_names, key_of, suggest
from gsa.recipes import automatic
from gsa.recipes.schema import Backbone, DatasetConfig, Evaluation, Level, Lora, Recipe, Training

T = TypeVar("T")
DATASET_KEYS = DatasetConfig.model_fields.keys() - Level.model_fields.keys()
"""Keys that only datasets have."""
STORED_RECIPE = "recipe.toml"
"""Name of the recipe in the folder of a run, of a baseline, or of a merged model."""


def load_recipe(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> Recipe:
    """Return the recipe of a file with ``key=value`` overrides and a seed, if given, in place of its own.

    A dataset's path is relative to the recipe's folder, that of an override to the current one.

    Raises InputError that names the file and the key: a missing file, malformed TOML, an unknown key, a
    value out of range, a contradiction, an unknown dataset, protocol or fold.
    """
    document = _read_toml(path)
    _resolve_paths(document, path.parent)
    for override in overrides:
        _override(document, override)
    _resolve_paths(document, Path())
    if seed is not None:
        document["seed"] = seed
    return resolve(document, str(path))


def resolve(document: dict[str, Any], location: str) -> Recipe:
    """Return the Recipe of a parsed document, automatic keys replaced by values that its data suggests.

    Raises InputError that begins with ``location``, and for missing data that automatic keys need.
    """
    keys = automatic.automatic_keys(document)
    recipe = validate(automatic.with_placeholders(document) if keys else document, location)
    _check_datasets(recipe, location)
    return automatic.resolve(recipe, keys) if keys else recipe


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problem = "does not exist: expected a TOML file, such as recipes/demo.toml"
    except IsADirectoryError:
        problem = "is a folder: expected a TOML file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start}): expected a TOML file"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {error}"
    except RecursionError:
        problem = "is not valid TOML: nested too deeply"
    raise InputError(f"recipe '{path}' {problem}")


def _resolve_paths(document: dict[str, Any], folder: Path) -> None:
    """Make the paths of users' own data absolute; what is no recipe is left to `validate`."""
    levels = document.get("levels")
    for section in [*(levels if isinstance(levels, list) else []), document.get("evaluation")]:
        datasets = section.get("datasets") if isinstance(section, dict) else None
        for dataset in datasets if isinstance(datasets, list) else []:
            path = dataset.get("path") if isinstance(dataset, dict) else None
            if path and isinstance(path, str):
                dataset["path"] = os.path.abspath(folder / Path(path).expanduser())


def validate(document: dict[str, Any], location: str) -> Recipe:
    """Return the Recipe of a parsed document; raises InputError that begins with ``location``."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{location}: {_message(error, document)}") from None


def _check_datasets(recipe: Recipe, location: str) -> None:
    """Raise InputError for a dataset, protocol or fold that the catalogue does not have.

    Also for a name with several protocols, unless they differ in the train split alone.
    """
    tested: dict[str, str] = {}
    sections = {f"levels.{level.name}": level.datasets for level in recipe.levels}
    for section, datasets in {**sections, "evaluation": recipe.evaluation.datasets or ()}.items():
        for config in datasets:
            if config.path:
                continue
            key = f"{location}: {section}.datasets.{config.name}"
            with _errors_at(f"{key}.name"):
                dataset = get(config.name)
            with _errors_at(f"{key}.protocol"):
                protocol = dataset.tested_protocol(config.protocol)
                if tested.setdefault(config.name, protocol) != protocol:
                    raise InputError(
                        f"dataset '{config.name}': expected '{tested[config.name]}' again, the protocol of "
                        f"its first use, found '{protocol}', which has other test examples"
                    )
            with _errors_at(f"{key}.fold"):
                dataset.check_fold(config.protocol, config.fold)


@contextmanager
def _errors_at(location: str) -> Iterator[None]:
    """Prefix the message of an InputError with the place of its cause."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{location}: {error}") from None


def parse_layout(**keys: Any) -> Layout:
    """Return a Layout from the values of its keys; raises InputError as for a recipe."""
    try:
        return Layout(**keys)
    except ValidationError as error:
        raise InputError(_message(error, keys)) from None


def parse(settings: Callable[..., T], location: str, **keys: Any) -> T:
    """Return settings from the values of their keys; raises InputError that begins with ``location``."""
    try:
        return settings(**keys)
    except ValidationError as error:
        raise InputError(f"{location}: {_message(error, keys).removeprefix('recipe: ')}") from None


def parse_seeds(text: str) -> list[int]:
    """Return the distinct seeds of a comma-separated list; raises InputError for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise InputError(f"--seeds '{text}': expected distinct numbers separated by commas, such as 0,1,2")
    return [int(word) for word in words]


def _override(document: dict[str, Any], override: str) -> None:
    """Set one dotted key of a document; items of a list are addressed by number or name.

    ``*`` is all items. A key of datasets at a level is set in all datasets of the level.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set '{override}': expected key=value, such as levels.SA.epochs=2")
    try:
        value: Any = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    _set(document, key.strip().split("."), value, override)


def _set(node: Any, path: Sequence[str], value: Any, override: str) -> None:
    """Set the value at a path below a node of a document."""
    part, *rest = path
    if isinstance(node, list):
        for index in range(len(node)) if part == "*" else [_index(node, part, override)]:
            if not rest:
                node[index] = value
                continue
            if isinstance(node[index], str):  # a dataset that is only named
                node[index] = {"name": node[index]}
            _set(node[index], rest, value, override)
    elif not rest:
        datasets = node.get("datasets")
        if isinstance(datasets, list) and part in DATASET_KEYS:
            _set(datasets, ["*", part], value, override)
        else:
            node[part] = value
    else:
        child = node.setdefault(part, {})
        if not isinstance(child, dict | list):
            raise InputError(f"--set '{override}': '{part}' has no keys below it")
        _set(child, rest, value, override)


def _index(items: list[Any], part: str, override: str) -> int:
    """Return the index of a list's item by its number or name; raises InputError for any other."""
    names = item_names(items)
    if part and part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(items):
        return int(part)
    raise InputError(f"--set '{override}': found no '{part}': expected one of {names}, or * for all")


def _message(error: ValidationError, document: dict[str, Any]) -> str:
    """Return the first validation error of a document as a sentence: key, what was found and expected."""
    errors = error.errors(include_url=False)
    # A misspelt key is also reported as a missing one; the unknown key is more informative.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = key_of(first["loc"], document, first["type"] == "missing") or "recipe"
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key{suggest(str(first['loc'][-1]), _valid_keys(first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"{key}: missing"
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{key}: {message}, found {first['input']!r}"


def _valid_keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are valid at a location of the recipe."""
    sections: dict[str, type[BaseModel]] = {
        "backbone": Backbone, "layout": Layout, "lora": Lora, "training": Training, "levels": Level,
        "datasets": DatasetConfig, "evaluation": Evaluation,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return list((sections[names[-1]] if names else Recipe).model_fields)
