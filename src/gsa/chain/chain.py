"""The chain: a base model's identity plus its links in order (paper, equations 2 to 6).

In: a run folder with `chain.json` and one PEFT adapter folder a link. Out: the base with the first k
links merged in, W_k = W_pretrained + sum of B_i A_i, scaled; or a model with one fresh link on top.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from gsa.chain.backbone import Loaded, load_backbone
from gsa.chain.links import CONFIG, WEIGHTS, LinkWeights
from gsa.chain.quiet import quiet
from gsa.chain.recipe import Backbone, Lora
from gsa.chain.trust import adapter, nothing_outside
from gsa.errors import InputError, suggest
from gsa.files import aside, sealed, sha256, unsealed, write

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
class Chain:
    """Base and links of a run; what is on disk, not in memory."""

    root: Path
    base: str
    """Identity of the base weights."""
    links: tuple[Link, ...] = ()
    recipe: str = ""
    """Checksum of the recipe it is tuned with; empty in chains that did not note it."""

    @classmethod
    def read(cls, root: Path) -> "Chain":
        """Read `chain.json`; raises InputError if it is missing, damaged or leads out of its folder."""
        file = root / MANIFEST
        if not file.is_file():
            raise InputError(f"'{root}' holds no {MANIFEST}: expected the folder of a run made by `gsa tune`")
        try:
            stored = unsealed(file.read_text(encoding="utf-8"))
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
        write(self.root / MANIFEST, sealed(content))

    def load(self, backbone: Backbone, level: int | None = None, device: str = "") -> Loaded:
        """Load the base and merge the first `level` links into it; None merges all, 0 none.

        Raises InputError where the base is another one, the chain is shorter, or a link is damaged.
        """
        self.check_level(level)
        loaded = load_backbone(backbone, device)
        if loaded.identity != self.base:
            raise InputError(
                f"backbone '{backbone.name}' is {loaded.identity}: '{self.root}' was tuned on {self.base}"
            )
        for link in self.link_weights(level):
            link.fold_into(loaded.model)
        return loaded

    def check_level(self, level: int | None) -> None:
        """Raise InputError for a level that the chain does not have."""
        if level is not None and not 0 <= level <= len(self.links):
            raise InputError(
                f"level {level}: expected 0 (untuned) to {len(self.links)}, the links in '{self.root}'"
            )

    def link_weights(self, level: int | None = None) -> list[LinkWeights]:
        """Read the first `level` links (None: all) and check them against their checksums."""
        return [LinkWeights.read(adapter(self.checked(link))) for link in self.links[:level]]

    def extended(self, name: str, model: Any, base_name: str, log: str) -> "Chain":
        """Store a trained link with the log of its steps; return the chain with it at the end."""
        folder = f"{len(self.links) + 1}-{name}"
        path = self.root / "links" / folder
        config = model.peft_config["default"]
        with aside(path) as draft:
            draft.mkdir()
            # PEFT would note the local path that the base was read from.
            config.base_model_name_or_path, config.inference_mode = base_name, True
            config.target_modules = sorted(config.target_modules)  # a set's order differs from day to day
            config.save_pretrained(draft)
            weights = {key: w.detach().cpu().contiguous() for key, w in link_weights(model).items()}
            (draft / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
            (draft / LOG).write_text(log, encoding="utf-8")
        link = Link(name, folder, *(sha256(path / file) for file in (WEIGHTS, CONFIG, LOG)))
        chain = replace(self, links=(*self.links, link))
        chain.write()
        return chain

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


def fresh_link(model: Any, lora: Lora, seed: int) -> Any:
    """Put a new link on merged, frozen weights: A is random Gaussian, B zero, so nothing changes yet."""
    from peft import LoraConfig, get_peft_model  # slow to import, and only tuning needs it

    names = [name for name, _ in model.named_modules()]
    for target in lora.targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            known = {name.rpartition(".")[2] for name in names if name.endswith("proj")}
            raise InputError(f"lora.targets: this model has no layer '{target}'{suggest(target, known)}")
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        init_lora_weights="gaussian",
        task_type="CAUSAL_LM",
    )
    with quiet():
        return get_peft_model(model, config)


def merge(model: Any) -> Any:
    """Fold the active link into the weights: W + B A * alpha / rank, added in float32, then cast.

    Only weights are cast: buffers, such as rotary frequencies, stay float32 as they were loaded.
    """
    base = model.get_base_model().dtype
    for parameter in model.parameters():
        parameter.data = parameter.data.float()
    merged = model.merge_and_unload(safe_merge=True)
    for parameter in merged.parameters():
        parameter.data = parameter.data.to(base)
    return merged.requires_grad_(False).eval()


def link_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return the active link's tensors by name."""
    from peft.utils import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(model, save_embedding_layers=False))
