"""The command `gsa`: the table of its commands, and how errors and signals end it."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gsa import __version__
from gsa.cli.data import data, show
from gsa.cli.experiments import baselines, cases, report, run_study
from gsa.cli.options import set_quiet
from gsa.cli.predict import predict
from gsa.cli.probe import probe
from gsa.cli.publish import export, push
from gsa.cli.serve import serve
from gsa.cli.threshold import threshold
from gsa.cli.tuning import calibrate, evaluate, tune
from gsa.errors import InputError, memory_is_short
from gsa.signals import Stopped, handle_signals

COMMANDS: dict[str, Callable[..., None]] = {
    "tune": tune, "eval": evaluate, "calibrate": calibrate, "predict": predict, "serve": serve,
    "export": export, "push": push, "show": show, "baselines": baselines, "study": run_study,
    "cases": cases, "report": report, "probe": probe, "threshold": threshold,
}  # fmt: skip
"""In the order of `gsa --help`; slow imports are made by the command that needs them."""

app = typer.Typer(
    help="One language model for sentiment, emotion and sarcasm, tuned level by level.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    app.command(name=name)(command)
app.add_typer(data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gsa {__version__}", flush=True)
        print(f"--precision auto: {_auto_precision()}")
        raise typer.Exit


def _auto_precision() -> str:
    from gsa.model.backbone import default_device
    from gsa.model.precision import resolve_precision

    device = default_device()
    return f"{resolve_precision('auto', device)} on {device}"


@app.callback()
def _gsa(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the version and what --precision auto is on this machine, and exit.",
        ),
    ] = False,
) -> None:
    """One language model for sentiment, emotion and sarcasm, tuned level by level."""
    set_quiet(False)


def main() -> None:
    """Run the command; bad input, a disk error or a lack of memory is one sentence on stderr and exit code 2.

    After a signal it exits with 128 plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
    """
    try:
        with handle_signals():
            app()
    except InputError as error:
        _exit(str(error), 2)
    except Stopped as stopped:
        _exit(str(stopped), 128 + stopped.signum)
    except (OSError, MemoryError, RuntimeError) as error:
        if memory_is_short(error):
            less = "a smaller backbone, or when tuning a smaller training.max_row_tokens, needs less"
            _exit(f"not enough memory: {less}", 2)
        if not isinstance(error, OSError):
            raise
        _exit(f"{error.filename or 'a file'}: {error.strerror or error}", 2)


def _exit(sentence: str, code: int) -> None:
    print(f"gsa: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
