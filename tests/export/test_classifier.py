"""Classifiers: transformers' pipeline answers as the predictor does, in padded and truncated batches."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, pipeline

import gsa
from gsa.chain.calibration import Calibration, key
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.checksums import sha256
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.export.classifier import SAMPLES, WHITE_SPACE, frame_of
from gsa.export.export import export
from gsa.model.hf_logging import quiet_libraries
from gsa.prediction.inputs import dialogue, example
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune

RECIPE = """
name = "letters"
[backbone]
name = "{backbone}"
[layout]
max_tokens = 200
[lora]
rank = 2
[[levels]]
name = "SA"
learning_rate = 1e-2
[[levels.datasets]]
name = "letters"
path = "{data}"
task = "tone"
instruction = "What is the tone?"
labels = ["+", "-", "0"]
"""
TEXTS = ["It was fine.", "Dreadful!", *SAMPLES, "word " * 15]


@pytest.fixture(scope="module")
def letters(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuned run with labels of one byte, hence of one token, and with a calibration."""
    folder = tmp_path_factory.mktemp("letters")
    data = folder / "data"
    data.mkdir()
    rows = [{"text": f"Number {i}.", "label": "+-0"[i % 3]} for i in range(12)]
    for split in ("train", "test"):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = folder / "letters.toml"
    recipe.write_text(RECIPE.format(backbone=tiny_folder.as_posix(), data=data.as_posix()))
    run = folder / "run"
    tune(load_recipe(recipe), run)
    chain = Chain.read(run)
    task = gsa.load(run).tasks["tone"]
    Calibration(chain.identity(), {key(task): 2.0}, {}).write(run)
    return run


