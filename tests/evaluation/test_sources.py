"""Any model on any dataset: where its results go, and what they are."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gsa.chain import pipeline as module
from gsa.chain import run_folder
from gsa.chain.source import ModelSource
from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.results import MAJORITY
from gsa.evaluation.sources import FolderTask, _own_folder, make_evaluator
from gsa.recipes.datasets import task_of
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import DatasetConfig
from gsa.report.report import make_report

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))


@pytest.fixture
def copy(tuned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "run"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Labelled sentences without a train or dev split."""
    folder = tmp_path / "tickets"
    folder.mkdir()
    (folder / "test.csv").write_text("text,label\nCall me now!,urgent\nNo hurry.,can wait\nHelp!,urgent\n")
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_run_on_datasets_of_its_recipe_is_evaluated_in_its_folder(copy: Path) -> None:
    evaluator, names = make_evaluator(copy, ["sampler-sarcasm"])
    rows = evaluator.evaluate([3], names, limit=4)
    assert evaluator.root == copy
    assert {row.dataset for row in rows} == {"sampler-sarcasm"}
    assert not Path("runs").exists()


def test_a_run_on_another_dataset_has_a_folder_of_results(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_matplotlib: None
) -> None:
    before = files(copy)
    evaluator, names = make_evaluator(copy, ["robustness-sarcasm"])
    rows = evaluator.evaluate(None, names, limit=5)
    assert evaluator.root == Path("runs/eval/tiny")
    assert {(row.level, row.n) for row in rows} == {(3, 5), (MAJORITY, 5)}, "the last level alone"
    assert files(copy) == before
    evaluator, names = make_evaluator(copy, ["robustness-emotion", "sampler-sarcasm"])
    evaluator.evaluate([0, 3], names, limit=4)
    stored = load_recipe(evaluator.root / "recipe.toml")
    assert [config.name for config in stored.evaluation.datasets or ()] == [
        "robustness-sarcasm",
        "robustness-emotion",
    ]
    assert stored.levels == load_recipe(copy / "recipe.toml").levels
    header = evaluator.forgetting_matrix(results.read(evaluator.root))[0]
    assert header == ["dataset", "metric", "n", "majority", "untuned", "after SD"]
    made = make_report([evaluator.root], tmp_path / "report", "test", 100)
    assert "robustness-emotion" in (tmp_path / "report" / "report.md").read_text()
    assert made.files
    sizes: list[int] = []
    original = module.score
    monkeypatch.setattr(module, "score", lambda *words: (sizes.append(1), original(*words))[1])
    assert {row.level for row in evaluator.evaluate([0, 3], names, limit=4)} == {MAJORITY, 0, 3}
    assert not sizes, "predictions are kept"


def test_the_shipped_model_is_never_written_to(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "SHIPPED", copy)
    before = files(copy)
    for model in (None, "gsa-135m"):
        evaluator, names = make_evaluator(model)
        assert names == ["sampler-sentiment", "sampler-emotion", "sampler-sarcasm"], "all of its recipe"
        rows = evaluator.evaluate(None, names, limit=3)
        assert {row.level for row in rows} == {MAJORITY, 3}
        assert evaluator.root == Path("runs/eval/tiny")
    assert files(copy) == before


def test_a_model_folder_on_a_dataset_without_a_train_split(tiny_folder: Path) -> None:
    evaluator, names = make_evaluator(tiny_folder, ["semeval2014-restaurants"], Path("out"))
    rows = evaluator.evaluate(None, names)
    assert {(row.run, row.level) for row in rows} == {("tiny", 0)}, "no labels to take a majority of"
    assert not (Path("out") / "recipe.toml").exists()
    assert evaluator.forgetting_matrix(rows)[0] == ["dataset", "metric", "n", "tiny"]
    assert len(evaluator.sample_predictions("test", 1)) == 1
    with pytest.raises(InputError, match=r"level 1: .* has no links"):
        evaluator.evaluate([1], names)


def test_a_users_folder_is_asked_for_a_task(tiny_folder: Path, copy: Path, own: Path) -> None:
    task = FolderTask("urgency", ["urgent", "can wait"], "Determine how urgent the sentence is.")
    evaluator, names = make_evaluator(tiny_folder, [str(own)], None, "", task)
    rows = evaluator.evaluate(None, names)
    assert {(row.run, row.dataset, row.level, row.n) for row in rows} == {("tiny", "tickets", 0, 3)}
    (config,) = evaluator.datasets.values()
    assert (config.path, config.task, config.labels) == (str(own), "urgency", ("urgent", "can wait"))
    (own / "test.csv").write_text("text,label\nGood.,positive\nBad.,negative\n")
    evaluator, names = make_evaluator(copy, [str(own)], None, "", FolderTask("sentiment"))
    evaluator.evaluate(None, names)
    assert evaluator.datasets["tickets"].labels == evaluator.model.tasks()["sentiment"].labels


