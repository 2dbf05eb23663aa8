"""Everything that only a GPU can show, in a few minutes: run it on the day there is one.

    python benchmarks/gpu_check.py [--device cuda] [--sizes tiny,small,1b,7b] [--out results/gpu]

It needs no download: random Llamas of several sizes, a byte tokenizer, and the sample data of the package.
For each size: label probabilities from shared prefixes against one sequence a label, in float32 and bfloat16,
with a dense mask and FlexAttention; tokens a second in scoring and tuning, of short rows and of one of some
10,000 tokens, and their share of the published peak; peak memory against `--plan`; the same in 4 bits where
the extra `quantize` is installed. Then, on the smallest: a resumed run against an undisturbed one, and two
ranks against one where there are two GPUs, with the backbone split as well. Writes one JSON file, anew after
every measurement. A difference beyond `LIMITS` ends it with exit code 1, after all is measured. Without a GPU
it says so and measures nothing; `--device cpu` tries the script itself.
"""

import argparse
import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Example
from gsa.datasets.catalogue import load
from gsa.model import precision as precisions
from gsa.model.backbone import load_backbone
from gsa.model.losses import Totals, answer_loss
from gsa.model.scoring import PackedBatch, log_probabilities, score
from gsa.recipes.schema import Lora, Recipe
from gsa.training.gpus import CONTEXT, GPUS
from gsa.training.plan import make_plan
from gsa.training.run import tune
from gsa.training.trainer import ChainTrainer
from gsa.trie.packing import PackedRow, group, pack

SIZES = {  # hidden size, inner size, layers, heads
    "tiny": (64, 128, 2, 4),
    "small": (576, 1536, 30, 9),
    "1b": (2048, 5632, 22, 32),
    "7b": (4096, 11008, 32, 32),
}
REPEATS = 3
LONG_TOKENS = 10_000
"""Tokens of the long row, more than those from which `auto` takes FlexAttention."""
LIMITS = {"float32": 1e-3, "bfloat16": 0.3, "nf4": 0.5, "links": 1e-3}
"""Largest differences of log-probabilities by precision, and of links, relative: GPUs sum in any order."""


def build_model(folder: Path, size: str) -> None:
    """Store a random Llama with a byte tokenizer."""
    hidden, inner, layers, heads = SIZES[size]
    config = LlamaConfig(
        vocab_size=32000, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=2 * LONG_TOKENS,
        bos_token_id=None, eos_token_id=256,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with a token a byte, and one for the end of a text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(letters)} | {"<end>": 256}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


def recipe_of(folder: Path, precision: str, attention: str, quantize: str | None = None) -> Recipe:
    """Return a recipe of one short level."""
    return Recipe.model_validate(
        {
            "name": "gpu-check",
            "backbone": {
                "name": str(folder),
                "precision": precision,
                "attention": attention,
                "quantize": quantize,
            },
            "training": {"examples_per_step": 8, "checkpoint_steps": 2, "max_row_tokens": 2048},
            "levels": [
                {
                    "name": "SA",
                    "datasets": [{"name": "sampler-sentiment", "limit": 48}],
                    "learning_rate": 1e-3,
                }
            ],
        }
    )


