"""gsa: one language model for sentiment, emotion and sarcasm, tuned level by level."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Prediction, Utterance
from gsa.errors import InputError

if TYPE_CHECKING:
    from gsa.evaluation.thresholds import Threshold
    from gsa.prediction.predictor import Predictor
    from gsa.tuning.estimator import GsaClassifier
    from gsa.tuning.model import TunedModel

__version__ = "0.1.0"

__all__ = [
    "Dialogue",
    "Example",
    "GsaClassifier",
    "InputError",
    "Prediction",
    "Task",
    "Utterance",
    "__version__",
    "choose_threshold",
    "frame",
    "load",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Return `GsaClassifier`, which needs scikit-learn and is imported when it is first used."""
    if name == "GsaClassifier":
        from gsa.tuning.estimator import GsaClassifier

        return GsaClassifier
    raise AttributeError(f"module 'gsa' has no attribute '{name}'")


def load(
    source: str | Path | None = None, level: int | None = None, device: str = "", precision: str = ""
) -> "Predictor":
    """Return a predictor; its `sentiment`, `emotions`, `sarcasm` and `classify` label texts.

    `source` is a run folder, a model folder or a Hugging Face id; None is the shipped model. `level` is how
    many links of a run are applied: None is all, 0 the untuned backbone. `device` is a torch device; empty
    takes CUDA where there is one. `precision` is that of the weights: float32 (the reference), bfloat16 (half
    the memory), or auto for bfloat16 where the device computes it natively; empty is that of the recipe of a
    run or a merged export, and float32 for other models. Raises InputError where there is no such source or
    level, and for a precision that is unknown or that the device does not compute.
    """
    from gsa.prediction.loading import load as load_predictor  # torch waits until something is loaded

    return load_predictor(source, level, device, precision)


def frame(
    predictions: "Prediction | Sequence[Prediction | None] | Sequence[Sequence[Prediction | None]]",
    library: str = "",
) -> Any:
    """Return a DataFrame of predictions, with the columns that `gsa predict` adds to a file.

    Lists of the turns of conversations give the columns `conversation` and `turn` too. `library` is polars or
    pandas; empty takes the first that is installed. Raises InputError where it is not installed.
    """
    from gsa.prediction.frames import frame as to_frame

    return to_frame(predictions, library)


def choose_threshold(
    predictions: Sequence[Prediction], labels: Sequence[str], precision: float
) -> "Threshold":
    """Return the `min_confidence` that labels most texts while at least `precision` of the labels are right.

    `labels` are the right ones of dev data, in the order of the predictions. Raises InputError where no
    confidence gives that precision.
    """
    from gsa.evaluation.thresholds import choose_threshold as choose

    return choose(predictions, labels, precision)


def tune(
    texts: Any,
    labels: Any,
    *,
    data: Any = None,
    task: str = "",
    instruction: str = "",
    model: str | Path = "gsa-135m",
    learning_rate: float | None = None,
    epochs: float | None = None,
    examples_per_step: int | None = None,
    held_out: float = 0.2,
    folds: int = 0,
    seed: int = 0,
    precision: str = "float32",
    progress: bool = True,
) -> "TunedModel":
    """Return a model that was tuned on labelled texts: a predictor that can be saved as a run.

    `texts` and `labels` are lists, arrays or Series of the same length, or names of columns of `data`, a
    table. A text may be a conversation, a list of turns as `Predictor.emotions` takes them: its label is that
    of the last turn, or a list with a label, or None, of each turn. `task` is the name that `classify` takes;
    by default that of the Series or column, else "label". `instruction` is what the model is asked; a
    sentence with the task's name if it is empty. `model` is what the new link is tuned on: the shipped model,
    a run, a model folder or a Hugging Face id.

    `learning_rate`, `epochs` and `examples_per_step` are chosen for the number of texts where they are None.
    The share `held_out` of the texts, rounded to 1/2, 1/3, 1/4 and so on, is not trained on if that is 20
    texts or more: the epoch with the best weighted F1 on it is kept, and tuning ends after three without a
    better one. Fewer than 1,000 texts are all trained on in the end, unless `epochs` is given. `folds` of 2
    or more tunes that many models more, for the scores of cross-validation. The results are beside those of
    TF-IDF with logistic regression, and a warning says if they are lower.
    `progress` prints messages to standard error, unless the program configured logging. Raises InputError
    that names the text, label or argument that is wrong.
    """
    from gsa.tuning.tune import Options
    from gsa.tuning.tune import tune as tune_model

    settings = Options.parse(
        task=task,
        instruction=instruction,
        model=str(model) if isinstance(model, Path) else model,
        learning_rate=learning_rate,
        epochs=epochs,
        examples_per_step=examples_per_step,
        held_out=held_out,
        folds=folds,
        seed=seed,
        precision=precision,
    )
    return tune_model(texts, labels, data, settings, progress)
