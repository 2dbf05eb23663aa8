"""The chain on disk: a base model's identity plus its links in order (paper, equations 2 to 6).

In: a run folder with `chain.json` and one PEFT adapter folder per link. Out: checked links, applied to the
base in memory: W_k = W_pretrained + sum of B_i A_i, scaled.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gsa.atomic_io import write_atomic
from gsa.chain.link import CONFIG, LOG, WEIGHTS, LinkWeights
from gsa.chain.run_folder import RunFolder
from gsa.checksums import from_checked_json, to_checked_json, verify
from gsa.errors import InputError
from gsa.model.validation import check_adapter, check_symlinks


@dataclass(frozen=True)
class Link:
    """One trained LoRA of the chain, stored unmerged."""

    name: str
    """Of its level."""
    folder: str
    """Name of the adapter folder below `links/`."""
    files: Mapping[str, str]
    """Checksums of its weights, its configuration and, of links that were tuned here, its log."""

    @property
    def sha256(self) -> str:
        """Checksum of its weights."""
        return self.files[WEIGHTS]


@dataclass(frozen=True)
class Chain:
    """Base and links of a run."""

    root: Path
    base: str
    """Identity of the base weights."""
    links: tuple[Link, ...] = ()
    recipe: str = ""
    """Checksum of the recipe file."""

    @classmethod
    def read(cls, root: Path) -> "Chain":
        """Read `chain.json`; raises InputError if it is missing, damaged or leads out of its folder."""
        file = RunFolder(root).chain_file
        if not file.is_file():
            raise InputError(
                f"'{root}' holds no {file.name}: expected the folder of a run made by `gsa tune`"
            )
        try:
            content = from_checked_json(file.read_text(encoding="utf-8"))
            links = tuple(_link(entry) for entry in content["links"])
            chain = cls(root, str(content["base"]), links, str(content["recipe"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"'{file}' is not a chain: {type(error).__name__} {error}") from None
        check_symlinks(root)
        for link in links:
            if Path(link.folder).name != link.folder or link.folder in ("", ".", ".."):
                raise InputError(
                    f"'{file}': link folder '{link.folder}' leads elsewhere: expected a plain name"
                )
        return chain

    def write(self) -> None:
        """Store `chain.json`."""
        links = [asdict(link) for link in self.links]
        content = {"base": self.base, "recipe": self.recipe, "links": links}
        write_atomic(RunFolder(self.root).chain_file, to_checked_json(content))

    def append(self, link: Link) -> "Chain":
        """Store the chain with a link at its end, and return it."""
        chain = replace(self, links=(*self.links, link))
        chain.write()
        return chain

    def apply_to(self, model: Any, identity: str, name: str, level: int | None = None) -> None:
        """Apply the first `level` links (None: all) to the base, a model in memory.

        `identity` and `name` are the model's. Raises InputError if it is not the base or a link is damaged.
        """
        if identity != self.base:
            raise InputError(f"backbone '{name}' is {identity}: '{self.root}' was tuned on {self.base}")
        for link in self.link_weights(level):
            link.apply_to(model)

    def identity(self, level: int | None = None) -> str:
        """Return the identity of the base with the first `level` links (None: all); the base's if none."""
        parts = [link.files[name] for link in self.links[:level] for name in (WEIGHTS, CONFIG)]
        digest = hashlib.sha256("\n".join([self.base, *parts]).encode()).hexdigest()
        return f"chain sha256:{digest}" if parts else self.base

    def check_level(self, level: int | None) -> None:
        """Raise InputError for a level that the chain does not have."""
        if level is not None and not 0 <= level <= len(self.links):
            raise InputError(
                f"level {level}: expected 0 (untuned) to {len(self.links)}, the links in '{self.root}'"
            )

    def link_weights(self, level: int | None = None) -> list[LinkWeights]:
        """Return the first `level` links (None: all); raises InputError for a damaged one."""
        return [LinkWeights.read(check_adapter(self.link_folder(link))) for link in self.links[:level]]

    def link_folder(self, link: Link) -> Path:
        """Return a link's folder; raises InputError if a file in it is missing or damaged."""
        folder = RunFolder(self.root).links_folder / link.folder
        try:
            verify(folder, link.files)
        except ValueError as error:
            raise InputError(f"link '{link.name}': {error}") from None
        return folder

    def log(self) -> str:
        """Return the log lines of all links; raises InputError if a link is damaged."""
        folders = [self.link_folder(link) for link in self.links if LOG in link.files]
        return "".join((folder / LOG).read_text(encoding="utf-8") for folder in folders)


def _link(entry: Any) -> Link:
    """Return the link of an entry in `chain.json`."""
    files = {name: str(checksum) for name, checksum in entry["files"].items()}
    if not {WEIGHTS, CONFIG} <= set(files) <= {WEIGHTS, CONFIG, LOG}:
        raise ValueError(f"link files {sorted(files)}: expected {WEIGHTS}, {CONFIG} and perhaps {LOG}")
    return Link(str(entry["name"]), str(entry["folder"]), files)
