"""LLaMA-Factory: its supervised tuning with `neat_packing`, in rows of 1,024 tokens.

    python benchmarks/peers/factory.py DATA

Examples go through its own loading, packing, collating and Trainer; only the tokeniser's work is replaced by
the ids of the export. The loss of the checked examples is what it logs at a first step of them all. It
imports an audio library that needs CUDA's files; text never calls it, so an empty module stands in.
"""

import importlib.machinery
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from common import THREADS, Clock, options, read, report

if importlib.util.find_spec("torchaudio") is None:
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)

from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
from llamafactory.train.tuner import run_exp
from transformers import TrainerCallback


def _ids(self: Any, prompt: list[dict[str, str]], response: list[dict[str, str]], **_: Any) -> Any:
    """Take the ids that stand in place of the texts."""
    before, after = json.loads(prompt[0]["content"]), json.loads(response[0]["content"])
    return before + after, [-100] * len(before) + after


class Watch(TrainerCallback):
    """Warms up, runs the clock over all steps, notes the first logged loss."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.clock, self.loss, self.steps = Clock(), None, 0

    def on_train_begin(self, *_: Any, model: Any, train_dataloader: Any, **__: Any) -> None:
        """Take one forward and backward pass that changes nothing."""
        batch = train_dataloader.collate_fn([train_dataloader.dataset[0]])
        model(**batch).loss.backward()
        model.zero_grad()
        self.clock.__enter__()

    def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
        """Note the loss before the first update."""
        self.loss = logs.get("loss") if self.loss is None else self.loss

    def on_train_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """Stop the clock."""
        self.clock.__exit__()
        self.steps = state.global_step


def train(meta: dict[str, Any], examples: list[dict[str, Any]], ceiling: int, accumulate: int) -> Watch:
    """Tune a fresh link for one epoch."""
    folder = Path(tempfile.mkdtemp())
    lines = [
        {"instruction": json.dumps(e["prompt"]), "input": "", "output": json.dumps(e["answer"])}
        for e in examples
    ]
    (folder / "bench.json").write_text(json.dumps(lines))
    (folder / "dataset_info.json").write_text(json.dumps({"bench": {"file_name": "bench.json"}}))
    lora = meta["lora"]
    watch = Watch()
    run_exp(
        {
            "model_name_or_path": meta["backbone"],
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "lora_rank": lora["rank"],
            "lora_alpha": int(lora["alpha"]),
            "lora_dropout": lora["dropout"],
            "lora_target": ",".join(lora["targets"]),
            "dataset": "bench",
            "dataset_dir": str(folder),
            "template": "empty",
            "cutoff_len": ceiling,
            "packing": True,
            "neat_packing": True,
            "flash_attn": "sdpa",
            "disable_gradient_checkpointing": True,
            "output_dir": str(folder / "out"),
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": accumulate,
            "num_train_epochs": 1,
            "learning_rate": meta["learning_rate"],
            "lr_scheduler_type": "constant",
            "save_strategy": "no",
            "logging_steps": 1,
            "report_to": "none",
            "use_cpu": True,
            "dataloader_pin_memory": False,
            "overwrite_cache": True,
        },
        callbacks=[watch],
    )
    return watch


def main() -> None:
    """Measure."""
    asked = options(__doc__)
    meta, examples = read(asked.data)
    import torch

    torch.set_num_threads(THREADS)
    SupervisedDatasetProcessor._encode_data_example = _ids
    loss = train(meta, examples[: asked.check], asked.ceiling, 10_000).loss if asked.check else None
    per_row = asked.ceiling * len(examples) / meta["flat_tokens"]
    accumulate = max(1, round(meta["per_step"] / per_row))
    watch = train(meta, examples, asked.ceiling, accumulate)
    report(
        "llamafactory",
        ("torch", "transformers", "peft", "llamafactory"),
        len(examples),
        watch.clock,
        loss=loss,
        steps=watch.steps,
        settings={
            "batch": 1,
            "packing": "neat",
            "cutoff_len": asked.ceiling,
            "accumulation": accumulate,
        },
    )


if __name__ == "__main__":
    main()
