"""Recipes: everything that a run depends on, as frozen pydantic models.

Every strategy of the paper is a recipe: progressive tuning is three levels, multi-task tuning one level with
all datasets, an individual domain one level with its own. `loader` reads them. Imports no torch.
"""

from typing import Annotated, Literal

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

from gsa.data.augmentation import NAMED
from gsa.data.layout import CaseFolding, Layout
from gsa.data.task import TASKS
from gsa.data.types import is_blank, unreadable
from gsa.datasets.cells import as_name
from gsa.errors import suggest


def _readable(text: str) -> str:
    if text and (is_blank(text) or unreadable(text)):
        raise ValueError(f"expected a text, found {unreadable(text) or repr(text)[:60]}")
    return text


# TOML distinguishes numbers from strings, so numbers are strict.
LearningRate = Annotated[StrictFloat, Field(gt=0, le=1)]
Epochs = Annotated[StrictFloat, Field(gt=0, le=1000)]
ExamplesPerStep = Annotated[StrictInt, Field(ge=1)]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**31)]
Precision = Literal["float32", "bfloat16", "auto"]
Text = Annotated[str, AfterValidator(_readable)]
"""Empty where it is left out, but not of white space alone; without NUL and surrogates."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Backbone(_Section):
    """The model that the chain starts from."""

    name: str = "smollm2-135m"
    """`smollm2-135m`, the shipped `gsa-135m`, a Hugging Face id, or a local folder of a model or a run."""
    revision: str = "main"
    """Commit, tag or branch of a Hugging Face id; for a run, the number of links merged, `main` for all."""
    precision: Precision = "float32"
    """Of the frozen weights: float32 is the reference; `auto` is bfloat16 where the machine computes it
    natively. Links are float32 always, merged into float32 weights and kept beside bfloat16 ones."""
    quantize: Literal["nf4"] | None = None
    """`nf4` holds the weights of linear layers in 4 bits (QLoRA), from which products are computed in
    `precision`; links stay beside them in float32. Needs the extra `quantize`."""
    attention: Literal["auto", "runs", "dense", "flex"] = "auto"
    """Attention of a packed row: `runs` of the trie, a `dense` mask through SDPA, or FlexAttention (`flex`),
    with equal results. `auto` is runs on CPU, elsewhere dense, and flex from 8,192 tokens. FlexAttention has
    no backward pass on CPU."""


class Lora(_Section):
    """The shape of a link (paper, equation 1 and section 5.3)."""

    rank: StrictInt = Field(default=16, ge=1, le=1024)
    """Rank of the update."""
    alpha: StrictFloat = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank."""
    dropout: StrictFloat = Field(default=0.0, ge=0, lt=1)
    """Probability with which an input of a link is zeroed in tuning."""
    targets: tuple[str, ...] = Field(default=("q_proj", "k_proj", "v_proj", "o_proj"), min_length=1)
    """Names of the linear layers that get a link; the paper's are those of self-attention."""


class Training(_Section):
    """How each level is tuned."""

    examples_per_step: ExamplesPerStep = 32
    """Examples of an optimizer step, about: a conversation is not cut for it (`trie.packing.steps_of`)."""
    max_row_tokens: StrictInt = Field(default=8192, ge=64)
    """Most tokens of a packed row after prefix sharing. A row is as long as its longest conversation needs;
    one that needs more than this is cut where the least is computed twice."""
    activation_tokens: StrictInt = Field(default=1024, ge=64)
    """Tokens whose activations are kept for the gradients; for a longer row some layers are recomputed."""
    recompute: StrictBool = False
    """Gradient checkpointing: recompute activations in the backward pass; less memory, more time."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Learning rate after the warmup: decayed to 0 at the last step, or constant."""
    warmup: StrictFloat = Field(default=0.03, ge=0, lt=1)
    """Fraction of the steps in which the learning rate rises linearly from 0."""
    clip: StrictFloat = Field(default=1.0, gt=0)
    """Maximum gradient norm."""
    checkpoint_steps: StrictInt = Field(default=100, ge=1)
    """Optimizer steps between two checkpoints."""
    fsdp: StrictBool | None = None
    """Splits the backbone over the processes of a launch (FSDP2), for one that no device holds alone."""
    loader_workers: StrictInt | None = Field(default=None, ge=0, le=64)
    """Processes that build rows ahead of the model, with equal results; left out is 0 on CPU, 2 on a GPU."""
    report_to: tuple[str, ...] = ()
    """Trainer integrations, such as `tensorboard` or `wandb`."""


OWN_DATA = (
    *("task", "instruction", "labels", "context"),
    *("text_column", "label_column", "speaker_column", "dialogue_column", "aspect_column"),
)
"""Keys of a DatasetConfig that need its `path`."""


def _label(value: object) -> object:
    """Return a label without white space around it, and a number as a text."""
    name = as_name(value) if value is not None else None
    return value if name is None else name


