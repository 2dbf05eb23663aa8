"""The full count of what docs/reliability.md promises, on a tiny random Llama: `make torture`.

    python tests/torture.py [kill|power|moments|signals|damage|limits|processes]... [--every N] [--out FILE]

Every case runs the command itself in a forked child, breaks it or its folder in one way, runs the same
command again and compares every byte of the links, every line of the log and every number of the results
with an undisturbed run. Prints a table, and exits with 1 if one case fails. Cases are noted one by one, so
that the same command goes on where it was stopped.
"""

import argparse
import ctypes
import functools
import gc
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent / "support")  # not tests/, whose folders are called as packages are
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import typer  # noqa: E402
from breaking import Case, Ground, command, dead, links, log  # noqa: E402
from damages import DAMAGES  # noqa: E402
from disks import anonymous, lay_out, tree  # noqa: E402
from killing import Boundaries, Child, Work  # noqa: E402

from gsa.training import metadata  # noqa: E402

MOMENTS, SIGNALS = 60, 20


class Pick:
    """Chooses the cases of a part that are due: every n-th one, and none that has been counted."""

    def __init__(self, every: int, counted: set[int]) -> None:
        self.every, self.counted, self.number = every, counted, -1

    def __call__(self, cases: Iterable[Any]) -> Iterator[Any]:
        """Yield what is due of some more cases; `number` is then that of the case within its part."""
        for case in cases:
            self.number += 1
            if self.number % self.every == 0 and self.number not in self.counted:
                yield case


