"""gsa's own measurements, on the same exported tokens as the peers.

    python benchmarks/ours.py train DATA --row-tokens 1024 --loss answer
    python benchmarks/ours.py score DATA

Prints one JSON line as the peers do, with the tokens that were computed and the share of the machine's best
float32 matrix product that the linear layers took.
"""

import argparse
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import torch

from common import THREADS, Clock, read, report
from export import prompts_from
from gsa.chain.base import load_base
from gsa.chain.lora import fresh_link
from gsa.data.encoder import Prompt
from gsa.model.hf_logging import quiet_libraries
from gsa.model.losses import LOSSES
from gsa.model.scoring import PackedBatch, log_probabilities, score
from gsa.recipes.schema import Backbone, Level, Lora, Recipe, Training
from gsa.signals import Stop
from gsa.training.checkpoint import Checkpoints
from gsa.training.distributed import Ranks
from gsa.training.plan import matmul_gflops
from gsa.training.trainer import Control, Session, tune_link
from gsa.training.training_data import TrainingData, token_count
from gsa.trie.packing import PackedRow, group, pack

PACKAGES = ("gsa-llm", "torch", "transformers", "peft")


def rows_of(prompts: list[Prompt], budget: int, score: bool) -> list[PackedRow]:
    """Pack each dataset's prompts into rows, as tuning does."""
    parts = [list(part) for _, part in groupby(prompts, key=lambda p: p.example.dataset)]
    return [row for part in parts for row in pack(group(part), score, fill_tokens=budget)]


def gold_loss(model: Any, prompts: list[Prompt], budget: int) -> float:
    """Return the mean cross-entropy of the gold answers' tokens."""
    total, count = 0.0, 0
    for row in rows_of(prompts, budget, score=False):
        with torch.inference_mode():
            log_p = log_probabilities(model, PackedBatch.from_row(row, model))[0]
        total -= float(log_p.sum())
        count += len(log_p)
    return total / count


def linear_weights(model: Any) -> tuple[int, int]:
    """Return the weights of the frozen linear layers without the head, and those of the link."""
    head = model.get_output_embeddings()
    frozen = link = 0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            if module.weight.requires_grad:
                link += module.weight.numel()
            else:
                frozen += module.weight.numel()
    return frozen, link


def train(options: argparse.Namespace, meta: dict[str, Any], prompts: list[Prompt]) -> None:
    """Tune a fresh link with AdamW by gsa's own loop; packing and reading of rows are timed too."""
    loaded = load_base(Backbone(name=meta["backbone"], precision=options.precision))
    before = gold_loss(loaded.model, prompts[: options.check], options.row_tokens)
    model = fresh_link(loaded.model, Lora(), 0)
    training = Training(
        activation_tokens=max(64, options.row_tokens),
        recompute=options.recompute,
        checkpoint_steps=10**9,
        schedule="constant",
        warmup=0,
    )
    keys = {"learning_rate": meta["learning_rate"], "loss": options.loss}
    level = Level.model_validate({"name": "bench", "datasets": ["bench"], **keys})
    recipe = Recipe(name="bench", training=training, levels=(level,))
    by_labels = options.loss == "labels"
    LOSSES[options.loss](
        model, PackedBatch.from_row(rows_of(prompts, options.row_tokens, by_labels)[0], model)
    ).backward()
    model.zero_grad()
    ended: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, Clock() as clock, quiet_libraries():
        rows = rows_of(prompts, options.row_tokens, by_labels)
        data = TrainingData({"bench": prompts}, [[row] for row in rows])
        session = Session(
            "level",
            Checkpoints(Path(scratch), ""),
            None,
            lambda _: ended.append(time.perf_counter()),
            str,
            Control(Stop(), Ranks()),
        )
        tune_link(model, data, recipe, level, session)
    clock.seconds = ended[-1] - clock.began  # without the checkpoint at the end, which peers are spared
    tokens = token_count(rows)
    frozen, link = linear_weights(model)
    gflops = matmul_gflops(model.config.hidden_size)
    share = round(tokens * (4 * frozen + 6 * link) / clock.seconds / 1e9 / gflops, 3)
    shares = {"linear_share": share} if options.precision == "float32" else {}
    report(
        "gsa",
        PACKAGES,
        len(prompts),
        clock,
        loss=before,
        steps=len(rows),
        tokens=tokens,
        flat_tokens=meta["flat_tokens"],
        gflops=round(gflops, 1),
        **shares,
        settings={
            "weights": options.precision,
            "row_tokens": options.row_tokens,
            "loss": options.loss,
            "recompute": options.recompute,
        },
    )


def score_all(options: argparse.Namespace, meta: dict[str, Any], prompts: list[Prompt]) -> None:
    """Score every label of every prompt."""
    model = load_base(Backbone(name=meta["backbone"], precision=options.precision)).model
    before = gold_loss(model, prompts[: options.check], options.row_tokens)
    score(model, prompts[: options.check])
    with Clock() as clock:
        predictions = score(model, prompts)
    report(
        "gsa",
        PACKAGES,
        len(prompts),
        clock,
        loss=before,
        predictions=[int(p.label) for p in predictions],
        greedy=[None if p.greedy is None else int(p.greedy) for p in predictions],
        tokens=token_count(pack(group(prompts), score=True)),
        settings={"weights": options.precision},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "score"))
    parser.add_argument("data", type=Path, help="folder written by export.py")
    parser.add_argument("--row-tokens", type=int, default=1024, help="of a row that is tuned on")
    parser.add_argument("--loss", choices=tuple(LOSSES), default="answer")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--recompute", action="store_true", help="keep of each layer its input alone")
    parser.add_argument("--check", type=int, default=16, help="examples whose loss is compared")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    meta, lines = read(options.data)
    prompts = prompts_from(lines)
    (train if options.what == "train" else score_all)(options, meta, prompts)


if __name__ == "__main__":
    main()