def largest_difference(model: Any, prompts: list[Prompt]) -> float:
    """Return how far log-probabilities from shared prefixes are from those of one sequence a label."""
    worst = 0.0
    for row in pack(group(prompts), score=True, max_tokens=2048):
        with torch.no_grad():
            batch = PackedBatch.from_row(row, model)
            token_log_p, _ = log_probabilities(model, batch)
            shared = torch.zeros(batch.labels.shape[1], device=model.device).index_add(
                0, batch.answer_index, token_log_p
            )
            flat = []
            for prompt in row.prompts:
                for answer in prompt.answers:
                    ids = torch.tensor([prompt.ids + answer], device=model.device)
                    log_p = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
                    places = torch.arange(len(prompt.ids) - 1, ids.shape[1] - 1, device=model.device)
                    flat.append(log_p[places, torch.tensor(answer, device=model.device)].sum())
        worst = max(worst, float((shared - torch.stack(flat)).abs().max()))
    return worst


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Return the best time of some work, after one run that warms up."""
    best = float("inf")
    for repeat in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began) if repeat else best
    return best


def long_conversation(tokens: int) -> list[Example]:
    """Return every eighth turn of a conversation of about as many bytes, which are tokens here."""
    turns, size = [], 0
    for example in load("sampler-emotion")["train"] * 9:
        turns.append(example.utterance)
        size += len(example.utterance.line().encode()) + 1
        if size > tokens:
            break
    dialogue = Dialogue("long", tuple(turns))
    return [Example(str(i), "long", dialogue, i, "joy") for i in range(7, len(turns), 8)]


def tune_rows(linked: Any, rows: list[PackedRow], optimizer: torch.optim.Optimizer) -> None:
    """Do an optimizer step."""
    totals = Totals.of(rows)
    for row in rows:
        answer_loss(linked, PackedBatch.from_row(row, linked), totals).backward()
    optimizer.step()
    optimizer.zero_grad()


def check_size(recipe: Recipe, size: str, device: str) -> dict[str, Any]:
    """Return equality, speed and memory of one model."""
    cuda, backbone, precision = device.startswith("cuda"), recipe.backbone, recipe.backbone.precision
    loaded = load_backbone(backbone, device)
    encoder = Encoder(loaded.tokenizer, Layout(), SENTIMENT)
    prompts = encoder.encode(load("sampler-sentiment")["train"][:48])
    result: dict[str, Any] = {
        "size": size,
        "precision": backbone.quantize or precision,
        "attention": backbone.attention,
    }
    result["largest_difference"] = largest_difference(loaded.model, prompts[:6])
    body = sum(
        p.numel() for n, p in loaded.model.named_parameters() if "embed" not in n and "lm_head" not in n
    )
    peak = peak_of(device, precision)
    long_encoder = Encoder(loaded.tokenizer, Layout(max_tokens=2 * LONG_TOKENS), EMOTION)
    lengths = {
        "": (prompts, 2048),
        "long_": (long_encoder.encode(long_conversation(LONG_TOKENS)), 2 * LONG_TOKENS),
    }
    for length, (examples, most) in lengths.items():
        rows = pack(group(examples), score=True, max_tokens=most)
        seconds = seconds_of(partial(score, loaded.model, examples, most), device)
        result[f"{length}score"] = rate(seconds, rows, 2 * body, peak)
    linked = fresh_link(loaded.model, Lora(), 0).train()
    optimizer = torch.optim.AdamW(p for p in linked.parameters() if p.requires_grad)
    for length, (examples, most) in lengths.items():
        rows = pack(group(examples), score=False, max_tokens=most)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        seconds = seconds_of(partial(tune_rows, linked, rows, optimizer), device)
        result[f"{length}tune"] = rate(seconds, rows, 4 * body, peak)
        if cuda:
            result[f"{length}peak_memory"] = torch.cuda.max_memory_allocated()
    planned = make_plan(recipe, gpu_name(device)).memory
    result["planned_memory"] = planned - CONTEXT if cuda else planned  # CUDA itself is not in the peak
    return result


def rate(seconds: float, rows: list[PackedRow], operations: int, peak: float) -> dict[str, float]:
    """Return tokens a second, and the share of a GPU's published peak that they are."""
    count = sum(len(row.trie) for row in rows)
    tokens = count / seconds
    return {
        "tokens": count,
        "tokens_per_second": tokens,
        **({"share_of_peak": tokens * operations / peak} if peak else {}),
    }


def gpu_name(device: str) -> str:
    """Return the name that plans have for the GPU, empty where they have none."""
    if not device.startswith("cuda"):
        return ""
    name = torch.cuda.get_device_name().lower().replace(" ", "")
    known = sorted(GPUS, key=len, reverse=True)
    return next((gpu for gpu in known if all(part in name for part in gpu.split("-"))), "")


def peak_of(device: str, precision: str) -> float:
    """Return the published peak in FLOP/s, 0 where it is not known."""
    name = gpu_name(device)
    return float(getattr(GPUS[name], precision)) * 1e12 if name else 0.0


