"""What stops a run: NaN and infinity, a full or read-only disk, short memory. What was saved stays."""

import errno
import json
import mmap
import os
import re
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from killing import Child
from tiny import byte_tokenizer, tiny_llama

from gsa import errors
from gsa.chain.base import load_config
from gsa.cli import main as cli
from gsa.errors import InputError
from gsa.model import llama
from gsa.model.losses import LOSSES
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training import checkpoint
from gsa.training.run import tune
from gsa.training.trainer import ChainTrainer
from gsa.training.training_data import build_training_data


@pytest.fixture(scope="session")
def recipe(recipe_file: Path) -> Recipe:
    """The first level alone, with a checkpoint after each step."""
    recipe = load_recipe(recipe_file, ["training.checkpoint_steps=1"])
    return recipe.model_copy(update={"levels": recipe.levels[:1]})


@pytest.fixture(scope="session")
def short_file(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("short") / "short.toml"
    path.write_text(recipe.toml())
    return path


def assert_first_link_of(root: Path, tuned: Path) -> None:
    """The link of a run of one level has the bytes that it has in a run of several."""
    (file,) = root.glob("links/*/*.safetensors")
    assert file.read_bytes() == (tuned / file.relative_to(root)).read_bytes()


def sentences(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The errors that a command ended with, without its messages; there is no traceback."""
    lines = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in lines)
    return [line for line in lines if line.startswith("gsa: ")]


def checkpoints(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("checkpoints/*/*"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_names_step_and_examples_and_leaves_the_checkpoints(
    recipe: Recipe, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    root = tmp_path / "run"
    honest, steps = LOSSES["answer"], []

    def loss(model: object, batch: object, totals: object) -> torch.Tensor:
        if not steps or totals is not steps[-1]:
            steps.append(totals)
        finite: torch.Tensor = honest(model, batch, totals)  # type: ignore[arg-type]
        return finite * value if len(steps) == 3 else finite

    with monkeypatch.context() as patch:
        patch.setitem(LOSSES, "answer", loss)
        with pytest.raises(InputError) as caught:
            tune(recipe, root)
    said = str(caught.value)
    assert re.match(
        rf"level 1 SA step 3: the loss is {value} on sampler-sentiment (s\d+, ){{4,}}s\d+: ", said
    )
    assert checkpoints(root) == ["checkpoint-1", "checkpoint-2"]
    tune(recipe, root)
    assert_first_link_of(root, tuned)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_inside_the_own_forward_pass_names_the_examples_that_had_it(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """One character's embedding is spoilt: the step that first reads it stops and names its examples."""
    loaded = load_config(load_recipe(recipe_file).backbone)[1]
    recipe = load_recipe(recipe_file, [f"backbone.name={tmp_path / 'spoilt'}", "training.checkpoint_steps=1"])
    steps = build_training_data(recipe, recipe.levels[0], loaded).steps
    read = [{i for row in rows for prompt in row.prompts for i in prompt.ids} for rows in steps]
    late = min(i for i in read[2] if i not in read[0] | read[1])
    spoilt = tiny_llama(tie_word_embeddings=False)
    spoilt.model.embed_tokens.weight.data[late] = value
    spoilt.save_pretrained(tmp_path / "spoilt")
    loaded.save_pretrained(tmp_path / "spoilt")
    honest, seen = llama.logits, []
    monkeypatch.setattr(llama, "logits", lambda *given: (seen.append(1), honest(*given))[1])
    with pytest.raises(InputError) as caught:
        tune(recipe, tmp_path / "run")
    assert len(seen) >= 3, "it is our forward pass that was tried"
    ids = ", ".join(prompt.example.id for row in steps[2] for prompt in row.prompts)
    assert str(caught.value).startswith("level 1 SA step 3: the loss is nan on sampler-sentiment " + ids)
    assert checkpoints(tmp_path / "run") == ["checkpoint-1", "checkpoint-2"]


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ChainTrainer.training_step

    def spoiled(self: ChainTrainer, model: torch.nn.Module, *args: object, **kwargs: object) -> torch.Tensor:
        loss: torch.Tensor = plain(self, model, *args, **kwargs)
        if self.state.global_step == 1:
            next(p for p in model.parameters() if p.grad is not None).grad[0, 0] = float("inf")  # type: ignore[index]
        return loss

    monkeypatch.setattr(ChainTrainer, "training_step", spoiled)
    with pytest.raises(
        InputError, match=r"level 1 SA step 2: the gradient is not finite on sampler-sentiment"
    ):
        tune(recipe, tmp_path / "run")
    assert checkpoints(tmp_path / "run") == ["checkpoint-1"]


def test_weights_that_are_not_finite_are_never_stored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"level 1 SA step 3: 'a' holds NaN or infinity"):
        checkpoint.check_finite({"a": torch.tensor([1.0, float("nan")])}, "level 1 SA step 3")


@pytest.mark.parametrize("nth", [1, 4, 9, 20, 30])
def test_a_full_disk_is_one_sentence_and_what_was_saved_stays(
    short_file: Path,
    tuned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    nth: int,
) -> None:
    honest, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) >= nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(handle)

    root = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(sys, "argv", ["gsa", "tune", str(short_file), "--out", str(root)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    (sentence,) = sentences(capsys)
    assert stopped.value.code == 2
    assert sentence.startswith(f"gsa: {tmp_path}"), "the file or folder is named"
    assert sentence.endswith("No space left on device")
    assert not list(root.rglob(".*"))
    tune(load_recipe(short_file), root)
    assert_first_link_of(root, tuned)


def test_a_file_in_the_place_of_a_folder_is_one_sentence(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    for out in ("file", "file/run"):
        monkeypatch.setattr(sys, "argv", ["gsa", "tune", str(recipe_file), "--out", str(tmp_path / out)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 2
        assert len(sentences(capsys)) == 1
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_cannot_be_written_is_one_sentence(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: object, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(sys, "argv", ["gsa", "tune", str(recipe_file), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert sentences(capsys) == [f"gsa: {tmp_path / 'run'}: Read-only file system"]


def cuda() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def mapping() -> None:
    """Map a file, as weights are, with less address space left than it takes."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with tempfile.NamedTemporaryFile() as file:
        os.truncate(file.name, 1 << 28)
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 27), before[1]))
        try:
            torch.UntypedStorage.from_file(file.name, shared=False, nbytes=1 << 28)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    "ask",
    [lambda: bytearray(1 << 60), lambda: torch.empty(1 << 58), cuda, mapping, lambda: mmap.mmap(-1, 1 << 60)],
    ids=["python", "torch", "cuda", "weights", "system"],
)
def test_short_memory_is_one_sentence(
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ask: Callable[[], object],
) -> None:
    """What the allocators themselves say is understood."""
    monkeypatch.setitem(LOSSES, "answer", lambda *_: ask())
    monkeypatch.setattr(sys, "argv", ["gsa", "tune", str(recipe_file), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    (sentence,) = sentences(capsys)
    assert sentence.startswith("gsa: not enough memory: a smaller backbone")


def test_other_errors_are_not_taken_for_short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not errors.memory_is_short(RuntimeError("shapes differ"))
    assert not errors.memory_is_short(ValueError("out of memory"))
    assert not errors.memory_is_short(OSError(errno.ENOSPC, "No space left on device"))

    def wrong() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(cli, "app", wrong)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        cli.main()


def test_a_recipe_gives_the_same_bytes_in_two_processes_of_two_threads(
    recipe: Recipe, tmp_path: Path
) -> None:
    """On a model large enough that two threads share its products; little data, as they wait busily.

    Processes of one thread are compared in test_survival.
    """
    wide = tmp_path / "wide"
    tiny_llama(hidden_size=256, intermediate_size=512).save_pretrained(wide)
    byte_tokenizer().save_pretrained(wide)

    (level,) = recipe.levels
    (source,) = level.datasets
    level = level.model_copy(update={"datasets": (source.model_copy(update={"limit": 4}),)})
    backbone = recipe.backbone.model_copy(update={"name": str(wide)})
    few = recipe.model_copy(update={"backbone": backbone, "levels": (level,)})

    def work(out: Path) -> None:
        torch.set_num_threads(2)
        tune(few, out)

    for name in ("one", "two"):
        code, said = Child(lambda name=name: work(tmp_path / name)).end()  # type: ignore[misc]
        assert code == 0, said
    files = sorted((tmp_path / "one" / "links").rglob("*.*"))
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes() == file.read_bytes()


def test_a_links_bytes_do_not_depend_on_hashing(tuned: Path) -> None:
    """A set's order differs between processes; what is stored is sorted."""
    for file in (tuned / "links").rglob("adapter_config.json"):
        targets = json.loads(file.read_text())["target_modules"]
        assert targets == sorted(targets)
        assert len(targets) == 4
