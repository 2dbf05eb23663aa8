"""Hooks of `mkdocs build`: pages that lie outside docs/, and links to files that are not in the site.

README, model card, CONTRIBUTING and CHANGELOG become pages. A link to one of them leads to its page; one to
any other file of the repository keeps its text alone.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "src/gsa/pretrained/gsa-135m/README.md": "card.md",
}
"""Path in the repository to path in the site."""
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside docs/."""
    for source, target in PAGES.items():
        text = FRONT_MATTER.sub("", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, target, content=rewritten(text, (ROOT / source).parent)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite the links of a page of docs/."""
    return markdown if page.file.src_uri in PAGES.values() else rewritten(markdown, ROOT / "docs")


def rewritten(text: str, folder: Path) -> str:
    """Return a text with its links as the site has them; they are relative to `folder`."""

    def link(match: re.Match[str]) -> str:
        title, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        path = (folder / target).resolve()
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
        if name in PAGES:
            return f"[{title}]({PAGES[name]}{anchor})"
        if name.startswith("docs/"):
            return f"[{title}]({name.removeprefix('docs/')}{anchor})"
        return title

    return LINK.sub(link, text)
