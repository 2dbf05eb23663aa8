"""Runs: the same command resumes, to the same bytes; another recipe's folder is left alone."""

import json
import logging
import os
import re
import shutil
import signal
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gsa.chain.base import load_chain
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.checksums import from_checked_json, to_checked_json
from gsa.errors import InputError
from gsa.model.losses import LOSSES
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.signals import Stopped
from gsa.training import level as levels
from gsa.training import run as runs
from gsa.training.run import summary, tune
from gsa.training.trainer import ChainTrainer


def links(root: Path) -> list[tuple[str, str]]:
    return [(link.name, link.sha256) for link in Chain.read(root).links]


def steps(root: Path) -> list[tuple[int, int, float]]:
    rows = [json.loads(line) for line in (root / "log.jsonl").read_text().splitlines()]
    return [(row["level"], row["step"], row["loss"]) for row in rows]


def assert_first_level_of(root: Path, tuned: Path) -> None:
    """A run of one level has the link and the log that a run of several levels has of it."""
    assert links(root) == links(tuned)[:1]
    assert steps(root) == [step for step in steps(tuned) if step[0] == 1]


@pytest.fixture(scope="session")
def recipe(recipe_file: Path) -> Recipe:
    return load_recipe(recipe_file)


@pytest.fixture(scope="session")
def first_level(recipe: Recipe) -> Recipe:
    """The first level alone, which has the link that it has below others."""
    return recipe.model_copy(update={"levels": recipe.levels[:1]})


