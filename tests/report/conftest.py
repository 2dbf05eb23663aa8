"""An invented study, written once."""

from pathlib import Path

import pytest
from study import write_study

from gsa.report import curves, figures
from gsa.report.runs import by_arm, read_runs


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms with two seeds each; not to be changed."""
    return write_study(tmp_path_factory.mktemp("study") / "study")


@pytest.fixture(scope="session")
def arms(study: Path):
    return by_arm(read_runs([study]))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """The figures that are drawn."""
    saved = []
    original = figures.save

    def keep(figure, path):
        saved.append(figure)
        original(figure, path)

    for module in (figures, curves):
        monkeypatch.setattr(module, "save", keep)
    return saved