class DatasetConfig(_Section):
    """One dataset of a level: from the catalogue, or a folder of the user's own data."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """A name of `gsa data list`, or any name for a folder of your own."""
    path: str = ""
    """Folder with train, dev and test files of your own, relative to the recipe's folder."""
    text_column: str = ""
    """For your own data: the column of texts, if it is not `text`."""
    label_column: str = ""
    """For your own data: the column of labels, if it is not `label`."""
    speaker_column: str = ""
    """For your own data: the column of speakers, if it is not `speaker`."""
    dialogue_column: str = ""
    """For your own data: the column that names each row's dialogue, if it is not `dialogue_id`."""
    aspect_column: str = ""
    """For your own data: the column of what is asked about in each row's text, if anything is."""
    task: str = ""
    """For your own data: `sentiment`, `emotion`, `sarcasm`, or a new name with an `instruction`."""
    instruction: Text = ""
    """For your own data with a new task: the instruction of its prompts."""
    labels: tuple[Annotated[str, BeforeValidator(_label)], ...] = ()
    """For your own data: the label list, in the order of the prompts; numbers are read as texts."""
    context: StrictBool | None = None
    """For your own data: whether prompts show the turns before the target; left out is as the task of that
    name does, and no for a new task."""
    protocol: str = ""
    """Split protocol, where the dataset has several; empty is its default."""
    fold: StrictInt = Field(default=0, ge=0)
    """The fold that is tested on, where the protocol has several."""
    limit: StrictInt = Field(default=0, ge=0)
    """Maximum number of training examples, whole dialogues sampled with the run's seed; 0 is all."""
    per_class: StrictInt = Field(default=0, ge=0)
    """Few-shot: training examples sampled for each class; 0 is off."""
    balance: StrictFloat | None = Field(default=None, ge=0, le=1)
    """Overrides the level's `balance` for this dataset."""
    augment: Annotated[StrictFloat, Field(gt=0, le=1)] | dict[str, StrictFloat] | None = None
    """Share of the training dialogues that are replaced by a variant with the same label: other case,
    punctuation, greetings and sign-offs, speakers' names (`gsa.data.augmentation`); or the share of each
    variant by its name, such as ``{ upper_case = 0.1, sign_off = 0.05 }``; left out is none."""

    @model_validator(mode="after")
    def _check_own_data(self) -> "DatasetConfig":
        own = [key for key in OWN_DATA if getattr(self, key)]
        if own and not self.path:
            raise ValueError(f"{own[0]}: is for your own data: expected 'path' as well")
        if self.path and not self.labels:
            raise ValueError("labels: missing: expected the label list of your own data")
        if self.path and self.task not in TASKS and not self.instruction:
            raise ValueError(
                f"task: found '{self.task}'{suggest(self.task, TASKS)}: expected one of {sorted(TASKS)}, "
                "or an 'instruction' for a task of your own"
            )
        if isinstance(self.augment, dict):
            _check_shares(self.augment)
        if self.limit and self.per_class:
            raise ValueError("limit and per_class: expected at most one of the two")
        return self


def _check_shares(augment: dict[str, float]) -> None:
    """Raise ValueError for an unknown variant or shares that are not of one whole."""
    for name, share in augment.items():
        if name not in NAMED:
            raise ValueError(
                f"augment: found '{name}'{suggest(name, NAMED)}: expected variants among {', '.join(NAMED)}"
            )
        if not 0 < share <= 1:
            raise ValueError(f"augment: {name}: found {share}: expected a share above 0, at most 1")
    if sum(augment.values()) > 1 + 1e-9:
        raise ValueError(f"augment: the shares sum to {sum(augment.values()):g}: expected at most 1")


def _expand_name(value: object) -> object:
    """Return the table that a dataset given by its name alone stands for."""
    return {"name": value} if isinstance(value, str) else value


class Level(_Section):
    """One link of the chain: the datasets it is tuned on, and its hyper-parameters."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    datasets: tuple[Annotated[DatasetConfig, BeforeValidator(_expand_name)], ...] = Field(min_length=1)
    learning_rate: LearningRate
    """Peak learning rate, reached after the warmup."""
    epochs: Epochs = 1.0
    """Number of passes over the examples; a fraction of an epoch is its first steps."""
    stop_step: StrictInt | None = Field(default=None, ge=1)
    """Optimizer step after which the level ends before its last one, as early stopping chose; the schedule of
    the learning rate is that of all steps. Left out is the last step."""
    loss: Literal["answer", "labels"] = "answer"
    """``answer``: cross-entropy of the answer's tokens over the vocabulary, as in the paper. ``labels``:
    cross-entropy of the label over the label list alone, which does not change other levels' answers."""
    answer_weight: StrictFloat = Field(default=0.0, ge=0, le=1)
    """With the labels loss: the weight of an added answer loss, which keeps greedy decoding on the label
    list."""
    lora: Lora | None = None
    """Overrides the recipe's `[lora]` for this level's link, as a whole."""
    fold_case: CaseFolding | None = None
    """Which texts are read in lower case from this level on (`Layout.fold_case`); left out is as at the level
    before, at the first level as the layout says."""
    balance: StrictFloat = Field(default=0.0, ge=0, le=1)
    """With the labels loss: an example's weight is the frequency of its label in the dataset to the power of
    -balance, scaled to mean 1. With 1 all labels have equal weight, with 0 all examples."""

    @model_validator(mode="after")
    def _check_loss(self) -> "Level":
        values = {"answer_weight": self.answer_weight, "balance": self.balance}
        values |= {f"balance of '{config.name}'": config.balance or 0.0 for config in self.datasets}
        for key, value in values.items():
            if value and self.loss != "labels":
                raise ValueError(
                    f"{key}: found {value} with loss = '{self.loss}': expected loss = 'labels', "
                    "or this key left out"
                )
        return self

    def balance_of(self, config: DatasetConfig) -> float:
        """Return the `balance` of one of the level's datasets."""
        return self.balance if config.balance is None else config.balance


