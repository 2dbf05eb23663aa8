"""Labelling by Ray Data while its processes are killed, against `gsa predict`.

    python benchmarks/ray_labelling.py [--rows 5000] [--conversations 200] [--kills 3] [--out FILE]
    python benchmarks/ray_labelling.py --rate 300
    python benchmarks/ray_labelling.py --gather 200000

Writes rows and shuffled conversations into files of several formats in a temporary folder. Labels each with
`gsa predict --ray`, whose driver is killed with -9 at random moments and, in a run of its own, its worker;
then compares with one `gsa predict` of the same rows in order. The model is tiny and random. `--rate` instead
measures rows a second of the shipped model on one worker, `--gather` the seconds until the first block is
labelled, for that many rows and for a thousand: what reading and gathering take.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ("the", "zip", "broke", "and", "nobody", "cared", "what", "a", "lovely", "warm", "lamp", "again")
BLOCK_ROWS = 250
TASKS = {"texts": "sentiment", "conversations": "emotion"}


def tiny_model(folder: Path) -> Path:
    """Write a random model of two layers that reads bytes."""
    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<eos>").save_pretrained(
        folder
    )
    config = LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.2, eos_token_id=256,
        bos_token_id=None, pad_token_id=256, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_rows(kind: str, count: int, dice: random.Random) -> list[dict[str, Any]]:
    """Return rows with distinct ids; of conversations in order, with their turns numbered."""

    def text() -> str:
        return " ".join(dice.choices(WORDS, k=dice.randint(3, 12)))

    if kind == "texts":
        return [{"id": f"r{i}", "text": text()} for i in range(count)]
    return [
        {
            "id": f"c{i}-{turn}",
            "dialogue_id": f"c{i}",
            "turn": turn,
            "speaker": "AB"[turn % 2],
            "text": text(),
        }
        for i in range(count)
        for turn in range(dice.randint(2, 8))
    ]


def write_files(rows: list[dict[str, Any]], folder: Path, parquet: bool = False) -> None:
    """Write rows, as texts all, into three files: Parquet, or CSV and JSONL."""
    folder.mkdir()
    for number in range(3):
        part = [{key: str(value) for key, value in row.items()} for row in rows[number::3]]
        if parquet:
            pl.DataFrame(part).write_parquet(folder / f"{number}.parquet")
        elif number == 1:
            (folder / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
        else:
            pl.DataFrame(part).write_csv(folder / f"{number}.csv")


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "gsa", "predict", *map(str, words)]


def start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=log.open("ab"), stderr=subprocess.STDOUT)


def label(words: list[str], log: Path) -> float:
    """Run a command to its end; returns its seconds."""
    began = time.monotonic()
    if start(words, log).wait() != 0:
        raise SystemExit(log.read_text())
    return time.monotonic() - began


def parts_in(output: Path) -> int:
    return len(list(output.with_name(f"{output.name}.parts").glob("*.parquet")))


def kill_driver(words: list[str], output: Path, log: Path, after: int, delay: float = 0.0) -> int:
    """Start a command, and kill it with -9 `delay` seconds after its `after`-th next part; returns all."""
    target = parts_in(output) + after
    driver = start(words, log)
    while driver.poll() is None and parts_in(output) < target:
        time.sleep(0.02)
    time.sleep(delay)
    assert driver.poll() is None, f"it ended before it was killed: {log.read_text()[-2000:]}"
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for_ray()
    return parts_in(output)


def kill_worker(words: list[str], output: Path, log: Path, after: int) -> int:
    """Start a command, kill the process that labels after `after` parts, and wait for the end."""
    driver = start(words, log)
    while parts_in(output) < after:
        assert driver.poll() is None, log.read_text()[-2000:]
        time.sleep(0.02)
    workers = [child for child in psutil.Process(driver.pid).children(recursive=True)
               if "BlockLabeller" in " ".join(child.cmdline())]  # fmt: skip
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    if driver.wait() != 0:
        raise SystemExit(log.read_text())
    return len(workers)


def wait_for_ray() -> None:
    """Wait until the processes of a killed driver have ended, as they do by themselves."""
    end = time.monotonic() + 60
    while any("raylet" in process.name() for process in psutil.process_iter()):
        assert time.monotonic() < end, "Ray did not end with its driver"
        time.sleep(0.2)


def compare(output: Path, known: Path) -> dict[str, Any]:
    """Return how the rows of two outputs differ."""
    ours, theirs = pl.read_parquet(output).sort("id"), pl.read_parquet(known).sort("id")
    probabilities = [name for name in theirs.columns if name.startswith("p_")]
    same_ids = ours["id"].to_list() == theirs["id"].to_list()
    moved = (
        max(float((ours[name] - theirs[name]).abs().max()) for name in probabilities) if same_ids else None
    )
    return {
        "rows": ours.height, "distinct_ids": ours["id"].n_unique(), "same_ids": same_ids,
        "same_labels": int((ours["predicted"] == theirs["predicted"]).sum()) if same_ids else 0,
        "largest_difference": moved,
        "distinct_predictions": theirs.select(probabilities).n_unique(),
    }  # fmt: skip


def run(kind: str, count: int, kills: int, root: Path, dice: random.Random) -> dict[str, Any]:
    model = root / "model" if (root / "model").exists() else tiny_model(root / "model")
    rows, log = make_rows(kind, count, dice), root / f"{kind}.log"
    pl.DataFrame([{k: str(v) for k, v in row.items()} for row in rows]).write_csv(root / f"{kind}.csv")
    order = ["--order", "turn"] if kind == "conversations" else []
    options = ["--model", model, "--precision", "float32", *order, "--quiet"]
    known = root / f"{kind}-known.parquet"
    label(command(TASKS[kind], root / f"{kind}.csv", "--output", known, *options), log)
    dice.shuffle(rows)
    write_files(rows, root / kind, parquet=kind == "conversations")
    ray = [*options, "--ray", "--workers", "1", "--block-rows", str(BLOCK_ROWS), "--id", "id"]
    report: dict[str, Any] = {"kind": kind, "block_rows": BLOCK_ROWS}
    blocks = len(rows) // BLOCK_ROWS
    output = root / f"{kind}-driver.parquet"
    words = command(TASKS[kind], root / kind, "--output", output, *ray)
    afters = [dice.randint(0, max(1, blocks // (kills + 1))) for _ in range(kills)]
    delays = [round(dice.uniform(0.0, 15.0 if not after else 1.0), 2) for after in afters]
    report["driver_kills"] = [
        {"after_parts": after, "then_s": delay, "parts": kill_driver(words, output, log, after, delay)}
        for after, delay in zip(afters, delays, strict=True)
    ]
    report["seconds_of_last_run"] = round(label(words, log), 1)
    report["driver_killed"] = compare(output, known)
    output = root / f"{kind}-worker.parquet"
    words = command(TASKS[kind], root / kind, "--output", output, *ray)
    report["workers_killed"] = kill_worker(words, output, log, max(1, blocks // 3))
    report["worker_killed"] = compare(output, known)
    return report


def rate(count: int, root: Path) -> dict[str, Any]:
    """Return rows a second of the shipped model, with one worker, less what starting takes."""
    seconds = []
    for rows in (1, count):
        write_files(make_rows("texts", max(rows, 3), random.Random(rows)), root / f"in{rows}")
        words = command("sentiment", root / f"in{rows}", "--ray", "--workers", "1", "--output",
                        root / f"out{rows}.parquet", "--precision", "float32", "--quiet")  # fmt: skip
        seconds.append(label(words, root / "log"))
    return {"rows": count, "seconds": [round(one, 1) for one in seconds],
            "rows_per_s": round((count - 3) / (seconds[1] - seconds[0]), 1)}  # fmt: skip


def gather(count: int, root: Path) -> dict[str, Any]:
    """Return the seconds until the first block of so many rows, and of a thousand, is labelled."""
    model, seconds = tiny_model(root / "model"), []
    for rows in (1000, count):
        write_files(make_rows("texts", rows, random.Random(rows)), root / f"in{rows}")
        output, began = root / f"out{rows}.parquet", time.monotonic()
        words = command("sentiment", root / f"in{rows}", "--ray", "--workers", "1", "--block-rows", "100",
                        "--id", "id", "--model", model, "--output", output, "--quiet")  # fmt: skip
        kill_driver(words, output, root / "log", 1)
        seconds.append(time.monotonic() - began)
    return {"gathered": count, "seconds": [round(one, 1) for one in seconds]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--gather", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, dice = Path(folder), random.Random(options.seed)
        if options.rate:
            reports = [rate(options.rate, root)]
        elif options.gather:
            reports = [gather(options.gather, root)]
        else:
            kinds = {"texts": options.rows, "conversations": options.conversations}
            reports = [run(kind, count, options.kills, root, dice) for kind, count in kinds.items() if count]
    text = "".join(json.dumps(report) + "\n" for report in reports)
    print(text, end="")
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
