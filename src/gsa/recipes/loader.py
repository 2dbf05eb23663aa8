"""Reading recipes: TOML and ``key=value`` overrides in, a Recipe out, or a sentence that names the key."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gsa.data.layout import Layout
from gsa.datasets.catalogue import get
from gsa.errors import InputError, suggest
from gsa.recipes.schema import Backbone, Evaluation, Level, Lora, Recipe, Source, Training

STORED_RECIPE = "recipe.toml"
"""The recipe in a folder of a run, of a baseline, or of a merged model."""


def load_recipe(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides and a seed, and validate all of it.

    Raises InputError that names the file and the key: a missing file, broken TOML, an unknown key, a
    value out of range, a contradiction, a dataset, protocol or fold that there is not.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"recipe '{path}' does not exist: expected a TOML file, such as recipes/demo.toml"
        ) from None
    except IsADirectoryError:
        raise InputError(f"recipe '{path}' is a folder: expected a TOML file") from None
    except OSError as error:
        raise InputError(f"recipe '{path}' cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"recipe '{path}' is not UTF-8 text (byte {error.start}): expected a TOML file"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe '{path}' is not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"recipe '{path}' is not valid TOML: nested too deeply") from None
    for override in overrides:
        _override(document, override)
    if seed is not None:
        document["seed"] = seed
    recipe = validate(document, str(path))
    _check_datasets(recipe, str(path))
    return recipe


def validate(document: dict[str, Any], where: str) -> Recipe:
    """Return the Recipe of a parsed document; `where` opens the sentence of an error."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(error)}") from None


def _check_datasets(recipe: Recipe, where: str) -> None:
    """Raise InputError for a dataset of the benchmark's that the catalogue does not know so."""
    for number, level in enumerate(recipe.levels):
        for index, source in enumerate(level.datasets):
            if source.path:
                continue
            key = f"{where}: levels.{number}.datasets.{index}"
            _said(f"{key}.name", get, source.name)
            dataset = get(source.name)
            _said(f"{key}.protocol", dataset.protocol, source.protocol)
            _said(f"{key}.fold", dataset.fold, source.protocol, source.fold)


def _said(where: str, check: Callable[..., object], *given: object) -> None:
    """Call a check; its InputError is said with the place."""
    try:
        check(*given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def layout_of(**keys: Any) -> Layout:
    """Return a Layout from loose values; raises InputError in the words of a recipe."""
    try:
        return Layout(**keys)
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


def seeds_of(text: str) -> list[int]:
    """Return the distinct seeds of a list with commas; raises InputError for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise InputError(f"--seeds '{text}': expected distinct numbers with commas between, such as 0,1,2")
    return [int(word) for word in words]


def _override(document: dict[str, Any], override: str) -> None:
    """Set one dotted key; a level may be named by its number or its name."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set '{override}': expected key=value, such as levels.0.epochs=2")
    try:
        value: Any = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.strip().split(".")
    here: Any = document
    for part in parents:
        if isinstance(here, list):
            here = here[_index(here, part, override)]
        elif isinstance(here, dict):
            here = here.setdefault(part, {})
        if not isinstance(here, dict | list):
            raise InputError(f"--set '{override}': '{part}' has no keys below it")
    if isinstance(here, list):
        here[_index(here, last, override)] = value
    else:
        here[last] = value


def _index(items: list[Any], part: str, override: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(items):
        return int(part)
    raise InputError(
        f"--set '{override}': found no '{part}': expected a number below {len(items)} or one of {names}"
    )


def _sentence(error: ValidationError) -> str:
    """Say the first mistake in one sentence: key, what was found, what was expected."""
    # A misspelt key is also a missing one: the first says more.
    mistakes = error.errors(include_url=False)
    first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key{suggest(str(first['loc'][-1]), _keys(first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"{key}: missing"
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{key}: {message}, found {first['input']!r}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are valid at a place in the recipe."""
    parts: dict[str, type[BaseModel]] = {
        "backbone": Backbone, "layout": Layout, "lora": Lora, "training": Training, "levels": Level,
        "datasets": Source, "evaluation": Evaluation,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return list((parts[names[-1]] if names else Recipe).model_fields)
