"""`gsa.tune`: from texts in memory to a model, its scores and its run."""

import logging
import pickle
import signal
from pathlib import Path

import numpy as np
import pytest
from labelled import LABELS, TEXTS

import gsa
from gsa.chain.chain import Chain
from gsa.data.encoder import Encoder
from gsa.errors import InputError
from gsa.evaluation.sources import make_evaluator
from gsa.recipes.automatic import settings_for
from gsa.recipes.datasets import load_splits, task_of
from gsa.recipes.loader import load_recipe
from gsa.signals import Stopped
from gsa.training.run import tune
from gsa.tuning import tune as module
from gsa.tuning.early_stopping import EarlyStopping
from gsa.tuning.model import HeldOut, TunedModel, replace_recipe


def links(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(root.glob("links/*/adapter_model.safetensors"))]


def test_the_model_labels_what_it_was_tuned_on(tuned_model: TunedModel) -> None:
    predictions = tuned_model.classify("urgency", ["help 3", "later 5"])
    assert list(predictions[0].probabilities) == ["can wait", "urgent"]
    assert [prediction.label for prediction in predictions] == ["urgent", "can wait"]
    assert tuned_model.task_name == "urgency"
    assert tuned_model.sentiment("It was fine.").label in ("negative", "neutral", "positive")


def test_scores_are_those_of_the_held_out_part_beside_the_baseline(tuned_model: TunedModel) -> None:
    scores = tuned_model.held_out
    assert scores is not None
    assert scores.n == 24
    assert scores.weighted_f1 > 60
    assert scores.baseline == 100, "one word tells all"
    assert tuned_model.folds == ()
    splits = load_splits(tuned_model.recipe.datasets[0])
    assert (len(splits["train"]), len(splits["dev"])) == (96, 24)


def test_a_saved_run_is_a_run_like_any_other(tuned_model: TunedModel, tmp_path: Path) -> None:
    root = tuned_model.save(tmp_path / "urgency")
    assert gsa.load(root).classify("urgency", TEXTS[:5]) == tuned_model.classify("urgency", TEXTS[:5])
    evaluator, names = make_evaluator(root)
    rows = evaluator.evaluate([1], names)
    (row,) = [row for row in rows if (row.level, row.metric) == (1, "weighted_f1")]
    assert tuned_model.held_out is not None
    assert row.value == pytest.approx(tuned_model.held_out.weighted_f1, abs=1e-3)
    assert Path(evaluator.datasets["urgency"].path) == root / "data"
    with pytest.raises(InputError, match="exists: expected a new folder"):
        tuned_model.save(root)


def test_the_run_ends_with_the_object_unless_saved(settings: dict[str, object]) -> None:
    model = gsa.tune(TEXTS, LABELS, held_out=0, progress=False, **{**settings, "epochs": 0.2})
    run = model.run
    assert run.is_dir()
    assert model.held_out is None
    del model
    assert not run.exists()


