"""A tiny run to break: its recipe and backbone, what it should come to, and what came of a broken one."""

import contextlib
import gc
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disks import Recorder, Tree, lay_out, recorded, tree
from killing import Child, Work
from tiny import byte_tokenizer, tiny_llama

RECIPE = """
name = "tiny"
[backbone]
name = "{backbone}"
[training]
max_row_tokens = 800
examples_per_step = 6
checkpoint_steps = 1
[lora]
rank = 2
targets = ["q_proj", "v_proj"]
[[levels]]
name = "SA"
datasets = [{{ name = "sampler-sentiment", limit = 7 }}]
learning_rate = 1e-2
[[levels]]
name = "ERC"
datasets = [{{ name = "sampler-emotion", limit = 20 }}]
learning_rate = 1e-2
[[levels]]
name = "SD"
datasets = [{{ name = "sampler-sarcasm", limit = 2 }}]
learning_rate = 1e-2
[evaluation]
limit = 4
sample = 2
"""


def command(*words: object) -> Work:
    """Return the work of a child: the command `gsa` with these words."""

    def work() -> None:
        from gsa.cli.main import main

        sys.argv = ["gsa", *map(str, words)]
        main()

    return work


def here(*words: object) -> tuple[int, str]:
    """Run the command in this process, as polars does not survive a fork; return what a child's end would."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            command(*words)()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except Exception as error:
            code = 1
            print(f"escaped: {type(error).__name__}: {error}")
    return code, out.getvalue()


@dataclass(frozen=True)
class Case:
    """What came of one case."""

    kind: str
    what: str
    root: Path
    outcome: str
    said: str = ""


class Ground:
    """Where cases are tried, and the undisturbed run that they are compared with."""

    def __init__(self, scratch: Path, **changes: object) -> None:
        """`changes` are those of the backbone's configuration."""
        self.scratch, self.count = scratch, 0
        self.backbone, self.recipe = scratch / "backbone", scratch / "tiny.toml"
        tiny_llama(**changes).save_pretrained(self.backbone)
        byte_tokenizer().save_pretrained(self.backbone)
        self.recipe.write_text(RECIPE.format(backbone=self.backbone.as_posix()), encoding="utf-8")
        self._import_all()
        self.whole = self.fresh()
        began = time.monotonic()
        self._run("tune", self.recipe, "--out", self.whole)
        self._seconds = time.monotonic() - began
        self.links, self.log = links(self.whole), log(self.whole)
        self.store = scratch / "store"
        self._disks: list[dict[str, Tree]] = []
        self._known: dict[str, Case] = {}
        self._half: Path | None = None
        self._measured: Path | None = None

    def _import_all(self) -> None:
        """Do it all once in this process, so that children need not import what a first time imports."""
        code, said = here("tune", self.recipe, "--out", self.fresh())
        assert code == 0, said
        gc.collect()
        gc.freeze()  # what is there already need not be looked through by every child

    def _run(self, *words: object) -> str:
        code, said = Child(command(*words)).end()
        assert code == 0, said
        return said

    def seconds(self) -> float:
        """How long an undisturbed run takes."""
        return self._seconds

    def disks(self) -> list[dict[str, Tree]]:
        """Return what would be on disk at each file boundary of an undisturbed run, see `disks`."""
        if not self._disks:
            root = self.fresh()
            work = command("tune", self.recipe, "--out", root)
            code, said = Child(work, Recorder(root, self.store)).end()
            assert code == 0, said
            self._disks = recorded(self.store)
        return self._disks

    def boundaries(self) -> int:
        """How many file boundaries an undisturbed run has."""
        return len(self.disks())

    def fresh(self) -> Path:
        """Return a folder that is not there yet."""
        self.count += 1
        return self.scratch / f"run{self.count}"

    def copy(self, made: Path) -> Path:
        return Path(shutil.copytree(made, self.fresh()))

    def half(self) -> Path:
        """Return a run killed in the middle of its second level, with two checkpoints."""
        if self._half is None:
            root = self.fresh()
            wanted = {f"checkpoints/2-ERC/checkpoint-{step}/SHA256SUMS" for step in (1, 2)}
            disks = [disk["killed"] for disk in self.disks() if wanted <= set(disk["killed"])]
            lay_out(next(d for d in disks if not any(".part" in name for name in d)), self.store, root)
            self._half = root
        return self._half

    def measured(self) -> Path:
        """Return the undisturbed run with the files of `gsa eval`."""
        if self._measured is None:
            root = self.copy(self.whole)
            code, said = here("eval", root)
            assert code == 0, said
            self._measured, self.results = root, results(root)
        return self._measured

    def unmeasured(self) -> Path:
        """Return a measured run without its predictions, so that measuring loads the backbone."""
        root = self.copy(self.measured())
        shutil.rmtree(root / "predictions")
        (root / "results.jsonl").unlink()
        return root

    @contextlib.contextmanager
    def spare(self, file: Path) -> Iterator[None]:
        """Bring a file back when the block ends."""
        content = file.read_bytes()
        try:
            yield
        finally:
            file.write_bytes(content)

    @contextlib.contextmanager
    def disk(self, size: int) -> Iterator[tuple[Path, Callable[[str], None]]]:
        """Mount a disk of `size` KiB; yield a run folder on it and a way to remount it with other options."""
        place = self.fresh()
        place.mkdir()

        def mount(options: str, *more: str) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, *more, "gsa", str(place)], check=True)

        mount(f"size={size}k")
        try:
            yield place / "run", lambda options: mount(f"remount,{options}")
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def resumed(self, kind: str, what: str, root: Path, good: bool) -> Case:
        """Give the same command again after a death, and compare."""
        code, said = Child(command("tune", self.recipe, "--out", root)).end()
        strays = [str(path) for path in root.rglob(".*")] + [str(path) for path in root.glob("checkpoints*")]
        same = code == 0 and links(root) == self.links and log(root) == self.log
        outcome = "same bytes" if good and same and not strays else "FAILED"
        return Case(
            kind, f"{what}: good {good}, exit {code}, same {same}, strays {strays}", root, outcome, said
        )

    def known(self, kind: str, what: str, root: Path, good: bool) -> Case:
        """As `resumed`, but what a disk came to is remembered for all boundaries that leave the same."""
        disk = json.dumps(tree(root))
        if disk not in self._known:
            self._known[disk] = self.resumed(kind, what, root, good)
            return self._known[disk]
        outcome = self._known[disk].outcome if good else "FAILED"
        if outcome != "FAILED":
            outcome = "the same disk as at another boundary"
        return replace(self._known[disk], kind=kind, what=what, root=root, outcome=outcome)

    def survived(self, kind: str, what: str, root: Path, work: str) -> Case:
        """Work on a damaged run: a sentence and exit code 2, or the undisturbed result; nothing else."""
        if work == "tune":
            code, said = Child(command("tune", self.recipe, "--out", root)).end()
        else:
            code, said = here("eval", root)
        sentence = [line for line in said.splitlines() if line.startswith("gsa: ")]
        outcome = "FAILED"
        if code == 2 and len(sentence) == 1 and "Traceback" not in said and "escaped" not in said:
            outcome = "refused with a sentence"
        elif code == 0 and work == "tune" and links(root) == self.links:
            if log(root) == self.log:
                reported = "damaged" in said or "resuming from" in said
                outcome = "reported, then the same bytes" if reported else "not needed, the same bytes"
        elif code == 0 and work == "eval" and results(root) == self.results:
            noted = "reported, then" if "damaged" in said else "not needed,"
            outcome = f"{noted} the same results"
        return Case(kind, f"{what}, exit {code}", root, outcome, said[-1500:])


def links(root: Path) -> list[tuple[str, bytes]]:
    """Return all files of all links."""
    found = sorted(path for path in (root / "links").rglob("*") if path.is_file())
    return [(str(path.relative_to(root)), path.read_bytes()) for path in found]


def log(root: Path) -> bytes:
    """Return the log of a run."""
    return (root / "log.jsonl").read_bytes()


def results(root: Path) -> list[dict[str, Any]]:
    """Return the result rows, in an order of their own."""
    rows = [json.loads(line) for line in (root / "results.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def dead(code: int) -> bool:
    return code == -signal.SIGKILL