@pytest.mark.parametrize("change", [{"instruction": "Consider the complaint."}, {"context": True}, {}])
def test_a_users_folder_is_asked_as_the_model_was_tuned(
    tuned: Path, own: Path, change: dict[str, object]
) -> None:
    source = ModelSource.of_run(tuned)
    assert source.recipe is not None
    keys = {"name": "mine", "path": str(own.parent), "task": "sentiment", "labels": ("urgent", "can wait")}
    level = source.recipe.levels[0].model_copy(update={"datasets": (DatasetConfig(**keys, **change),)})
    source = replace(source, recipe=source.recipe.model_copy(update={"levels": (level,)}))
    config = _own_folder(own, {}, source, FolderTask("sentiment"))
    assert task_of(config) == source.tasks()["sentiment"]
    assert bool(config.instruction) == bool(change), "stored recipes do not repeat the paper's"
    asked = _own_folder(own, {}, source, FolderTask("sentiment", instruction="Consider it."))
    assert task_of(asked).instruction == "Consider it."


def test_what_cannot_be_evaluated_is_refused(tiny_folder: Path, copy: Path, own: Path) -> None:
    with pytest.raises(InputError, match="has no recipe: expected --dataset"):
        make_evaluator(tiny_folder, out=Path("out"))
    with pytest.raises(InputError, match="run 'nowhere' does not exist"):
        make_evaluator("nowhere")
    with pytest.raises(InputError, match=r"dataset 'mled' \(did you mean 'meld'\?\): expected a name of"):
        make_evaluator(copy, ["mled"])
    with pytest.raises(InputError, match="tickets': expected --task, one of emotion, sarcasm, sentiment"):
        make_evaluator(copy, [str(own)])
    with pytest.raises(InputError, match=r"tickets': task: found 'urgency'.*or an 'instruction'"):
        make_evaluator(copy, [str(own)], task=FolderTask("urgency", ["a", "b"]))
    make_evaluator(copy, task=FolderTask(labels=[], columns={}))
    for datasets, found in ([], "none"), (["sst2", "sampler-emotion"], "sst2, sampler-emotion"):
        with pytest.raises(InputError, match=rf"are for folders: expected a folder.*, found {found}$"):
            make_evaluator(copy, datasets, task=FolderTask(labels=["a", "b"]))
    make_evaluator(tiny_folder, ["sst2"], Path("out"))[0].evaluate([0], limit=1)
    another = Path(shutil.copytree(tiny_folder, "another"))
    with pytest.raises(InputError, match="'out' holds results of 'tiny': expected another --out"):
        make_evaluator(another, ["sst2"], Path("out"))[0].evaluate([0])
    with pytest.raises(InputError, match="run' is a run: expected another --out"):
        make_evaluator(another, ["sst2"], copy)[0].evaluate([0])


def test_datasets_that_are_only_evaluated_may_be_in_the_recipe(recipe_file: Path, copy: Path) -> None:
    recipe = load_recipe(recipe_file, ['evaluation.datasets=["robustness-sarcasm"]'])
    assert [config.name for config in recipe.evaluated_datasets][-1] == "robustness-sarcasm"
    assert load_recipe(recipe_file).toml().count("datasets") == 3, "stored recipes have no key for none"
    with pytest.raises(InputError, match=r"evaluation.datasets.sst-2.name: .*did you mean 'sst2'"):
        load_recipe(recipe_file, ['evaluation.datasets=["sst-2"]'])
    assert Evaluator(copy).datasets.keys() == {"sampler-sentiment", "sampler-emotion", "sampler-sarcasm"}


def test_a_users_folder_may_have_other_columns_and_labels_with_commas(
    run: Callable[..., tuple[int, str, str]], tuned: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    rows = ['Call me now!,"now, please",a', "No hurry.,can wait,a", 'Help!,"now, please",b']
    (folder / "test.csv").write_text("\n".join(["body,right,chat", *rows]) + "\n")
    task = ("--task", "urgency", "--instruction", "Determine how urgent the sentence is.")
    labels = ("--label", "now, please", "--label", "can wait")
    columns = ("--text", "body", "--label-column", "right", "--dialogue-id", "chat")
    words = ("eval", tuned, "--dataset", folder, *task, *labels, "--out", tmp_path / "out", "--json")
    code, out, err = run(*words, *columns)
    assert code == 0, err
    assert {(row["dataset"], row["n"]) for row in map(json.loads, out.splitlines())} == {("chats", 3)}
    (config,) = load_recipe(tmp_path / "out" / "recipe.toml").evaluation.datasets or ()
    assert (config.text_column, config.label_column, config.dialogue_column) == ("body", "right", "chat")
    assert (config.labels, config.speaker_column) == (("now, please", "can wait"), "")
    code, _, err = run(*words, "--text", "body")
    assert code == 2
    assert "expected a column 'label'" in err
