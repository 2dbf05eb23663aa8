"""Where a predictor comes from: the shipped model, a run folder, a model folder or a Hugging Face id."""

from pathlib import Path
from typing import Any

from gsa.chain.source import ModelSource
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor


def load(
    source: str | Path | None = None, level: int | None = None, device: str = "", precision: str = ""
) -> Predictor:
    """Return a predictor.

    `source` is a run folder, a model folder or a Hugging Face id; None or `gsa-135m` is the shipped model.
    `level` is how many links of a run are applied: None is all, 0 the untuned backbone. `precision` is
    float32, bfloat16, or auto for bfloat16 where the device computes it natively; by default that of the
    recipe of a run or a merged export, and float32, the reference, for other models. Raises InputError where
    there is no such source or level, and for a precision that is unknown or that the device does not compute.
    """
    if not isinstance(source, str | Path | None):
        raise InputError(f"source: expected a folder or a Hugging Face id, found {source!r:.60}")
    if not isinstance(level, int | None):
        raise InputError(f"level: expected a number of links, found {level!r:.60}")
    model = ModelSource.find(source)
    model.check_level(level)
    if level is None:
        model.warn_of_no_level(source)
    return Predictor(*predictor_arguments(model.with_precision(precision, device), level, device))


def predictor_arguments(model: ModelSource, level: int | None = None, device: str = "") -> tuple[Any, ...]:
    """Load a model and return the arguments of its Predictor; raises InputError as `ModelSource.load`."""
    loaded = model.load(level, device, prediction=True)
    identity = identity_of(model, loaded, level)
    calibration, tuned = model.calibration(level), model.tuned_names(level)
    layout, tasks = model.layout(level), model.tasks(level)
    return loaded, layout, tasks, model.max_row_tokens, identity, calibration, tuned


def identity_of(model: ModelSource, loaded: LoadedModel, level: int | None = None) -> dict[str, Any]:
    """Return what the predictions of a loaded model depend on; see `Predictor.identity`."""
    identity: dict[str, Any] = {
        "base": loaded.identity,
        "links": [link.sha256 for link in model.chain.links[:level]] if model.chain else [],
        "layout": model.layout(level).model_dump(mode="json", exclude_none=True),
        "precision": loaded.precision,
    }
    calibration = model.calibration(level)
    return {**identity, "calibration": calibration.content()} if calibration else identity
