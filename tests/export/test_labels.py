"""labels.json: the tokens that the predictor itself reads, enough to score labels without this package."""

import json
from pathlib import Path

import pytest
import torch
from tiny import byte_tokenizer

import gsa
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import SARCASM, SENTIMENT, Task
from gsa.errors import InputError
from gsa.export.export import export
from gsa.export.labels import label_table
from gsa.export.model_card import CONVERSATION
from gsa.recipes.schema import Recipe


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
    def of_level(recipe: Recipe, level: int | None = None) -> dict[str, Task]:
        return {f"after-{level}": SENTIMENT}

    monkeypatch.setattr("gsa.export.export.tasks_of", of_level)
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
