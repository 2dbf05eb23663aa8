"""Imports run one way, as CONTRIBUTING says, and each library stays where it belongs."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "gsa"
BELOW = {
    "tasks": set(),
    "datasets": {"tasks"},
    "trie": {"tasks"},
    "chain": {"tasks", "datasets", "trie"},
    "evaluation": {"tasks", "datasets", "trie", "chain"},
    "inference": {"tasks", "datasets", "trie", "chain", "evaluation"},
}
"""What each part may import; `errors`, `files`, `stopping` and `terminal` serve all."""
FILES = [(part, file) for part in BELOW for file in sorted((SOURCE / part).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    """Return the dotted names that a file imports, those within functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


@pytest.mark.parametrize(("part", "file"), FILES, ids=[str(file.relative_to(SOURCE)) for _, file in FILES])
def test_a_part_imports_what_is_below_it(part: str, file: Path) -> None:
    names = imported(file)
    parts = {name.split(".")[1] for name in names if name.startswith("gsa.")} & set(BELOW)
    assert parts <= BELOW[part] | {part}
    roots = {name.split(".")[0] for name in names}
    assert "peft" not in roots or part == "chain", "only the chain knows PEFT"
    assert "torch" not in roots or part != "datasets", "datasets know no torch"


def test_every_part_was_looked_at() -> None:
    assert {part for part, _ in FILES} == {
        folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file()
    }
    assert len(FILES) > 80
