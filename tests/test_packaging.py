"""What a release is made of: one version, files that are packaged, pages that are in the site."""

import fnmatch
import re
import tomllib
from pathlib import Path

import yaml

import gsa

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert gsa.__version__ == PROJECT["project"]["version"] == citation["version"]
    assert citation["license"] == PROJECT["project"]["license"]


def test_every_file_of_the_package_that_is_no_code_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["gsa"]
    package = ROOT / "src" / "gsa"
    files = [path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()]
    others = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert len(others) > 20
    assert [name for name in others if not any(fnmatch.fnmatch(name, p) for p in patterns)] == []


def test_the_site_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\w+\.md)$", text, re.M))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= named
    assert {"index.md", "card.md", "changelog.md", "contributing.md"} <= named


def test_the_image_installs_extras_that_exist_and_the_tested_torch() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", lines)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    (torch,) = re.findall(r"torch==[\d.]+", lines)
    assert torch in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_ci_and_the_workflow_run_targets_that_exist() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    for file in (ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "check.yml"):
        targets = re.findall(r"^(?:\s+- run: )?make (\w+)", file.read_text(encoding="utf-8"), re.M)
        assert {"check", "site", "dist"} <= set(targets), file
        assert all(re.search(rf"^{target}:", rules, re.M) for target in targets)
