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

__version__ = "0.1.0"

__all__ = [
    "Dialogue",
    "Example",
    "InputError",
    "Prediction",
    "Task",
    "Utterance",
    "__version__",
    "choose_threshold",
    "frame",
    "load",
]


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