class Evaluation(_Section):
    """Defaults of `gsa eval`."""

    split: Literal["dev", "test"] = "test"
    """Hyper-parameters are chosen on `dev`."""
    limit: StrictInt = Field(default=0, ge=0)
    """Maximum number of examples per dataset for the untuned and the final model; 0 is all."""
    sample: StrictInt = Field(default=500, ge=0)
    """Maximum number of examples per dataset for the levels between (always the same ones); 0 is all."""
    datasets: tuple[Annotated[DatasetConfig, BeforeValidator(_expand_name)], ...] | None = None
    """Datasets that no level is tuned on, evaluated beside those of the levels; left out is none."""


def _distinct(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    names = [level.name for level in levels]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"two levels are named '{duplicates[0]}': expected distinct names")
    for level in levels:
        names = [config.name for config in level.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"level '{level.name}' lists a dataset twice: expected each once, found {names}")
    return levels


class Recipe(_Section):
    """A complete experiment."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: Seed = 0
    backbone: Backbone = Backbone()
    layout: Layout = Layout()
    lora: Lora = Lora()
    training: Training = Training()
    levels: Annotated[tuple[Level, ...], AfterValidator(_distinct)] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _check_datasets(self) -> "Recipe":
        first = {config.name: config for config in self.datasets}
        keys = {"path", "fold", *OWN_DATA}  # the loader looks at protocols, with the catalogue
        for configs in (*(level.datasets for level in self.levels), self.evaluation.datasets or ()):
            for config in configs:
                known = first.setdefault(config.name, config)
                if config.model_dump(include=keys) != known.model_dump(include=keys):
                    raise ValueError(
                        f"dataset '{config.name}' appears with different paths, labels or folds: "
                        "expected the same for every use of a name"
                    )
        pair = [first[name] for name in ("mustard", "mustardpp") if name in first]
        if len({(config.protocol or "folds", config.fold) for config in pair}) > 1:
            raise ValueError(
                "mustard and mustardpp share items: expected the same protocol and fold for both, "
                "or training on one leaks into testing on the other"
            )
        return self

    @property
    def datasets(self) -> list[DatasetConfig]:
        """The datasets of all levels in order; one that several levels list is that of the first."""
        configs: dict[str, DatasetConfig] = {}
        for level in self.levels:
            for config in level.datasets:
                configs.setdefault(config.name, config)
        return list(configs.values())

    @property
    def evaluated_datasets(self) -> list[DatasetConfig]:
        """The datasets of all levels, and those that are evaluated alone."""
        tuned = {config.name: config for config in self.datasets}
        others = [config for config in self.evaluation.datasets or () if config.name not in tuned]
        return [*tuned.values(), *others]

    @property
    def few_shot(self) -> bool:
        """Whether any level samples its training examples by class."""
        return any(config.per_class for level in self.levels for config in level.datasets)

    def layout_at(self, level: int | None = None) -> Layout:
        """Return the layout of prompts after the first `level` levels: None is all, 0 the untuned model."""
        chosen = [self.layout.fold_case, *(each.fold_case for each in self.levels[:level])]
        folded = next((value for value in reversed(chosen) if value), None)
        return self.layout.model_copy(update={"fold_case": None if folded == "none" else folded})

    def layout_of(self, level: Level) -> Layout:
        """Return the layout of the prompts that a level is tuned on."""
        return self.layout_at(1 + [each.name for each in self.levels].index(level.name))

    def at_level(self, level: int | None) -> "Recipe":
        """Return the recipe with the layout after the first `level` levels as that of all levels."""
        levels = tuple(each.model_copy(update={"fold_case": None}) for each in self.levels)
        return self.model_copy(update={"layout": self.layout_at(level), "levels": levels})

    def lora_of(self, level: Level) -> Lora:
        """Return the shape of a level's link."""
        return level.lora or self.lora

    def toml(self) -> str:
        """Return the recipe as TOML with all defaults: every key that has a value."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
