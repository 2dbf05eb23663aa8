"""The driver: each measure's contestants in alternating rounds, a process each; rows, and a table of them.

    python benchmarks/bench.py run                      # all measures, 3 rounds
    python benchmarks/bench.py run erc-train-meld --only gsa-paper trainer --dialogues 6
    python benchmarks/bench.py table                    # results/bench/table.md from results/bench/rows.jsonl

A round that is on disk for the same commit of `src` and `benchmarks` is skipped unless `--again`.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import weights
from export import GGUF, Selection, export
from gsa.atomic_io import write_atomic
from gsa.errors import InputError
from gsa.training.plan import matmul_gflops
from measures import MEASURES, Contestant, Measure
from table import table

HERE = Path(__file__).parent
ROOT = HERE.parent
ROWS = ROOT / "results" / "bench" / "rows.jsonl"
INPUT = ROOT / "build" / "bench"
BATCHES = (1, 2, 4, 8, 16)
HIDDEN = 576
"""Width of the default backbone, for the machine's matrix product."""
Row = dict[str, Any]


def commit() -> str:
    """Return the last commit that touched what is measured, with a plus if there are changes since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    known = git("log", "-1", "--format=%h", "--", "src", "benchmarks") or "unknown"
    return known + "+" * bool(git("status", "--porcelain", "--", "src", "benchmarks"))


def machine() -> Row:
    """Return processor, cores and the float32 matrix product of this moment, in GFLOP/s."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    return {"cpu": cpu, "cores": os.cpu_count(), "gflops": round(matmul_gflops(HIDDEN), 1)}


def read_rows(path: Path) -> list[Row]:
    """Return the rows on disk, none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def append(path: Path, row: Row) -> None:
    """Put one row at the end of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def done(rows: Sequence[Row], **key: Any) -> bool:
    """Tell whether a row with these values is there and holds a measurement."""
    matching = [row for row in rows if all(row.get(name) == value for name, value in key.items())]
    return any("failed" not in row for row in matching)


def interpreter(environment: str) -> Path:
    """Return a contestant's python; raises InputError if its environment was not made."""
    if not environment:
        return Path(sys.executable)
    python = ROOT / f".venv-bench-{environment}" / "bin" / "python"
    if not python.exists():
        raise InputError(f"'{python.parents[1].name}' is not there: expected it to be made by `make bench`")
    return python


def call(contestant: Contestant, folder: Path, *more: str, patience: float) -> Row:
    """Run a contestant in a process of its own and return its JSON line, or why there is none."""
    head, *rest = (*contestant.arguments, "") if contestant.ours else ("", *contestant.arguments)
    arguments = [head, str(folder), *rest, *more]
    arguments += ["--precision", contestant.precision] if contestant.precision != "float32" else []
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}
    if not contestant.ours:  # a peer's environment holds its own versions of everything
        environment.pop("PYTHONPATH", None)
    try:
        command = [interpreter(contestant.environment), HERE / contestant.script, *filter(None, arguments)]
        ran = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=patience, check=False
        )
    except InputError as error:
        return {"failed": str(error)}
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {patience:.0f} s"}
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or not lines:
        return {"failed": (ran.stderr.strip().splitlines() or ["it printed nothing"])[-1][:300]}
    return dict(json.loads(lines[-1]))


def folder_of(name: str, measure: Measure, contestant: Contestant, share: int, dialogues: int) -> Path:
    """Export a contestant's input, once a commit."""
    words = [contestant.layout, str(contestant.row_tokens), f"{dialogues}d", f"{share}of{measure.shares}"]
    words += [f"{len(contestant.labels)}labels"] if contestant.labels else []
    folder = INPUT / commit() / name / "-".join(words)
    if contestant.environment == "llamacpp":
        weights.make(GGUF.with_name(f"smollm2-135m-{contestant.precision}.gguf"), contestant.precision)
    if not (folder / "examples.jsonl").is_file():
        selection = Selection(
            measure.datasets,
            measure.split,
            contestant.layout,
            dialogues,
            share,
            measure.shares,
            contestant.row_tokens,
            contestant.labels,
        )
        export(folder, selection)
    return folder


def batch_of(key: Row, contestant: Contestant, folder: Path, path: Path, patience: float) -> list[str]:
    """Return the arguments with the fastest batch size, tried once a commit and noted among the rows."""
    if not contestant.calibrated:
        return []
    key = {**key, "round": "calibration"}
    known = [row for row in read_rows(path) if done([row], **key)]
    if not known:
        rates = {}
        for size in BATCHES:
            line = call(contestant, folder, "--calibrate", "--batch", str(size), patience=patience)
            if "failed" in line:
                return ["--batch", str(max(rates, key=rates.__getitem__, default=1))]
            rates[size] = round(line["targets"] / line["seconds"], 4)
            print(f"{key['measure']} {contestant.name}: batch {size}, {rates[size]} a second", flush=True)
        known = [{**key, "rates": rates, "batch": max(rates, key=rates.__getitem__), "machine": machine()}]
        append(path, known[0])
    return ["--batch", str(known[-1]["batch"])]


def run(options: argparse.Namespace) -> None:
    """Measure what is missing, round by round, contestant by contestant."""
    unknown = set(options.measures) - set(MEASURES)
    if unknown:
        raise InputError(f"measure: found {sorted(unknown)}: expected some of {list(MEASURES)}")
    version = commit()
    for name in options.measures or MEASURES:
        measure = MEASURES[name]
        dialogues = options.dialogues or measure.dialogues
        chosen = [c for c in measure.contestants if not options.only or c.name in options.only]
        for number in range(options.rounds):
            for contestant in chosen[:: 1 - 2 * (number % 2)]:  # there and back, so that none is always first
                key = {"measure": name, "contestant": contestant.name, "round": number}
                key |= {"dialogues": dialogues, "commit": version}
                if done(read_rows(options.rows), **key) and not options.again:
                    continue
                share = number % measure.shares
                folder = folder_of(name, measure, contestant, share, dialogues)
                batch = batch_of(key, contestant, folder, options.rows, options.patience)
                before = machine()
                line = call(contestant, folder, *batch, patience=options.patience)
                moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                more = {"layout": contestant.layout, "ours": contestant.ours, "share": share, "date": moment}
                more["precision"] = contestant.precision
                append(options.rows, {**key, **more, "machine": before, **line})
                outcome = line.get("failed") or f"{line['targets'] / line['seconds']:.3f} {measure.unit}"
                print(f"{name} round {number} {contestant.name}: {outcome}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("measures", nargs="*", help=f"some of {', '.join(MEASURES)}; all if none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="names of contestants")
    parser.add_argument("--dialogues", type=int, default=0, help="dialogues a dataset over all shares")
    parser.add_argument("--again", action="store_true", help="measure also what is on disk")
    parser.add_argument("--patience", type=float, default=3600, help="seconds that a process may take")
    parser.add_argument("--rows", type=Path, default=ROWS)
    options = parser.parse_args()
    torch.set_num_threads(2)
    try:
        if options.what == "run":
            run(options)
        text = table(read_rows(options.rows), MEASURES)
    except InputError as error:
        sys.exit(f"bench: {error}")
    write_atomic(options.rows.with_name("table.md"), text)
    print(text)


if __name__ == "__main__":
    main()
