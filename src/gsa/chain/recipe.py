"""Recipes: one TOML file says everything that a run depends on.

In: a path, ``key=value`` overrides. Out: a frozen Recipe, or one InputError that names the key. Every
strategy of the paper is a recipe: progressive tuning is three levels, multi-task tuning one level with
all datasets, an individual domain one level with its own. Imports no torch.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gsa.errors import InputError, suggest
from gsa.tasks.layout import Layout
from gsa.tasks.task import TASKS


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(_Part):
    """The model that the chain starts from."""

    name: str = "smollm2-135m"
    """`smollm2-135m`, a Hugging Face id, or a local folder."""
    revision: str = "main"
    """Commit, tag or branch of a Hugging Face id."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the frozen weights; links are merged in float32 whatever it is."""


class Lora(_Part):
    """One link's shape (paper, equation 1 and section 5.3)."""

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(default=("q_proj", "k_proj", "v_proj", "o_proj"), min_length=1)
    """Names of the linear layers that get a link; the paper's are those of self-attention."""


class Training(_Part):
    """How each level is tuned."""

    row_tokens: int = Field(default=768, ge=64)
    """Tokens a row after sharing; also bounds memory."""
    rows_per_step: int = Field(default=1, ge=1)
    """Rows whose gradients are added up before an optimizer step."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    checkpoint_steps: int = Field(default=100, ge=1)
    """Steps between two checkpoints."""
    report_to: tuple[str, ...] = ()
    """Trainer integrations, such as `tensorboard` or `wandb`."""


class Source(_Part):
    """One dataset of a level."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """A name of `gsa data list`, or any name for a folder of your own."""
    path: str = ""
    """Folder with train/dev/test .jsonl, .csv or .tsv files of your own."""
    task: str = ""
    """For your own data: `sentiment`, `emotion`, `sarcasm`, or a new name with an `instruction`."""
    instruction: str = ""
    labels: tuple[str, ...] = ()
    """For your own data: the label list, in the order that prompts show."""
    protocol: str = ""
    """Split protocol, where the dataset has several; empty is its default."""
    fold: int = Field(default=0, ge=0)
    limit: int = Field(default=0, ge=0)
    """Most training examples, whole dialogues drawn with the run's seed; 0 is all."""
    per_class: int = Field(default=0, ge=0)
    """Few-shot: training examples drawn for each class; 0 is off."""

    @model_validator(mode="after")
    def _own_data_is_whole(self) -> "Source":
        own = [key for key in ("task", "instruction", "labels") if getattr(self, key)]
        if own and not self.path:
            raise ValueError(f"{own[0]}: belongs to your own data: expected 'path' beside it")
        if self.path and not self.labels:
            raise ValueError("labels: missing: expected the label list of your own data")
        if self.path and self.task not in TASKS and not self.instruction:
            raise ValueError(
                f"task: found '{self.task}'{suggest(self.task, TASKS)}: expected one of {sorted(TASKS)}, "
                "or an 'instruction' for a task of your own"
            )
        if self.limit and self.per_class:
            raise ValueError("limit and per_class: expected at most one of the two")
        return self


def _source(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Level(_Part):
    """One link of the chain: what it is tuned on, and how fast."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    datasets: tuple[Annotated[Source, BeforeValidator(_source)], ...] = Field(min_length=1)
    learning_rate: float = Field(gt=0, le=1)
    epochs: float = Field(default=1.0, gt=0, le=1000)


class Evaluation(_Part):
    """What `gsa eval` measures when it is not told otherwise."""

    split: Literal["dev", "test"] = "test"
    limit: int = Field(default=0, ge=0)
    """Most examples a dataset for the untuned and the final model; 0 is all."""
    sample: int = Field(default=500, ge=0)
    """Most examples a dataset for the levels in between (the same ones each time); 0 is all."""


def _distinct(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    names = [level.name for level in levels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two levels are named '{twice[0]}': expected distinct names")
    for level in levels:
        keys = [source.name for source in level.datasets]
        if len(set(keys)) < len(keys):
            raise ValueError(f"level '{level.name}' lists a dataset twice: expected each once, found {keys}")
    return levels


class Recipe(_Part):
    """A whole experiment."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(default=0, ge=0, lt=2**31)
    backbone: Backbone = Backbone()
    layout: Layout = Layout()
    lora: Lora = Lora()
    training: Training = Training()
    levels: Annotated[tuple[Level, ...], AfterValidator(_distinct)] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _one_meaning(self) -> "Recipe":
        seen: dict[str, tuple[Any, ...]] = {}
        for source in self.sources(every=True):
            key = (source.path, source.task, source.labels, source.protocol, source.fold)
            if seen.setdefault(source.name, key) != key:
                raise ValueError(
                    f"dataset '{source.name}' appears with different paths, labels, protocols or folds: "
                    "expected one meaning of a name in a recipe"
                )
        pair = [s for s in self.sources() if s.name in ("mustard", "mustardpp")]
        if len(pair) == 2 and (pair[0].protocol or "folds", pair[0].fold) != (
            pair[1].protocol or "folds",
            pair[1].fold,
        ):
            raise ValueError(
                "mustard and mustardpp share items: expected the same protocol and fold for both, "
                "or training on one leaks into testing on the other"
            )
        return self

    def sources(self, every: bool = False) -> list[Source]:
        """Return the datasets of all levels in order, each name once unless `every`."""
        found = [source for level in self.levels for source in level.datasets]
        first = {source.name: source for source in reversed(found)}
        return found if every else [first[name] for name in dict.fromkeys(source.name for source in found)]

    def toml(self) -> str:
        """Return the recipe as resolved: every key with its value."""
        return tomli_w.dumps(self.model_dump(mode="json"))


def load_recipe(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides and a seed, and validate all of it.

    Raises InputError that names the file and the key: a missing file, broken TOML, an unknown key, a
    value out of range, a contradiction.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"recipe '{path}' does not exist: expected a TOML file, such as recipes/demo.toml"
        ) from None
    except IsADirectoryError:
        raise InputError(f"recipe '{path}' is a folder: expected a TOML file") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"recipe '{path}' is not UTF-8 text (byte {error.start}): expected a TOML file"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe '{path}' is not valid TOML: {error}") from None
    for override in overrides:
        _override(document, override)
    if seed is not None:
        document["seed"] = seed
    return validate(document, str(path))


def validate(document: dict[str, Any], where: str) -> Recipe:
    """Return the Recipe of a parsed document; `where` opens the sentence of an error."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(error)}") from None


def layout_of(**keys: Any) -> Layout:
    """Return a Layout from loose values; raises InputError in the words of a recipe."""
    try:
        return Layout(**keys)
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


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
