"""A chain on disk: `chain.json` and one PEFT adapter folder a link in, checked links out.

Reading it needs no model, so a backbone may itself be a chain (see `backbone`).
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from gsa.atomic_io import from_checked_json, sha256, to_checked_json, write_atomic
from gsa.chain.link import CONFIG, WEIGHTS, LinkWeights
from gsa.errors import InputError
from gsa.model.validation import adapter, nothing_outside

MANIFEST = "chain.json"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Link:
    """One trained LoRA of the chain, stored unmerged."""

    name: str
    folder: str
    """Name of the adapter folder below `links/`."""
    sha256: str
    """Checksum of its weights."""
    config: str = ""
    """Checksum of its adapter_config.json; empty in chains that did not note it."""
    log: str = ""
    """Checksum of the log of its steps."""


@dataclass(frozen=True)
class Manifest:
    """Base and links of a run as they lie on disk."""

    root: Path
    base: str
    """Identity of the base weights."""
    links: tuple[Link, ...] = ()
    recipe: str = ""
    """Checksum of the recipe it is tuned with; empty in chains that did not note it."""

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read `chain.json`; raises InputError if it is missing, damaged or leads out of its folder."""
        file = root / MANIFEST
        if not file.is_file():
            raise InputError(f"'{root}' holds no {MANIFEST}: expected the folder of a run made by `gsa tune`")
        try:
            stored = from_checked_json(file.read_text(encoding="utf-8"))
            links = tuple(
                Link(**{key: str(value) for key, value in link.items()}) for link in stored["links"]
            )
            chain = cls(root, str(stored["base"]), links, str(stored.get("recipe", "")))
            if not set(stored) <= {"base", "links", "recipe"}:
                raise ValueError(f"found the keys {sorted(stored)}: expected 'base', 'links' and 'recipe'")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"'{file}' is not a chain: {type(error).__name__} {error}") from None
        nothing_outside(root)
        for link in links:
            if Path(link.folder).name != link.folder or link.folder in ("", ".", ".."):
                raise InputError(
                    f"'{file}': link folder '{link.folder}' points elsewhere: expected a plain name"
                )
        return chain

    def write(self) -> None:
        """Store the chain's manifest."""
        links = [asdict(link) for link in self.links]
        content = {"base": self.base, "recipe": self.recipe, "links": links}
        write_atomic(self.root / MANIFEST, to_checked_json(content))

    def merge_into(self, model: Any, identity: str, name: str, level: int | None = None) -> None:
        """Add the first `level` links (None: all) to the weights of the base, a model in memory.

        `identity` and `name` are the model's. Raises InputError if it is not the base or a link is damaged.
        """
        if identity != self.base:
            raise InputError(f"backbone '{name}' is {identity}: '{self.root}' was tuned on {self.base}")
        for link in self.link_weights(level):
            link.merge_into(model)

    def identity(self, level: int | None = None) -> str:
        """Return the identity of the base with the first `level` links (None: all): the base's if none."""
        parts = [part for link in self.links[:level] for part in (link.sha256, link.config)]
        digest = hashlib.sha256("\n".join([self.base, *parts]).encode()).hexdigest()
        return f"chain sha256:{digest}" if parts else self.base

    def check_level(self, level: int | None) -> None:
        """Raise InputError for a level that the chain does not have."""
        if level is not None and not 0 <= level <= len(self.links):
            raise InputError(
                f"level {level}: expected 0 (untuned) to {len(self.links)}, the links in '{self.root}'"
            )

    def link_weights(self, level: int | None = None) -> list[LinkWeights]:
        """Read the first `level` links (None: all) and check them against their checksums."""
        return [LinkWeights.read(adapter(self.checked(link))) for link in self.links[:level]]

    def checked(self, link: Link) -> Path:
        """Return a link's folder; raises InputError if a file in it is missing or damaged."""
        path = self.root / "links" / link.folder
        for name, known in ((WEIGHTS, link.sha256), (CONFIG, link.config), (LOG, link.log)):
            file = path / name
            if not file.is_file() and (known or name != LOG):
                raise InputError(f"link '{link.name}': '{file}' is missing")
            if known and sha256(file) != known:
                raise InputError(
                    f"link '{link.name}': '{file}' is damaged: sha256 {sha256(file)}, expected {known}"
                )
        return path

    def log(self) -> str:
        """Return the log's lines of all links; raises InputError if a link is damaged."""
        files = [self.checked(link) / LOG for link in self.links]
        return "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
