"""A task that a tiny model learns, and a model that was tuned on it."""

from pathlib import Path

import pytest
from labelled import LABELS, SETTINGS, TEXTS

import gsa
from gsa.tuning.model import TunedModel


@pytest.fixture(scope="session")
def settings(tiny_folder: Path) -> dict[str, object]:
    """Arguments by which the tiny model is tuned fast."""
    return {"model": str(tiny_folder), **SETTINGS}


@pytest.fixture(scope="session")
def tuned_model(settings: dict[str, object]) -> TunedModel:
    """A model of 96 texts, the others held out; not to be changed."""
    return gsa.tune(TEXTS, LABELS, task="urgency", progress=False, **settings)