def check_resumption(folder: Path, scratch: Path) -> dict[str, Any]:
    """Return how far the link of an interrupted and resumed run is from that of an undisturbed one."""
    recipe = recipe_of(folder, "float32", "auto")
    tune(recipe, scratch / "whole")
    plain, calls = ChainTrainer.training_step, 0

    def dying(self: ChainTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    ChainTrainer.training_step = dying  # type: ignore[method-assign]
    try:
        tune(recipe, scratch / "run")
    except KeyboardInterrupt:
        pass
    finally:
        ChainTrainer.training_step = plain  # type: ignore[method-assign]
    tune(recipe, scratch / "run")
    return {"check": "resumption", **difference(scratch / "whole", scratch / "run")}


def check_ranks(folder: Path, scratch: Path, name: str, *options: str) -> dict[str, Any]:
    """Return how far the link of two ranks is from that of one; `options` are those of `gsa tune`."""
    recipe = scratch / "ranks.toml"
    recipe.write_text(recipe_of(folder, "float32", "auto").toml(), encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    work = ["-m", "gsa", "tune", str(recipe), "--out", str(scratch / name), *options]
    subprocess.run([*launcher, *work], check=True)
    return {"check": name, **difference(scratch / "whole", scratch / name)}


def difference(one: Path, other: Path) -> dict[str, Any]:
    """Return whether two runs' links are the same bytes, and their relative difference."""
    from safetensors.torch import load_file

    files = [root / "links" / "1-SA" / "adapter_model.safetensors" for root in (one, other)]
    a, b = (torch.cat([t.flatten() for _, t in sorted(load_file(file).items())]) for file in files)
    return {
        "same_bytes": files[0].read_bytes() == files[1].read_bytes(),
        "relative_difference": float((a - b).norm() / a.norm()),
    }


def excesses(results: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for every difference that is larger than it may be."""
    sentences = []
    for result in results:
        name, limit = ("link", "links") if "check" in result else ("largest difference", result["precision"])
        value = result.get("relative_difference", result.get("largest_difference"))
        if not value <= LIMITS[limit]:  # NaN is one too
            about = result.get("check") or f"{result['size']} {result['precision']} {result['attention']}"
            sentences.append(f"{about}: {name} {value:.2g}, expected at most {LIMITS[limit]:g}")
    return sentences


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", default="tiny,small,1b,7b")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: nothing was measured (--device cpu tries the script itself)")
        return
    logging.getLogger("gsa").setLevel(logging.ERROR)
    cuda = options.device.startswith("cuda")
    about = {
        "device": torch.cuda.get_device_name() if cuda else "cpu", "torch": torch.__version__,
        "gpus": torch.cuda.device_count() if cuda else 0,
    }  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{gpu_name(options.device) or about['device'].lower().replace(' ', '-')}.json"
    results: list[dict[str, Any]] = []
    for result in measure(options.device, options.sizes.split(",")):
        print(json.dumps(result), flush=True)
        results.append(result)
        file.write_text(json.dumps({**about, "results": results}, indent=1) + "\n", encoding="utf-8")
    print(f"written: {file}")
    for sentence in excesses(results):
        print(sentence, file=sys.stderr)
    sys.exit(1 if excesses(results) else 0)


def measure(device: str, sizes: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the result of each measurement."""
    cuda = device.startswith("cuda")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for size in sizes:
            build_model(scratch / size, size)
            for precision in ("float32", "bfloat16"):
                if precision == "bfloat16" and not precisions.supports_bfloat16(device):
                    continue
                if size == "7b" and precision == "float32":
                    continue
                for attention in ("dense", "flex") if cuda else ("dense", "runs"):
                    yield check_size(recipe_of(scratch / size, precision, attention), size, device)
            if cuda and importlib.util.find_spec("bitsandbytes"):
                yield check_size(recipe_of(scratch / size, "bfloat16", "dense", "nf4"), size, device)
        yield check_resumption(scratch / sizes[0], scratch)
        if cuda and torch.cuda.device_count() > 1:
            yield check_ranks(scratch / sizes[0], scratch, "two ranks")
            split = ("--set", "training.fsdp=true")
            yield check_ranks(scratch / sizes[0], scratch, "two ranks, split", *split)


if __name__ == "__main__":
    main()