def stop(recipe: Recipe, root: Path, before: int) -> None:
    """Tune, and stop before the n-th step of the whole run."""
    calls = 0
    plain = ChainTrainer.training_step

    def stopping(self: ChainTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == before:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainTrainer, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(recipe, root)


@pytest.fixture(scope="module")
def stopped_run(first_level: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped before its fourth step, behind a checkpoint; not to be changed."""
    root = tmp_path_factory.mktemp("stopped") / "run"
    stop(first_level, root, before=4)
    return root


@pytest.fixture
def half_tuned(stopped_run: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run."""
    return Path(shutil.copytree(stopped_run, tmp_path / "run"))


def test_a_tiny_runs_losses_are_pinned(tuned: Path) -> None:
    log = steps(tuned)
    assert [(level, step) for level, step, _ in log] == [
        (k, i) for k, n in ((1, 4), (2, 3), (3, 2)) for i in range(1, n + 1)
    ]
    first = {level: loss for level, step, loss in log if step == 1}
    assert first == pytest.approx({1: 5.933, 2: 5.390, 3: 4.656}, abs=0.01)
    assert log[2][2] < log[0][2]


def test_a_run_notes_what_it_was_made_with(tuned: Path, recipe: Recipe) -> None:
    assert load_recipe(tuned / "recipe.toml") == recipe
    note = json.loads((tuned / "run.json").read_text())
    assert note["seed"] == 0
    assert set(note["versions"]) >= {"torch", "transformers", "peft", "gsa-llm"}
    assert note["data"]["SA/sampler-sentiment"]["examples"] == 30
    assert set(note["data"]) == {"SA/sampler-sentiment", "ERC/sampler-emotion", "SD/sampler-sarcasm"}
    assert not list(tuned.rglob("checkpoint*"))
    assert not list(tuned.rglob(".*"))


def test_a_finished_run_is_not_tuned_again(
    tuned: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    before = (tuned / "chain.json").stat().st_mtime_ns
    caplog.set_level(logging.INFO)
    tune(recipe, tuned)
    assert caplog.messages == [f"{tuned}: tuned already, 3 levels"]
    assert (tuned / "chain.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("recompute", [False, True])
def test_the_same_recipe_gives_the_same_bytes(
    tuned: Path, first_level: Recipe, recompute: bool, tmp_path: Path
) -> None:
    training = first_level.training.model_copy(update={"recompute": recompute})
    tune(first_level.model_copy(update={"training": training}), tmp_path / "again")
    assert_first_level_of(tmp_path / "again", tuned)


@pytest.mark.parametrize("before", [1, 4, 7, 8, 9])
def test_a_stopped_run_resumes_to_the_same_bytes(
    tuned: Path, recipe: Recipe, tmp_path: Path, before: int
) -> None:
    """Stop before the n-th step of the whole run, in each level, with and without a checkpoint."""
    stop(recipe, tmp_path / "run", before)
    tune(recipe, tmp_path / "run")
    assert links(tmp_path / "run") == links(tuned)
    assert steps(tmp_path / "run") == steps(tuned)
    assert set(json.loads((tmp_path / "run" / "run.json").read_text())["data"]) == {
        "SA/sampler-sentiment", "ERC/sampler-emotion", "SD/sampler-sarcasm",
    }  # fmt: skip


@pytest.fixture
def stopping_early(recipe: Recipe) -> Recipe:
    """A recipe of one level that ends at a step of which a checkpoint is stored."""
    level = recipe.levels[0].model_copy(update={"stop_step": recipe.training.checkpoint_steps})
    return recipe.model_copy(update={"levels": (level,)})


@pytest.mark.parametrize("is_signal", [False, True])
def test_a_run_stopped_at_the_step_where_it_ends_resumes_to_the_same_bytes(
    stopping_early: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_signal: bool
) -> None:
    tune(stopping_early, tmp_path / "whole")
    assert len(steps(tmp_path / "whole")) == stopping_early.levels[0].stop_step
    plain = ChainTrainer.training_step

    def signalled(self: ChainTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step + 1 == stopping_early.levels[0].stop_step:
            self.session.control.stop.signum = signal.SIGTERM
        return plain(self, *args, **kwargs)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if is_signal:
            patch.setattr(ChainTrainer, "training_step", signalled)
        else:
            patch.setattr(levels, "save_link", killed)
        with pytest.raises((Stopped, KeyboardInterrupt), match=r"is finished and stored|^$"):
            tune(stopping_early, tmp_path / "run")
    tune(stopping_early, tmp_path / "run")
    assert links(tmp_path / "run") == links(tmp_path / "whole")
    assert steps(tmp_path / "run") == steps(tmp_path / "whole")


@pytest.fixture(scope="module")
def in_bfloat16(
    recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[torch.nn.Module]]:
    """Two levels in bfloat16, and the model behind each of them; not to be changed."""
    root, models = tmp_path_factory.mktemp("bfloat16") / "run", []
    apply_active = runs.apply_active

    def recording(linked: object) -> object:
        model = apply_active(linked)
        models.append(deepcopy(model))
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gsa.model.precision.supports_bfloat16", lambda device="cpu": True)
        patch.setattr(runs, "apply_active", recording)
        tune(two_levels(recipe, "bfloat16"), root)
    return root, models


def two_levels(recipe: Recipe, precision: str) -> Recipe:
    backbone = recipe.backbone.model_copy(update={"precision": precision})
    return recipe.model_copy(update={"backbone": backbone, "levels": recipe.levels[:2]})


@pytest.mark.usefixtures("native_bfloat16")
def test_a_run_in_bfloat16_resumes_to_the_same_bytes(
    in_bfloat16: tuple[Path, list[torch.nn.Module]],
    recipe: Recipe,
    tuned: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Stop within the second level, whose link is tuned beside the first one's."""
    undisturbed, _ = in_bfloat16
    assert steps(undisturbed) == [
        (level, step, pytest.approx(loss, abs=0.1)) for level, step, loss in steps(tuned) if level < 3
    ]
    assert links(undisturbed) != links(tuned)[:2]
    stop(two_levels(recipe, "bfloat16"), tmp_path / "run", 7)
    caplog.set_level(logging.INFO)
    tune(two_levels(recipe, "auto"), tmp_path / "run")
    assert "precision bfloat16" in caplog.messages
    stored_recipe = load_recipe(tmp_path / "run" / "recipe.toml")
    assert stored_recipe == two_levels(recipe, "bfloat16"), "auto is stored as what it means"
    assert links(tmp_path / "run") == links(undisturbed)
    assert steps(tmp_path / "run") == steps(undisturbed)
    stored = load_file(tmp_path / "run" / "links" / "2-ERC" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}


@pytest.mark.usefixtures("native_bfloat16")
def test_the_model_of_a_level_in_bfloat16_is_that_of_the_stored_chain(
    in_bfloat16: tuple[Path, list[torch.nn.Module]], recipe: Recipe
) -> None:
    root, models = in_bfloat16
    chain, backbone = Chain.read(root), two_levels(recipe, "bfloat16").backbone
    assert len(models) == 2
    for level, model in enumerate(models, 1):
        loaded = load_chain(chain, backbone, level).model
        for (name, expected), (_, tensor) in zip(tensors_of(model), tensors_of(loaded), strict=True):
            assert torch.equal(expected, tensor), name


def tensors_of(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def test_a_precision_that_the_processor_cannot_do_is_refused_before_anything_is_written(
    recipe: Recipe, tmp_path: Path
) -> None:
    backbone = recipe.backbone.model_copy(update={"precision": "bfloat16"})
    with pytest.raises(InputError, match="precision 'bfloat16': cpu has no bfloat16 products"):
        tune(recipe.model_copy(update={"backbone": backbone}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_recipe_or_folder_is_refused(tuned: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds a run of another recipe \('seed' differs\)"):
        tune(recipe.model_copy(update={"seed": 3}), tuned)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run"):
        tune(recipe, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_chain_is_extended_by_a_recipe_with_more_levels(
    tuned: Path, recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Level by level, with the recipe of the whole in the end: the same bytes as at once."""
    root = tmp_path / "run"
    caplog.set_level(logging.INFO)
    tune(recipe.model_copy(update={"levels": recipe.levels[:1]}), root)
    slower = recipe.levels[1].model_copy(update={"learning_rate": 1e-6})
    stop(recipe.model_copy(update={"levels": (recipe.levels[0], slower)}), root, before=3)
    with pytest.raises(InputError, match=r"holds a run of another recipe \('levels' differs\)"):
        tune(recipe, root)  # a level under way is not changed
    shutil.rmtree(root / "checkpoints")
    other = Path(shutil.copytree(root, tmp_path / "other"))
    named = recipe.model_copy(update={"name": "other", "levels": (recipe.levels[0], slower)})
    tune(named, other)  # a copy goes on under a name of its own
    assert RunFolder(other).read()[0] == named
    assert links(other) != links(tuned)
    caplog.clear()
    tune(recipe, root)
    assert "levels not yet begun" in caplog.messages[0]
    assert links(root) == links(tuned)
    assert RunFolder(root).read()[0] == recipe
    for other in (recipe.levels[::-1], recipe.levels[:2]):
        with pytest.raises(InputError, match=r"another recipe \('levels' differs\)"):
            tune(recipe.model_copy(update={"levels": other}), root)
    assert links(root) == links(tuned)


def test_a_loss_of_nan_stops_with_the_step(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 1.0, float("nan")])
    monkeypatch.setitem(LOSSES, "answer", lambda *_: torch.tensor(next(losses), requires_grad=True))
    with pytest.raises(InputError, match=r"step 3: the loss is nan"):
        tune(recipe, tmp_path / "run")


def test_bad_data_costs_no_training(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = load_recipe(recipe_file, ["levels.SD.datasets.0.name=iemocap"])
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    with pytest.raises(InputError, match="dataset 'iemocap': expected"):
        tune(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists(), "nothing half-written stays"


def test_progress_has_loss_and_speed(
    recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tune(recipe.model_copy(update={"levels": recipe.levels[:1]}), tmp_path / "run")
    assert "level 1 SA: sampler-sentiment 30; 4 steps, " in caplog.text
    (line,) = [message for message in caplog.messages if "4/4 steps" in message]
    assert re.fullmatch(r"level 1 SA: 4/4 steps, .* steps/s, loss \d\.\d{4}, [\d,]+ tokens/s", line)


def test_a_summary_names_levels_and_settings(recipe: Recipe) -> None:
    lines = summary(recipe).splitlines()
    assert len(lines) == 4
    assert "tiny: 3 levels on " in lines[0]
    assert lines[2] == "  level 2 ERC: sampler-emotion; learning rate 0.01, epochs 1, loss 'answer'"


@pytest.mark.parametrize("damage", ["truncated", "without checksums", "missing"])
def test_a_damaged_checkpoint_does_not_count(
    tuned: Path, first_level: Recipe, half_tuned: Path, damage: str
) -> None:
    root = half_tuned
    (checkpoint,) = root.glob("checkpoints/*/checkpoint-*")
    if damage == "truncated":
        state = checkpoint / "optimizer.safetensors"
        state.write_bytes(state.read_bytes()[:-9])
    else:
        (checkpoint / ("SHA256SUMS" if damage == "without checksums" else "weights.safetensors")).unlink()
    tune(first_level, root)
    assert_first_level_of(root, tuned)


def test_half_a_line_in_the_log_and_a_broken_note_stop_nothing(
    tuned: Path, first_level: Recipe, half_tuned: Path
) -> None:
    root = half_tuned
    with (root / "log.jsonl").open("a") as file:
        file.write('{"level": 1, "st')
    (root / "run.json").write_text("{")
    tune(first_level, root)
    assert_first_level_of(root, tuned)


@pytest.mark.parametrize("stopped_at", ["write", "remove_tree"])
def test_a_stop_between_link_and_manifest_or_clean_up_loses_nothing(
    tuned: Path, first_level: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    root = tmp_path / "run"
    honest = Chain.write

    def stopping(*args: object, **_: object) -> None:
        if stopped_at == "remove_tree" or args[0].links:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        honest(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Chain if stopped_at == "write" else levels, stopped_at, stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(first_level, root)
    tune(first_level, root)
    assert_first_level_of(root, tuned)
    assert not (root / "checkpoints").exists()


def test_data_that_changed_under_a_half_tuned_level_is_refused(first_level: Recipe, half_tuned: Path) -> None:
    root = half_tuned
    metadata = from_checked_json((root / "run.json").read_text())
    metadata["data"]["SA/sampler-sentiment"]["crc32"] += 1
    (root / "run.json").write_text(to_checked_json(metadata))
    with pytest.raises(InputError, match="the data of SA/sampler-sentiment changed"):
        tune(first_level, root)


def test_a_recipe_may_be_mended_while_nothing_is_tuned(
    recipe_file: Path, first_level: Recipe, tmp_path: Path
) -> None:
    wrong = load_recipe(recipe_file, ['lora.targets=["q_prj"]'])
    root = tmp_path / "run"
    root.mkdir()
    (root / f".recipe.toml.{os.getpid()}-0.part").write_text("half")
    with pytest.raises(InputError, match="did you mean 'q_proj'"):
        tune(wrong, root)
    assert len(tune(first_level, root).links) == 1


def test_a_level_may_have_a_link_of_its_own_shape(recipe: Recipe, tmp_path: Path) -> None:
    lora = recipe.lora.model_copy(update={"rank": 3, "targets": ("gate_proj", "down_proj")})
    level = recipe.levels[1].model_copy(update={"lora": lora})
    recipe = recipe.model_copy(update={"levels": (recipe.levels[0], level)})
    chain = tune(recipe, tmp_path / "run")
    first, second = chain.link_weights()
    assert {name.rpartition(".")[2] for name in second.pairs} == {"gate_proj", "down_proj"}
    assert {name.rpartition(".")[2] for name in first.pairs} == set(recipe.lora.targets)
    assert {a.shape[0] for a, _ in second.pairs.values()} == {3}
    assert load_recipe(tmp_path / "run" / "recipe.toml") == recipe
