"""Imports run one way, as CONTRIBUTING says, and each library stays where it belongs."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "gsa"
CORE = {"data", "datasets", "trie", "recipes", "model", "chain"}
BELOW: dict[str, set[str]] = {
    "data": set(),
    "datasets": {"data"},
    "trie": {"data"},
    "recipes": {"data", "datasets"},
    "model": {"data", "datasets", "trie", "recipes"},
    "chain": CORE,
    "training": CORE,
    "evaluation": CORE,
    "export": CORE,
    "prediction": CORE,
    "experiments": CORE | {"training", "evaluation"},
    "report": {"data", "datasets", "recipes", "evaluation"},
    "tuning": CORE | {"training", "evaluation", "prediction", "experiments"},
    "cluster": CORE | {"prediction"},
    "serving": CORE | {"prediction"},
    "web": CORE | {"prediction", "serving"},
}
"""What each package may import beside itself; single files such as `errors` serve all, `cli` imports all."""
WIDEST = 14
"""Most files of a package; `datasets` has one file a dataset."""
FILES = [(package, file) for package in BELOW for file in sorted((SOURCE / package).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    """Return the dotted names that a file imports, those within functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names |= {f"{node.module}.{each.name}" for each in node.names}
    return names


@pytest.mark.parametrize(("package", "file"), FILES, ids=[str(file.relative_to(SOURCE)) for _, file in FILES])
def test_a_package_imports_only_what_is_below_it(package: str, file: Path) -> None:
    names = imported(file)
    packages = {name.split(".")[1] for name in names if name.startswith("gsa.")} & {*BELOW, "cli"}
    assert packages <= BELOW[package] | {package}
    roots = {name.split(".")[0] for name in names}
    assert "peft" not in roots or package in ("chain", "training"), "only the chain knows PEFT"
    assert "torch" not in roots or package not in ("data", "datasets", "recipes", "report"), "no torch here"


def test_no_package_is_wider_than_one_can_see_through() -> None:
    counts = {
        package: sum(1 for each, file in FILES if each == package and file.name != "__init__.py")
        for package in BELOW
    }
    assert {name: n for name, n in counts.items() if n > WIDEST and name != "datasets"} == {}


def test_every_package_was_looked_at() -> None:
    packages = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file()}
    assert packages == {*BELOW, "cli"}
    assert len(FILES) > 80
