"""A data root of invented files, and ways to spoil it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = os.environ.get("GSA_DATA", "")
    if not root or not Path(root).is_dir():
        skip = pytest.mark.skip(reason="GSA_DATA names no folder of benchmark data")
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(skip)


@pytest.fixture
def tiny() -> Path:
    """A data root that is not to be changed."""
    return FIXTURES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root of one's own."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "data"))


@pytest.fixture
def spoil(root: Path) -> Callable[[str, str, str], Path]:
    """Replace a piece of a file of ``root`` that occurs in it, its first place only."""

    def replace(name: str, old: str, new: str) -> Path:
        path = root / name
        content = path.read_bytes().decode()
        assert old in content
        path.write_bytes(content.replace(old, new, 1).encode())
        return path

    return replace