def test_early_stopping_keeps_the_best_epoch_and_its_recipe_repeats_it(
    settings: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After three epochs without a higher score; of equal ones the likelier is kept."""
    with caplog.at_level(logging.INFO, logger="gsa"):
        model = gsa.tune(
            TEXTS, LABELS, task="urgency", progress=False,
            **{**settings, "learning_rate": 0.03, "epochs": 12},
        )  # fmt: skip
    assert "epoch 1: weighted F1" in caplog.text
    stop, steps = model.recipe.levels[0].stop_step, 12 * 12
    assert stop is not None
    assert stop < steps
    assert stop % 12 == 0
    assert caplog.text.count("held-out examples") <= stop // 12 + 1 + 3
    root = model.save(tmp_path / "run")
    again = tmp_path / "again"
    tune(load_recipe(root / "recipe.toml"), again)
    assert links(again) == links(root), "the stored recipe gives the same link"
    assert Chain.read(again).links[0].sha256 == Chain.read(root).links[0].sha256


def test_a_run_that_stopped_early_keeps_its_precision_and_finds_its_model_from_anywhere(
    settings: dict[str, object], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EarlyStopping, "is_early", True)
    monkeypatch.chdir(tiny_folder.parent)
    quick = {**settings, "model": tiny_folder.name, "epochs": 0.5, "precision": "auto"}
    model = gsa.tune(TEXTS, LABELS, held_out=0.4, progress=False, **quick)
    recipe = load_recipe(model.run / "recipe.toml")
    assert recipe.levels[0].stop_step
    assert recipe.backbone.precision == model.precision, "not auto"
    assert recipe.backbone.name == str(tiny_folder)
    assert len(load_splits(recipe.datasets[0])["dev"]) == 60, "0.4 is rounded to one of two folds"
    monkeypatch.chdir(tmp_path)
    assert gsa.load(model.run).precision == model.precision


def test_epochs_are_compared_by_score_and_likelihood(tuned_model: TunedModel) -> None:
    config = tuned_model.recipe.datasets[0]
    encoder = Encoder(tuned_model.tokenizer, tuned_model.layout, task_of(config))
    prompts = encoder.encode(load_splits(config)["dev"])
    stopping = EarlyStopping(prompts, 3)
    score, likelihood = stopping._score(tuned_model.model)
    assert tuned_model.held_out is not None
    assert score == pytest.approx(tuned_model.held_out.weighted_f1)
    assert likelihood < 0


def test_below_a_thousand_texts_all_are_trained_on_in_the_end(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic = {**settings, "epochs": None}
    model = gsa.tune(TEXTS, LABELS, progress=False, **automatic)
    assert len(load_splits(model.recipe.datasets[0])["train"]) == 120
    assert model.recipe.levels[0].stop_step is None
    assert model.recipe.levels[0].epochs == settings_for(120).epochs
    assert model.held_out is not None
    assert model.held_out.n == 24
    monkeypatch.setattr(module, "REFIT_BELOW", 120)
    model = gsa.tune(TEXTS, LABELS, progress=False, **automatic)
    splits = load_splits(model.recipe.datasets[0])
    assert (len(splits["train"]), len(splits["dev"])) == (96, 24)


def test_few_texts_are_all_trained_on(settings: dict[str, object], caplog) -> None:
    with caplog.at_level(logging.INFO, logger="gsa"):
        model = gsa.tune(TEXTS[:30], LABELS[:30], progress=False, **{**settings, "epochs": 0.5})
    assert "30 texts are too few to hold some out" in caplog.text
    assert len(load_splits(model.recipe.datasets[0])["train"]) == 30


def test_a_model_below_the_baseline_says_so(settings: dict[str, object], caplog) -> None:
    model = gsa.tune(TEXTS, LABELS, progress=False, **{**settings, "learning_rate": 1e-6, "epochs": 1})
    assert model.held_out is not None
    assert model.held_out.is_below_baseline
    assert (
        "TF-IDF with logistic regression 100.0: the tuned model is below the baseline; more labelled texts, "
        "more epochs or another learning rate may help" in caplog.text
    )
    assert str(HeldOut(3, 50.0, None)) == "weighted F1 50.0 on 3 held-out examples"


def test_folds_score_models_on_what_they_were_not_tuned_on(settings: dict[str, object]) -> None:
    quick = {**settings, "epochs": 0.5}
    model = gsa.tune(TEXTS[:60], LABELS[:60], folds=3, held_out=0, progress=False, **quick)
    assert [fold.n for fold in model.folds] == [20, 20, 20]
    assert all(fold.baseline == 100 for fold in model.folds)
    assert len(load_splits(model.recipe.datasets[0])["train"]) == 60


def test_conversations_are_read_with_their_turns(settings: dict[str, object]) -> None:
    chats = [[("Ana", "Where is it?"), ("Desk", f"{text}")] for text in TEXTS[:24]]
    model = gsa.tune(chats, LABELS[:24], task="urgency", progress=False, **{**settings, "epochs": 1})
    task = model.tasks["urgency"]
    assert task.context
    one, other = (
        model.classify("urgency", [("Ana", first), ("Desk", "help 3")]).probabilities
        for first in ("Where is it?", "Never mind.")
    )
    assert one != other


def test_the_task_is_named_after_the_column(settings: dict[str, object]) -> None:
    data = {"body": TEXTS[:8], "how urgent": LABELS[:8]}
    model = gsa.tune("body", "how urgent", data=data, progress=False, **{**settings, "epochs": 0.5})
    assert model.task_name == "how urgent"
    assert model.classify("how urgent", "help 3").label in LABELS
    assert (model.recipe.name, model.recipe.levels[0].name) == ("how-urgent", "how-urgent")
    model = gsa.tune(
        TEXTS[:8], np.array(["negative", "positive"] * 4), task="sentiment", progress=False,
        **{**settings, "epochs": 0.5},
    )  # fmt: skip
    assert model.tasks["sentiment"].labels == ("negative", "positive")
    assert model.recipe.datasets[0].instruction == "", "the paper's"


def test_a_model_of_a_run_keeps_its_tasks_and_its_layout(
    tuned_model: TunedModel, settings: dict[str, object], tmp_path: Path
) -> None:
    below = tuned_model.save(tmp_path / "below")
    layout = tuned_model.layout.model_copy(update={"max_tokens": 500})
    replace_recipe(below, load_recipe(below / "recipe.toml").model_copy(update={"layout": layout}))
    quick = {**settings, "model": below, "epochs": 0.5}
    model = gsa.tune(TEXTS[:8], LABELS[:8], task="tone", progress=False, **quick)
    assert model.layout == layout
    assert model.tasks["urgency"] == tuned_model.tasks["urgency"]
    assert model.classify("urgency", "help 3").label in LABELS
    assert model.classify("tone", "help 3").label in LABELS


def test_a_pickled_model_predicts_the_same(tuned_model: TunedModel) -> None:
    copy = pickle.loads(pickle.dumps(tuned_model))
    assert copy.run != tuned_model.run
    assert copy.classify("urgency", TEXTS[:3]) == tuned_model.classify("urgency", TEXTS[:3])
    assert copy.held_out == tuned_model.held_out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"folds": 1}, "folds: expected 2 or more, or 0 for none, found 1"),
        ({"folds": "3"}, "gsa.tune: folds: input should be a valid integer, found '3'"),
        ({"held_out": 1.0}, "gsa.tune: held_out: input should be less than 1, found 1.0"),
        ({"held_out": "0.2"}, "gsa.tune: held_out: input should be a valid number, found '0.2'"),
        ({"epochs": 0}, "gsa.tune: epochs: input should be greater than 0, found 0"),
        ({"learning_rate": "fast"}, "gsa.tune: learning_rate: input should be a valid number"),
        ({"examples_per_step": np.int64(0)}, "gsa.tune: examples_per_step: input should be greater than or"),
        ({"task": 5}, "gsa.tune: task: input should be a valid string, found 5"),
        ({"task": " "}, "gsa.tune: task: expected a text, found ' '"),
        ({"instruction": 5}, "gsa.tune: instruction: input should be a valid string, found 5"),
        ({"instruction": " \n"}, "gsa.tune: instruction: expected a text, found"),
        ({"precision": "int4"}, "gsa.tune: precision: input should be 'float32', 'bfloat16' or 'auto'"),
        ({"seed": -1}, "gsa.tune: seed: input should be greater than or equal to 0"),
        ({"model": 5}, "gsa.tune: model: input should be a valid string, found 5"),
        ({"model": "./nowhere"}, "backbone folder './nowhere' does not exist"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        gsa.tune(TEXTS, LABELS, progress=False, **{**settings, **change})


def test_settings_may_be_numbers_of_numpy_and_have_white_space_around_them() -> None:
    options = module.Options.parse(epochs=np.int64(2), learning_rate=np.float32(0.5), seed=np.uint8(3))
    assert module.Options.parse(instruction=" How? ").instruction == "How?"
    assert (options.epochs, options.learning_rate, options.seed) == (2.0, 0.5, 3)


def test_control_c_is_the_exception_that_python_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(module, "tune_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gsa.tune(TEXTS, LABELS)


def test_progress_is_shown_unless_logging_is_configured(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger("gsa"), "propagate", False)  # pytest's handlers are the root's
    quick = {**settings, "epochs": 0.5}
    gsa.tune(TEXTS[:8], LABELS[:8], **quick)
    assert "level 1 label" in capsys.readouterr().err
    gsa.tune(TEXTS[:8], LABELS[:8], progress=False, **quick)
    assert "level 1 label" not in capsys.readouterr().err
    assert logging.getLogger("gsa").handlers == []
