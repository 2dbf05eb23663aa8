"""What tests share: tiny backbones, a tiny recipe and its finished run."""

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for the network

import pytest
import torch
from tiny import byte_tokenizer, tiny_llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from gsa.cli import main as cli
from gsa.model import hf_attention, precision
from gsa.signals import SIGNALS

assert hf_attention.trie_attention  # imported, which registers the attention
torch.set_num_threads(1)  # tiny models only wait for a second thread


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_tokenizer()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local backbone folder, as a user would name one in a recipe."""
    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    tiny_llama().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def model() -> LlamaForCausalLM:
    """A fresh random model that attends by trie."""
    from gsa.trie import attention

    tiny = tiny_llama().requires_grad_(False)
    tiny.set_attn_implementation(attention.NAME)
    return tiny


RECIPE = """
name = "tiny"
[backbone]
name = "{backbone}"
[training]
max_row_tokens = 800
examples_per_step = 8
checkpoint_steps = 2
[lora]
rank = 2
[[levels]]
name = "SA"
datasets = [{{ name = "sampler-sentiment", limit = 30 }}]
learning_rate = 1e-2
[[levels]]
name = "ERC"
datasets = [{{ name = "sampler-emotion", limit = 20 }}]
learning_rate = 1e-2
[[levels]]
name = "SD"
datasets = [{{ name = "sampler-sarcasm", limit = 16 }}]
learning_rate = 1e-2
[evaluation]
limit = 12
sample = 6
"""


@pytest.fixture(scope="session")
def recipe_file(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small levels on the random Llama."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE.format(backbone=tiny_folder.as_posix()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tuned(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three levels; not to be changed."""
    from gsa.recipes.loader import load_recipe
    from gsa.training.run import tune

    root = tmp_path_factory.mktemp("runs") / "tiny"
    tune(load_recipe(recipe_file), root)
    return root


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call `gsa` with words; returns exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gsa", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture(autouse=True, scope="module")
def frozen_imports() -> None:
    """Keep garbage collections, such as Accelerate's before each level, from walking all imports."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def without_bfloat16() -> Iterator[None]:
    """The precision `auto` is float32, whatever processor runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "supports_bfloat16", lambda device="cpu": False)
        yield


@pytest.fixture
def native_bfloat16(without_bfloat16: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor counts as one that computes bfloat16; others compute the same, slower."""
    monkeypatch.setattr(precision, "supports_bfloat16", lambda device="cpu": True)


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Give this process, and those that it starts, the default signal handlers: `nohup` ignores SIGHUP."""
    before = {signum: signal.signal(signum, signal.SIG_DFL) for signum in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture(autouse=True)
def plain_logging() -> Iterator[None]:
    """Undo what a command set, so that `caplog` sees messages whatever test ran before."""
    yield
    logger = logging.getLogger("gsa")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True, scope="session")
def proofs_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests prove is not kept in the user's cache."""
    from gsa import cache

    with pytest.MonkeyPatch.context() as patch:
        file = tmp_path_factory.mktemp("proofs") / "verified.json"
        patch.setattr(cache, "_file", lambda: file)
        yield


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports draw no figures, which takes seconds, as in an installation without the extra `plots`."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture
def fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data is the invented files; tables are not cut."""
    monkeypatch.setenv("GSA_DATA", str(Path(__file__).parent / "datasets" / "fixtures"))
    monkeypatch.setenv("COLUMNS", "120")