def kill(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Die at every boundary. Every 7th time a process dies there, leaves the disk as it was recorded, and
    the first that goes on from it dies too."""
    disks = ground.disks()
    for n in pick(range(1, len(disks) + 1)):
        root, good = ground.fresh(), True
        if n % 7 == 0:
            code, _ = Child(command("tune", ground.recipe, "--out", root), Boundaries(root, n)).end()
            good = dead(code) and tree(root) == anonymous(disks[n - 1]["killed"])
            Child(command("tune", ground.recipe, "--out", root), Boundaries(root, n // 2 + 1)).end()
        else:
            lay_out(disks[n - 1]["killed"], ground.store, root)
        kind = "kill -9 at a file boundary" + (", twice" if n % 7 == 0 else "")
        yield ground.known(kind, f"boundary {n} of {len(disks)}", root, good)


def power(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Lose the power at every boundary, and with it what was not flushed: data, or data and names."""
    for end, lost in (("emptied", "unflushed data lost"), ("forgotten", "unflushed data and names lost")):
        for n, disk in pick(enumerate(ground.disks(), 1)):
            root = ground.fresh()
            lay_out(disk[end], ground.store, root)
            yield ground.known(f"power cut at a file boundary, {lost}", f"boundary {n}", root, True)


def processes(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Run the command in processes of their own, with one thread and with two: the same bytes again."""
    for threads in (1, 2):
        made = [ground.fresh() for _ in range(3)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        for root in made:
            words = [sys.executable, "-m", "gsa.cli.main", "tune", ground.recipe, "--out", root]
            subprocess.run([str(word) for word in words], env=environment, capture_output=True, check=True)
        like = ground.whole if threads == 1 else made.pop()  # the whole run is a forked child's
        for root in pick(made):
            same = links(root) == links(like) and log(root) == log(like)
            yield Case(f"a new process, threads: {threads}", "", root, "same bytes" if same else "FAILED")


def moments(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Die at random moments of a run."""
    for n in pick(range(MOMENTS)):
        root, moment = ground.fresh(), random.Random(n).uniform(0, ground.seconds())
        child = Child(command("tune", ground.recipe, "--out", root))
        time.sleep(moment)
        child.kill()
        child.end()
        yield ground.resumed("kill -9 at a random moment", f"after {moment:.3f} s", root, True)


def signals(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Ask politely at random moments: a sentence, the conventional exit code, and nothing lost."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        for n in pick(range(SIGNALS)):
            root, moment = ground.fresh(), random.Random(n).uniform(0.02, ground.seconds() * 0.9)
            child = Child(command("tune", ground.recipe, "--out", root))
            time.sleep(moment)
            child.kill(signum)
            code, said = child.end()
            spoke = said.count(f"gsa: stopped by {signum.name}") == 1 and "Traceback" not in said
            good = (code == 128 + signum and spoke) or code == 0  # asked when all was done
            yield ground.resumed(
                f"{signum.name} at a random moment", f"{moment:.3f} s, exit {code}", root, good
            )


def damage(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Flip, cut, empty and remove every file of a half-tuned run, a measured run, and their backbone."""
    for made, work in ((ground.half(), "tune"), (ground.measured(), "eval"), (ground.measured(), "tune")):
        files = sorted(p.relative_to(made) for p in made.rglob("[!.]*") if p.is_file())  # no dead lock
        for i, (file, name) in pick(enumerate(product(files, DAMAGES))):
            root = ground.copy(made)
            DAMAGES[name](root / file, random.Random(i))
            yield ground.survived(f"{name}, then gsa {work}", str(file), root, work)
    files = sorted(path.relative_to(ground.backbone) for path in ground.backbone.iterdir())
    for i, (file, name) in pick(enumerate(product(files, DAMAGES))):
        root = ground.unmeasured()
        with ground.spare(ground.backbone / file):
            DAMAGES[name](ground.backbone / file, random.Random(i))
            yield ground.survived(f"{name} in the backbone", str(file), root, "eval")


def limits(ground: Ground, pick: Pick) -> Iterator[Case]:
    """Fill the disk, make it read-only (where mounting is allowed), lack memory, meet another process."""
    try:
        with ground.disk(64):
            sizes, works = range(8, 208, 8), ("tune", "eval")
    except (OSError, subprocess.CalledProcessError):
        print("full and read-only disks are not counted here: mounting is not allowed")
        sizes, works = range(0), ()
    for size in pick(sizes):
        with ground.disk(size) as (root, remount):
            code, said = Child(command("tune", ground.recipe, "--out", root)).end()
            full = code == 2 and one_sentence(said, "No space left on device")
            kind = "a full disk" if full else "a disk that is large enough"
            remount("size=64m")
            yield ground.resumed(kind, f"{size} KiB, exit {code}: {said[-300:]}", root, full or code == 0)
    for work in pick(works):
        with ground.disk(65536) as (root, remount):
            shutil.copytree(ground.half(), root)
            remount("ro")
            words = ("tune", ground.recipe, "--out", root) if work == "tune" else ("eval", root)
            code, said = Child(command(*words)).end()
            remount("rw")
            good = code == 2 and one_sentence(said, "Read-only file system")
            yield ground.resumed(f"a read-only disk, gsa {work}", f"exit {code}: {said[-300:]}", root, good)
    wide = Ground(ground.fresh(), hidden_size=128, intermediate_size=1024)  # so that it needs some MiB
    for room in pick(range(0, 16 << 10, 512)):
        root = wide.fresh()
        code, said = Child(within(room << 10, command("tune", wide.recipe, "--out", root))).end()
        # A library that aborts when it gets no memory leaves no sentence, but loses nothing either.
        spoke = code == 2 and one_sentence(said, "memory")
        kind = "a sentence" if spoke else "enough" if code == 0 else "an abort"
        good = spoke or code == 0 or -code in (signal.SIGABRT, signal.SIGSEGV)
        yield wide.resumed(f"short memory, {kind}", f"{room} KiB, exit {code}: {said[-600:]}", root, good)
    for _ in pick(range(10)):
        root = ground.fresh()
        first = Child(command("tune", ground.recipe, "--out", root))
        while not (root / "recipe.toml").is_file():
            time.sleep(0.001)
        first.kill(signal.SIGSTOP)
        code, said = Child(command("tune", ground.recipe, "--out", root)).end()
        first.kill()
        first.end()
        good = code == 2 and one_sentence(said, "another process is working in this folder")
        yield ground.resumed("a second process", f"exit {code}: {said[-300:]}", root, good)


def one_sentence(said: str, words: str) -> bool:
    """Whether a command said one sentence, with these words, and no traceback."""
    found = [line for line in said.splitlines() if line.startswith("gsa: ")]
    return len(found) == 1 and words in found[0] and "Traceback" not in said and "escaped" not in said


def within(room: int, work: Work) -> Work:
    """Return work that has `room` bytes of address space beyond what its process has already."""

    def limited() -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what this process has and does not use is no room either
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
        work()

    return limited


PARTS = {part.__name__: part for part in (kill, power, moments, signals, damage, limits, processes)}


def main() -> int:
    """Run the parts, print what came of them, and store the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all if not given")
    parser.add_argument("--every", type=int, default=1, help="only every n-th case")
    parser.add_argument("--out", type=Path, help="JSON file of counts; a .jsonl of cases grows beside it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    typer.main.get_command = functools.cache(typer.main.get_command)  # once, not in every child
    metadata.version = functools.cache(metadata.version)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # what is flushed there is flushed at once
    failed = False
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        ground = Ground(Path(scratch))
        if given.out:
            given.out.parent.mkdir(parents=True, exist_ok=True)
        journal = given.out.with_suffix(".jsonl") if given.out else Path(scratch) / "cases.jsonl"
        for part in given.parts or PARTS:
            pick = Pick(given.every, {row["number"] for row in counted(journal) if row["part"] == part})
            for case in PARTS[part](ground, pick):
                if case.outcome == "FAILED":
                    failed = True
                    print(f"FAILED {case.kind}: {case.what}: {case.said[-600:]}", flush=True)
                row = {"part": part, "number": pick.number, "case": case.kind, "outcome": case.outcome}
                with journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                shutil.rmtree(case.root, ignore_errors=True)
        report(counted(journal), given.out)
    return 1 if failed else 0


def counted(journal: Path) -> list[dict[str, Any]]:
    """Return the cases that a journal holds."""
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.is_file() else []


def report(cases: list[dict[str, Any]], out: Path | None) -> None:
    """Print the counts of all cases and store them."""
    counts = Counter((row["part"], row["case"], row["outcome"]) for row in cases)
    rows = [{"part": p, "case": k, "outcome": o, "count": n} for (p, k, o), n in sorted(counts.items())]
    for row in rows:
        print(f"{row['case']:<60} {row['outcome']:<45} {row['count']:>6}")
    if out:
        out.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
