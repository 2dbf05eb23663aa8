"""One export of each kind for the tests of a file."""

from pathlib import Path

import pytest

from gsa.export.export import export


@pytest.fixture(scope="module")
def folders(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("exports")
    return {kind: export(tuned, kind, out / kind) for kind in ("merged", "adapter", "gguf")}
