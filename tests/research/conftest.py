"""An invented study, written once."""

from pathlib import Path

import pytest
from study import write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms with two seeds each; not to be changed."""
    return write_study(tmp_path_factory.mktemp("study") / "study")