@pytest.fixture(scope="module")
def folder(letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(letters, "classifier", tmp_path_factory.mktemp("classifier") / "out", task="tone")


def classify(folder: Path, texts: list[str], **options: Any) -> list[dict[str, float]]:
    """Return the probabilities of transformers' pipeline."""
    with quiet_libraries():
        found = pipeline("text-classification", model=str(folder))(texts, top_k=None, **options)
    return [{row["label"]: row["score"] for row in rows} for rows in found]


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_pipeline_gives_the_predictors_probabilities(folder: Path, letters: Path, batch_size: int) -> None:
    known = gsa.load(letters).classify("tone", TEXTS)
    found = classify(folder, TEXTS, batch_size=batch_size)
    assert np.ptp([prediction.probabilities["+"] for prediction in known]) > 0.05
    for one, other in zip(found, known, strict=True):
        assert one == pytest.approx(other.probabilities, abs=1e-4)
        assert max(one, key=lambda label: one[label]) == other.label


def test_the_folder_is_an_ordinary_one(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    assert len({file.stat().st_mode for file in folder.iterdir()}) == 1
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForSequenceClassification"]
    assert config["id2label"] == {"0": "+", "1": "-", "2": "0"}
    assert "gsa" not in (folder / "tokenizer_config.json").read_text()
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "What is the tone?\nLabels: +, -, 0\n" in card


def test_a_model_that_reads_lower_case_is_a_classifier_that_does(letters: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(letters, tmp_path / "run")))
    recipe, chain = run.read()
    layout = recipe.layout.model_copy(update={"fold_case": "all"})
    run.recipe_file.write_text(recipe.model_copy(update={"layout": layout}).toml())
    replace(chain, recipe=sha256(run.recipe_file)).write()
    out = export(run.root, "classifier", tmp_path / "classifier", task="tone")
    model = gsa.load(run.root)
    texts = ["IT WAS Fine.", "it was fine.", *TEXTS]
    for found, text in zip(classify(out, texts, batch_size=4), texts, strict=True):
        assert found == pytest.approx(model.classify("tone", text).probabilities, abs=1e-4)
    assert model.classify("tone", texts[0]).probabilities == model.classify("tone", texts[1]).probabilities
    assert "in lower case" in (out / "README.md").read_text()


def test_this_package_does_not_take_a_classifier_for_a_language_model(folder: Path) -> None:
    with pytest.raises(InputError, match="is a classifier, which transformers' pipelines load"):
        gsa.load(folder)


def test_the_cards_script_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    monkeypatch.chdir(folder)
    with quiet_libraries():
        exec(script, {})
    assert "'label': '+'" in capsys.readouterr().out


def test_truncation_never_cuts_instruction_or_cue(folder: Path, letters: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = gsa.load(letters)
    encoder = Encoder(model.tokenizer, model.layout, model.tasks["tone"])
    long = "word " * 500
    for text in (long, "x" * 900):
        ids = tokenizer(text, truncation=True)["input_ids"]
        assert len(ids) == 199
        text_read = tokenizer.decode(ids)
        assert text_read.startswith("What is the tone?\nLabels: +, -, 0\n")
        assert text_read.endswith(" => ")
    assert encoder.layout.max_tokens == 200
    short = classify(folder, ["fine", long], truncation=True, batch_size=2)
    assert short[0] == pytest.approx(model.classify("tone", "fine").probabilities, abs=1e-4)


def test_control_tokens_and_white_space_of_a_text_are_read_as_gsa_reads_them(
    folder: Path, letters: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert set(WHITE_SPACE) == {chr(code) for code in range(0x11000) if chr(code).isspace()}
    one, other = tokenizer(["a <eos> b", f"a{WHITE_SPACE}<eos>\n\nb "])["input_ids"]
    assert one == other
    assert 256 not in one


@pytest.mark.parametrize(
    ("task", "context", "says"),
    [
        ("", True, "--task: expected one of sentiment, emotion, sarcasm for a classifier, found none"),
        ("sentimnt", True, r"found 'sentimnt' \(did you mean 'sentiment'\?\)"),
        ("sentiment", True, r"the label 'negative' takes 8 tokens, .* merged, adapter, gguf and chain take"),
        ("emotion", True, "reads conversations, a classifier reads one text: expected --no-context"),
        ("emotion", False, r"the label 'surprise' takes \d tokens"),
    ],
)
def test_what_a_classifier_cannot_hold_is_refused(
    task: str, context: bool, says: str, tuned: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        export(tuned, "classifier", tmp_path / "out", task=task, context=context)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="--task and --no-context: expected only with --format classifier"):
        export(tuned, "merged", tmp_path / "out", task="sentiment")


def test_a_layout_that_repeats_the_text_is_refused(letters: Path) -> None:
    tokenizer = gsa.load(letters).tokenizer
    task = gsa.Task("tone", 4, "What is it?", ("+", "-"))
    layout = Layout(name="paper", context="history")
    with pytest.raises(InputError, match="layout 'paper' shows the text twice"):
        frame_of(tokenizer, Encoder(tokenizer, layout, task))
    sentence = gsa.Task("tone", 4, "What is it?", ("+", "-"), context=False)
    frame = frame_of(tokenizer, Encoder(tokenizer, layout, sentence))
    assert frame.before == ()
    assert tokenizer.decode(list(frame.after)) == "\nWhat is it?\nLabels: +, -\nAnswer: "


def test_the_page_says_what_was_measured() -> None:
    root = Path(__file__).parents[2]
    rows = [json.loads(line) for line in (root / "results" / "classifier.json").read_text().splitlines()]
    page = (root / "docs" / "export.md").read_text(encoding="utf-8")
    section = page.split("## A classifier")[1].split("\n## ")[0]
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"
    ]
    assert len(rows) >= 2
    assert table[2:] == [
        [r["task"], r["program"], f"{r['same_label']} of {r['texts']}", f"{r['largest_difference']:.0e}"]
        for r in rows
    ]
    assert all(row["same_label"] == row["texts"] for row in rows if row["program"] == "transformers")


@pytest.mark.slow
def test_the_shipped_model_as_a_classifier(tmp_path: Path) -> None:
    """Emotion without context: seven labels, of a task whose prompts else show other turns."""
    model = gsa.load(precision="float32")
    task = model.tasks["emotion"]
    texts = [item.utterance.text for item in load("sampler-emotion")["test"][:12]]
    expected = model.predict([example(task, dialogue(text)) for text in texts], task)
    del model  # one model of this size in memory at a time
    folder = export(Path("gsa-135m"), "classifier", tmp_path / "emotion", task="emotion", context=False)
    for probabilities, prediction in zip(classify(folder, texts, batch_size=8), expected, strict=True):
        assert probabilities == pytest.approx(prediction.probabilities, abs=1e-4)
        assert max(probabilities, key=lambda label: probabilities[label]) == prediction.label
