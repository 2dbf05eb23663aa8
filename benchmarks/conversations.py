"""Cost per turn of conversations from 10 to 1,000 turns: `emotions`, `gsa predict emotion`, tuning.

    python benchmarks/conversations.py --out results/bench/conversations.jsonl

Milliseconds, tokens, memory, on random conversations of short turns; 50 turns are as many as IEMOCAP's
conversations have. Each size runs in a process of its own, so that its peak memory is its own. The command
labels a file of 1,000 turns, its start included; tuning takes the forward and backward pass of up to four
rows. `conversations.png` is drawn beside.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gsa.data.types import Dialogue, Example, Utterance

TURNS = (10, 50, 100, 300, 1000)
WORDS = "I really do not know what to say about it but you were right that this is a lovely day".split()  # noqa: SIM905
ROWS = 4
"""Rows that tuning is timed on, spread over the conversation."""
FILE_TURNS = 1000
"""Turns of the file that the command labels."""


def conversation(turns: int, seed: int = 0) -> Dialogue:
    """Return a seeded conversation of turns with 3 to 10 words."""
    rng = random.Random(seed)
    texts = (" ".join(rng.choices(WORDS, k=rng.randint(3, 10))) for _ in range(turns))
    return Dialogue("conversation", tuple(Utterance(text, "AB"[i % 2]) for i, text in enumerate(texts)))


def emotions(turns: int, precision: str) -> dict[str, Any]:
    """Time `Predictor.emotions`, median of three calls after one of ten turns."""
    import gsa

    model, dialogue = gsa.load(precision=precision), conversation(turns)
    model.emotions(conversation(10).turns)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        model.emotions(dialogue.turns)
        seconds.append(time.perf_counter() - began)
    return {"ms_per_turn": 1000 * sorted(seconds)[1] / turns}


def command(turns: int, precision: str) -> dict[str, Any]:
    """Time `gsa predict emotion` on a file of conversations."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.jsonl"
        with file.open("w") as lines:
            for seed in range(FILE_TURNS // turns):
                said = [[turn.speaker, turn.text] for turn in conversation(turns, seed).turns]
                lines.write(json.dumps({"turns": [{"speaker": s, "text": t} for s, t in said]}) + "\n")
        out = Path(folder) / "out.jsonl"
        words = ["predict", "emotion", str(file), "--output", str(out), "--precision", precision, "--quiet"]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gsa", *words], check=True, capture_output=True)
        seconds = time.perf_counter() - began
        labelled = len(out.read_text(encoding="utf-8").splitlines())
    if labelled != FILE_TURNS // turns * turns:
        raise SystemExit(f"the command labelled {labelled} turns")
    return {"ms_per_turn": 1000 * seconds / labelled}


def tune(turns: int, precision: str) -> dict[str, Any]:
    """Time forward and backward of up to four rows of the conversation, after one of ten turns."""
    from gsa.chain.base import load_base
    from gsa.chain.lora import fresh_link
    from gsa.data.encoder import Encoder
    from gsa.data.layout import Layout
    from gsa.data.task import EMOTION
    from gsa.model.llama import limit_activations
    from gsa.model.losses import answer_loss
    from gsa.model.scoring import PackedBatch
    from gsa.recipes.schema import Backbone, Lora, Training
    from gsa.trie.packing import group, pack

    loaded, training = load_base(Backbone(precision=precision)), Training()
    model = fresh_link(loaded.model, Lora(), 0).train()
    encoder = Encoder(loaded.tokenizer, Layout(), EMOTION)

    def rows_of(dialogue: Dialogue) -> list[Any]:
        examples = [Example(str(i), "x", dialogue, i, "joy") for i in range(len(dialogue.turns))]
        return pack(group(encoder.encode(examples)), score=False, max_tokens=training.max_row_tokens)

    def step(rows: list[Any]) -> float:
        began = time.perf_counter()
        for row in rows:
            limit_activations(model, len(row.trie), training.activation_tokens)
            answer_loss(model, PackedBatch.from_row(row, model)).backward()
        model.zero_grad()
        return time.perf_counter() - began

    step(rows_of(conversation(10)))
    rows = rows_of(conversation(turns))
    timed = rows[:: max(1, len(rows) // ROWS)][:ROWS]
    seconds = min(step(timed) for _ in range(3 if turns <= 100 else 1))
    return {
        "ms_per_turn": 1000 * seconds / sum(len(row.prompts) for row in timed),
        "tokens_per_turn": sum(len(row.trie) for row in rows) / turns,
        "longest_row": max(len(row.trie) for row in rows),
    }


WORKS = {"emotions": emotions, "command": command, "tune": tune}


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Draw milliseconds per turn over turns, a line for each kind of work."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for work in WORKS:
        points = sorted((line["turns"], line["ms_per_turn"]) for line in lines if line["work"] == work)
        axes.plot(*zip(*points, strict=True), marker="o", label=work)
    axes.set(xscale="log", xlabel="turns of the conversation", ylabel="milliseconds per turn", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/bench/conversations.jsonl"))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--turns", type=int, nargs="+", default=TURNS)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--single", nargs=2, metavar=("WORK", "TURNS"), help="Measure one size; print it.")
    options = parser.parse_args()
    if options.single:
        work, turns = options.single[0], int(options.single[1])
        line = WORKS[work](turns, options.precision)
        who = resource.RUSAGE_CHILDREN if work == "command" else resource.RUSAGE_SELF
        peak = resource.getrusage(who).ru_maxrss / 1024
        print(
            json.dumps(
                {"work": work, "turns": turns, "precision": options.precision, **line, "peak_mb": peak}
            )
        )
        return
    lines = []
    for work in options.works:
        for turns in options.turns:
            words = [
                sys.executable,
                __file__,
                "--precision",
                options.precision,
                "--single",
                work,
                str(turns),
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            lines.append(json.loads(done.stdout))
            print(done.stdout, end="", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plot(lines, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
