"""Arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer


def set_quiet(quiet: bool) -> None:
    """Configure the messages of a command."""
    from gsa.progress import configure_logging

    configure_logging(quiet)


def set_device(device: str) -> str:
    """Let models of this process be loaded on a device; an empty one changes nothing."""
    if device:
        os.environ[DEVICE] = device
    return device


DEVICE = "GSA_DEVICE"
Device = Annotated[
    str,
    typer.Option(
        "--device", envvar=DEVICE, callback=set_device,
        help="cpu, cuda or cuda:N; default: CUDA where there is one.",
    ),
]  # fmt: skip
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=set_quiet, help="No progress; only warnings and errors."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A TOML recipe, such as recipes/quick.toml.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `gsa tune`.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe key: --set levels.SA.epochs=2."),
]
Seed = Annotated[int | None, typer.Option(help="Seed instead of the recipe's.")]
Datasets = Annotated[list[str] | None, typer.Option(help="Only these datasets; default: all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Model = Annotated[
    str | None, typer.Option(help="Run, model folder or Hugging Face id; the shipped one if not given.")
]
ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]", help="Run, model folder or Hugging Face id; the shipped one if not given."
    ),
]
TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="sentiment, emotion, sarcasm, or another task of the model: of the shipped one "
        "aspect, emotions, irony, offense, hate.",
    ),
]
TextColumn = Annotated[str | None, typer.Option("--text", help="Column of texts; default: text.")]
SpeakerColumn = Annotated[str | None, typer.Option("--speaker", help="Column of speakers; default: speaker.")]
DialogueColumn = Annotated[
    str | None,
    typer.Option("--dialogue-id", help="Column that names each row's dialogue; default: dialogue_id."),
]
LabelColumn = Annotated[
    str, typer.Option("--label-column", help="Column of the right labels; default: label.")
]
Labels = Annotated[str, typer.Option(help="Labels instead of the model's, separated by commas.")]
Label = Annotated[
    list[str] | None, typer.Option(help="One label instead of the model's; repeat it for each.")
]


def label_list(labels: str, label: list[str] | None) -> list[str]:
    """Return the labels that are separated by commas, and those that are given one by one."""
    return [*(labels.split(",") if labels else []), *(label or [])]


Level = Annotated[int | None, typer.Option(min=0, help="Links to apply; all if not given.")]
RecipePrecision = Annotated[
    str, typer.Option("--precision", help="float32, bfloat16 or auto; default: the recipe's.")
]
Precision = Annotated[
    str, typer.Option("--precision", help="float32 (the reference), bfloat16, or auto: the faster one here.")
]
