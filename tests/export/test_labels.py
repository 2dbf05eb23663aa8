"""labels.json: the tokens that the predictor itself reads, enough to score labels without this package."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import byte_tokenizer

import gsa
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import ModelSource
from gsa.checksums import sha256
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import SARCASM, SENTIMENT, Task
from gsa.errors import InputError
from gsa.export.export import export
from gsa.export.labels import label_table
from gsa.export.model_card import CONVERSATION
from gsa.model import backbone as backbones
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import DatasetConfig
from gsa.training.run import tune


@pytest.mark.parametrize("name", ["sentiment", "emotion", "sarcasm"])
def test_the_reads_of_the_table_give_the_predictors_probabilities(
    folders: dict[str, Path], tuned: Path, name: str
) -> None:
    table = json.loads((folders["gguf"] / "labels.json").read_text())["tasks"][name]
    model, plain = gsa.load(tuned), RunFolder(tuned).load()[2].model
    task = model.tasks[name]
    example = table["example"]
    assert table["labels"] == [task.word(label) for label in task.labels]
    assert table["end"] is None
    texts = [f"{example['prompt']} {label}" for label in table["labels"]]
    assert [example["tokens"] + answer for answer in table["answers"]] == model.tokenizer(texts)["input_ids"]
    log_p = {}
    for read in table["reads"]:
        with torch.no_grad():
            ids = torch.tensor([example["tokens"] + read["after"]])
            logits = plain(input_ids=ids).logits[0, -1]
        for token in read["tokens"]:
            log_p[(*read["after"], token)] = float(logits.log_softmax(-1)[token])
    scores = [sum(log_p[(*a[:i], a[i])] for i in range(len(a))) for a in table["answers"]]
    found = torch.tensor(scores).softmax(0).tolist()
    known = model.classify(task, list(CONVERSATION.turns) if task.context else CONVERSATION.turns[-1].text)
    if task.context:
        assert found == pytest.approx(list(known.probabilities.values()), abs=1e-4)


def test_tasks_that_the_layout_has_no_room_for_are_left_out() -> None:
    tokenizer = byte_tokenizer()
    tasks = {"tone": Task("tone", 4, "What is the tone?", ("+", "-")), "sarcasm": SARCASM}
    with pytest.raises(InputError, match="leaves no room beside the instruction"):
        Encoder(tokenizer, Layout(max_tokens=200), SARCASM)
    assert list(label_table(tokenizer, Layout(max_tokens=200), tasks, CONVERSATION)["tasks"]) == ["tone"]


def test_a_level_has_the_tasks_of_its_levels(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_level(source: ModelSource, level: int | None = None) -> dict[str, Task]:
        return {f"after-{level}": dataclasses.replace(SENTIMENT, name=f"after-{level}")}

    monkeypatch.setattr(ModelSource, "tasks", of_level)
    export(tuned, "adapter", tmp_path / "one", level=1)
    assert list(json.loads((tmp_path / "one" / "labels.json").read_text())["tasks"]) == ["after-1"]


def test_every_export_has_the_table(folders: dict[str, Path], tuned: Path) -> None:
    tables = [(folder / "labels.json").read_text() for folder in folders.values()]
    assert tables == tables[:1] * len(folders)
    model = gsa.load(tuned)
    for name, table in json.loads(tables[0])["tasks"].items():
        assert len(table["answers"]) == len(
            Encoder(model.tokenizer, model.layout, model.tasks[name]).task.labels
        )


@pytest.fixture(scope="module")
def on_a_run(tuned: Path, recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a task of its own, tuned on another run."""
    folder = tmp_path_factory.mktemp("on-a-run")
    (folder / "train.csv").write_text("text,label\n" + "Call me now!,urgent\nNo hurry.,calm\n" * 2)
    recipe = load_recipe(recipe_file, ["name=urgency", f"backbone.name={tuned}"])
    own = DatasetConfig(name="own", path=str(folder), task="urgency", instruction="How urgent is it?",
                        labels=("urgent", "calm"))  # fmt: skip
    level = recipe.levels[0].model_copy(update={"name": "own", "datasets": (own,)})
    tune(recipe.model_copy(update={"levels": (level,)}), folder / "run")
    return folder / "run"


def test_exports_know_the_tasks_of_the_runs_below(on_a_run: Path, tuned: Path, tmp_path: Path) -> None:
    below = gsa.load(tuned)
    expected = {"urgency": gsa.load(on_a_run).tasks["urgency"], **below.tasks}
    merged = gsa.load(export(on_a_run, "merged", tmp_path / "merged"))
    assert merged.tasks == expected == gsa.load(on_a_run).tasks
    assert next(iter(merged.tasks)) == "urgency", "its own come first"
    assert merged.tuned == set(expected), "the run below was tuned on all three"
    for kind in ("merged", "adapter"):
        folder = tmp_path / kind if kind == "merged" else export(on_a_run, kind, tmp_path / kind)
        assert list(json.loads((folder / "labels.json").read_text())["tasks"]) == list(expected)
        assert "No level was tuned on this task" not in (folder / "README.md").read_text()
    (tmp_path / "merged" / "tasks.json").write_text('{"tone": {"name": "tone"}}')
    with pytest.raises(
        InputError, match=r"tasks.json': tone.level: Field required: expected a file that gsa"
    ):
        gsa.load(tmp_path / "merged")
    with pytest.raises(InputError, match="expected one of urgency, sentiment, emotion, sarcasm for a class"):
        export(on_a_run, "classifier", tmp_path / "classifier", task="tone")


def test_cards_and_predictions_mark_what_no_level_was_tuned_on(
    on_a_run: Path, tiny_folder: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    alone = Path(shutil.copytree(on_a_run, tmp_path / "alone"))
    recipe = load_recipe(alone / "recipe.toml", [f"backbone.name={tiny_folder}"])
    (alone / "recipe.toml").write_text(recipe.toml())
    base = backbones.load_backbone(recipe.backbone).identity
    dataclasses.replace(Chain.read(alone), recipe=sha256(alone / "recipe.toml"), base=base).write()
    card = (export(alone, "adapter", tmp_path / "adapter") / "README.md").read_text()
    assert card.count("No level was tuned on this task") == 3
    assert "No level" not in card.split("## urgency")[1].split("\n## ")[0]
    code, _, messages = run("predict", "sentiment", "Fine.", "--model", alone)
    assert code == 0
    assert "no level was tuned on the task 'sentiment': its labels are guesses" in messages
    assert "no level" not in run("predict", "urgency", "Fine.", "--model", alone)[2]
