"""Recipes: everything that a run depends on, as frozen settings.

Every strategy of the paper is a recipe: progressive tuning is three levels, multi-task tuning one level
with all datasets, an individual domain one level with its own. `recipe_file` reads one. Imports no torch.
"""

from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from gsa.data.layout import Layout
from gsa.data.task import TASKS
from gsa.errors import suggest


class _Part(BaseModel):
    # TOML says what is a number and what a text, so neither is taken for the other.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Backbone(_Part):
    """The model that the chain starts from."""

    name: str = "smollm2-135m"
    """`smollm2-135m`, the shipped `gsa-135m`, a Hugging Face id, or a local folder of a model or a run."""
    revision: str = "main"
    """Commit, tag or branch of a Hugging Face id; how many links of a run are merged, `main` for all."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the frozen weights; links are merged in float32 whatever it is."""
    attention: Literal["auto", "runs", "dense", "flex"] = "auto"
    """How a row attends: `runs` of the trie, a `dense` mask through SDPA, or FlexAttention; the same numbers.
    `auto` takes runs on CPU and the dense mask elsewhere. FlexAttention has no backward pass on CPU."""


class Lora(_Part):
    """One link's shape (paper, equation 1 and section 5.3)."""

    rank: StrictInt = Field(default=16, ge=1, le=1024)
    """Rank of the update; 4 did as well on few examples (docs/experiments.md)."""
    alpha: StrictFloat = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank."""
    dropout: StrictFloat = Field(default=0.0, ge=0, lt=1)
    """Share of a link's inputs that is left out in tuning."""
    targets: tuple[str, ...] = Field(default=("q_proj", "k_proj", "v_proj", "o_proj"), min_length=1)
    """Names of the linear layers that get a link; the paper's are those of self-attention."""


class Training(_Part):
    """How each level is tuned."""

    row_tokens: StrictInt = Field(default=768, ge=64)
    """Tokens a row after sharing; also bounds memory."""
    rows_per_step: StrictInt = Field(default=1, ge=1)
    """Rows whose gradients are added up before an optimizer step."""
    recompute: StrictBool = False
    """Keep each layer's input alone and compute the rest again for the gradients: less memory, more time."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate goes on after the warmup: down to 0 at the last step, or not at all."""
    warmup: StrictFloat = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0."""
    clip: StrictFloat = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    checkpoint_steps: StrictInt = Field(default=100, ge=1)
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
    """For your own data with a task of its own: what the model is told to do."""
    labels: tuple[str, ...] = ()
    """For your own data: the label list, in the order that prompts show."""
    protocol: str = ""
    """Split protocol, where the dataset has several; empty is its default."""
    fold: StrictInt = Field(default=0, ge=0)
    """Which part is tested on, where the protocol has several."""
    limit: StrictInt = Field(default=0, ge=0)
    """Most training examples, whole dialogues drawn with the run's seed; 0 is all."""
    per_class: StrictInt = Field(default=0, ge=0)
    """Few-shot: training examples drawn for each class; 0 is off."""
    balance: StrictFloat | None = Field(default=None, ge=0, le=1)
    """In place of the level's `balance`, for this dataset: one that is listed again may weigh as it did."""

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
    learning_rate: StrictFloat = Field(gt=0, le=1)
    """The highest, reached after the warmup."""
    epochs: StrictFloat = Field(default=1.0, gt=0, le=1000)
    """How often each example is read; a part of an epoch is the first steps of one."""
    loss: Literal["answer", "labels"] = "answer"
    """``answer``: cross-entropy of the answer's tokens over the vocabulary, as the paper's. ``labels``: of
    the label over the label list alone, which leaves other levels' answers as they are."""
    answer_weight: StrictFloat = Field(default=0.0, ge=0, le=1)
    """With the labels loss: the share of the answer loss that is added, so that greedy decoding stays on the
    label list."""
    balance: StrictFloat = Field(default=0.0, ge=0, le=1)
    """With the labels loss: an example counts as its label's frequency in the dataset to the power of minus
    this, on average 1; with 1 all labels of a dataset count the same, with 0 all examples."""

    @model_validator(mode="after")
    def _weight_of_what(self) -> "Level":
        for key in ("answer_weight", "balance"):
            found = getattr(self, key)
            if found and self.loss != "labels":
                raise ValueError(
                    f"{key}: found {found} beside loss = '{self.loss}': expected it beside loss = 'labels', "
                    "or left out"
                )
        weighed = [source.name for source in self.datasets if source.balance]
        if weighed and self.loss != "labels":
            raise ValueError(
                f"balance of '{weighed[0]}': found beside loss = '{self.loss}': expected it beside "
                "loss = 'labels', or left out"
            )
        return self

    def balance_of(self, source: Source) -> float:
        """Return the `balance` of one of its datasets."""
        return self.balance if source.balance is None else source.balance


class Evaluation(_Part):
    """What `gsa eval` measures when it is not told otherwise."""

    split: Literal["dev", "test"] = "test"
    """Settings are chosen on `dev`."""
    limit: StrictInt = Field(default=0, ge=0)
    """Most examples a dataset for the untuned and the final model; 0 is all."""
    sample: StrictInt = Field(default=500, ge=0)
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
    seed: StrictInt = Field(default=0, ge=0, lt=2**31)
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
            key = (source.path, source.task, source.instruction, source.labels, source.protocol, source.fold)
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
        """Return the recipe as resolved: every key that has a value."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
