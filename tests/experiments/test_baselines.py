"""Baselines: the recipe's examples in, rows and predictions that the report reads out."""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score
from tiny import tiny_bert

from gsa.checksums import SUMS, checksums, format_sums
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.predictions import PredictionStore
from gsa.experiments import baseline_models as models
from gsa.experiments import baseline_systems, embeddings
from gsa.experiments.baseline_systems import BASELINES
from gsa.experiments.baselines import measure_baselines, warn_below_tfidf
from gsa.recipes.datasets import training_examples
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import DatasetConfig
from gsa.report.runs import by_arm, read_runs

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"
RECIPE = """
name = "small"
[[levels]]
name = "all"
learning_rate = 1e-3
datasets = [{ name = "sampler-sentiment", limit = 120 }, "sampler-emotion", "sampler-sarcasm"]
"""


@pytest.fixture(autouse=True)
def minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny random BERT in the model's place, and a cache of the test's own."""
    monkeypatch.setenv("GSA_CACHE", str(tmp_path / "cache"))
    folder = tiny_bert(tmp_path / "cache" / "embeddings" / "minilm")
    sums = checksums(folder, [file.name for file in folder.iterdir()])
    (folder / SUMS).write_text(format_sums(sums))  # so it counts as unpacked
    return folder


@pytest.fixture
def recipe(tmp_path: Path):
    (tmp_path / "small.toml").write_text(RECIPE)
    return load_recipe(tmp_path / "small.toml")


def test_every_baseline_has_rows_and_predictions_that_the_report_reads(recipe, tmp_path) -> None:
    folders = measure_baselines(recipe, tmp_path / "out")
    assert [folder.name for folder in folders] == [f"{name}-s0" for name in BASELINES]
    arms = by_arm(read_runs([tmp_path / "out"]))
    assert set(arms) == set(BASELINES)
    for name, (run,) in arms.items():
        for dataset in run.datasets:
            found = run.predictions(run.last, dataset)
            assert found is not None
            assert np.allclose(found.answers.probabilities.sum(1), 1)
            assert run.main_row(run.last, dataset).n == len(found.ids)
        assert run.contradictions() == run.damaged_files() == []
        assert run.level_title(run.last) == name
    assert arms["vader"][0].datasets == ("sampler-sentiment",)
    assert arms["minilm-context"][0].datasets == ("sampler-emotion", "sampler-sarcasm")
    assert len(arms["tfidf"][0].datasets) == 3


def test_words_that_tell_the_label_are_learned(recipe, tmp_path) -> None:
    measure_baselines(recipe, tmp_path / "out", ["tfidf", "majority"])
    rows = {(r.run, r.dataset): r.value for name in ("tfidf", "majority")
            for r in results.read(tmp_path / "out" / f"{name}-s0") if r.metric == "accuracy"}  # fmt: skip
    assert rows["tfidf", "sampler-sentiment"] > rows["majority", "sampler-sentiment"] + 10
    chosen = json.loads((tmp_path / "out" / "tfidf-s0" / "chosen.json").read_text())
    assert chosen["sampler-sentiment"]["trained on"] == 120
    assert chosen["sampler-sentiment"]["features"] in models.NGRAMS


def test_training_reads_the_capped_examples_and_dev_only_chooses(recipe, tmp_path, monkeypatch) -> None:
    seen = []
    monkeypatch.setitem(
        BASELINES,
        "majority",
        lambda data: seen.append(data) or baseline_systems._majority(data),
    )
    measure_baselines(recipe, tmp_path / "out", ["majority"])
    data = seen[0]
    expected = training_examples(DatasetConfig(name="sampler-sentiment", limit=120), 0)
    assert [e.id for e in data.train] == [e.id for e in expected]
    ids = [{e.id for e in part} for part in (data.train, data.dev, data.test)]
    assert ids[0]
    assert ids[2]
    assert not ids[1], "the sampler has no dev split"
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]


def test_what_is_there_is_kept_and_another_recipe_refused(recipe, tmp_path, monkeypatch) -> None:
    (root,) = measure_baselines(recipe, tmp_path / "out", ["tfidf"])
    before = (root / results.FILE).read_bytes()
    monkeypatch.setitem(BASELINES, "tfidf", lambda data: pytest.fail("computed again"))
    measure_baselines(recipe, tmp_path / "out", ["tfidf"])
    assert (root / results.FILE).read_bytes() == before
    faster = load_recipe(tmp_path / "small.toml", ["levels.all.learning_rate=5e-2"])
    measure_baselines(faster, tmp_path / "out", ["tfidf"])  # a baseline does not use the rate
    other = load_recipe(tmp_path / "small.toml", ["levels.all.datasets.sampler-sentiment.limit=30"])
    with pytest.raises(InputError, match="baselines of other data"):
        measure_baselines(other, tmp_path / "out", ["tfidf"])
    with pytest.raises(InputError, match=r"baseline 'tfid' \(did you mean 'tfidf'"):
        measure_baselines(recipe, tmp_path / "out", ["tfid"])
    with pytest.raises(InputError, match="dataset 'meld': expected one of sampler-sentiment"):
        measure_baselines(recipe, tmp_path / "out", ["tfidf"], ["meld"])


def test_predictions_on_other_texts_are_computed_again(tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "test"):
        (data / f"{split}.csv").write_text("text,label\ngood film,x\nbad film,y\ngood cast,x\n")
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\n[[levels]]\nname = "one"\nlearning_rate = 1e-3\n'
        f'datasets = [{{ name = "own", path = "{data.as_posix()}", task = "sentiment", '
        'labels = ["x", "y"] }]\n'
    )
    (root,) = measure_baselines(load_recipe(path), tmp_path / "out", ["tfidf"])
    before = PredictionStore(root).load(0, "own", "test")
    (data / "test.csv").write_text("text,label\nbad cast,x\nbad film,y\nbad plot,x\n")
    measure_baselines(load_recipe(path), tmp_path / "out", ["tfidf"])
    after = PredictionStore(root).load(0, "own", "test")
    assert after["id"].to_list() == before["id"].to_list()
    assert after["p_x"][0] < before["p_x"][0]


def test_settings_are_chosen_on_dev_alone(tmp_path, monkeypatch) -> None:
    """The invented dev split holds disgust alone: the settings that answer it are taken."""
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    text = 'name = "one"\n[[levels]]\nname = "SA"\nlearning_rate = 1e-3\ndatasets = ["meld"]\n'
    (tmp_path / "one.toml").write_text(text)
    tried, labels_of = [], CATALOGUE["meld"].task.labels

    def regression(features, gold, labels, **settings):
        tried.append(settings)
        right = settings == {"C": 10.0, "class_weight": "balanced"}

        def chances(of):
            found = np.zeros((of.shape[0], labels))
            found[:, labels_of.index("disgust" if right else "joy")] = 1.0
            return found

        return chances

    monkeypatch.setattr(models, "fit_regression", regression)
    (root,) = measure_baselines(load_recipe(tmp_path / "one.toml"), tmp_path / "out", ["tfidf"])
    assert tried == [*models.GRID, {"C": 10.0, "class_weight": "balanced"}]
    chosen = json.loads((root / "chosen.json").read_text())["meld"]
    assert (chosen["C"], chosen["class_weight"], chosen["features"]) == (10.0, "balanced", "words")
    table = pl.read_parquet(PredictionStore(root).path(0, "meld", "test"))
    assert set(table["predicted"]) == {"disgust"}


def test_folds_are_read_as_one_arm(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    text = 'name = "folds"\n[[levels]]\nname = "SD"\nlearning_rate = 1e-3\ndatasets = ["sst2", "mustard"]\n'
    (tmp_path / "folds.toml").write_text(text)
    recipe = load_recipe(tmp_path / "folds.toml")
    folders = measure_baselines(recipe, tmp_path / "out", ["majority"], every_fold=True)
    assert [folder.name for folder in folders] == [
        "majority-s0",
        *(f"majority-fold{k}-s0" for k in range(1, 5)),
    ]
    (run,) = read_runs([tmp_path / "out"])
    tables = [pl.read_parquet(PredictionStore(f).path(0, "mustard", "test")) for f in folders]
    assert (run.arm, len(run.folds)) == ("majority", 5)
    assert run.predictions(0, "mustard").ids == tuple(id for table in tables for id in table["id"])
    row = run.main_row(0, "mustard")
    gold, said = ([word for table in tables for word in table[of]] for of in ("gold", "predicted"))
    assert row.value == pytest.approx(100 * f1_score(gold, said, average="weighted"), abs=1e-3)
    assert row.n == sum(map(len, tables))
    assert run.main_row(0, "sst2").n == len(run.predictions(0, "sst2").ids)
    assert run.contradictions() == []
    with pytest.raises(InputError, match=r"arm 'majority' has seed 0, fold 2, in .* and in"):
        read_runs([tmp_path / "out", folders[2]])


def test_a_missing_extra_says_which_to_install(recipe, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(InputError, match=r"pip install '\.\[baselines\]'"):
        measure_baselines(recipe, tmp_path / "out", ["vader"])


def test_vader_takes_zero_for_positive() -> None:
    pytest.importorskip("vaderSentiment")
    good, none, bad = models.compound_scores(["a great film", "a film", "an awful film"])
    assert good > 0 > bad
    assert none == 0


def test_embeddings_are_means_of_length_one_and_read_once(minilm, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "CHUNK", 2)
    alone = embeddings.embed(["b c d e"])["b c d e"]
    found = embeddings.embed(["a", "b c d e", "f g", "a"])
    assert set(found) == {"a", "b c d e", "f g"}
    assert np.allclose([np.linalg.norm(v) for v in found.values()], 1, atol=1e-5)
    assert np.allclose(found["b c d e"], alone, atol=1e-5), "padding beside longer texts changes nothing"
    monkeypatch.setattr(embeddings, "load_model", lambda _: pytest.fail("all of it is in the cache"))
    again = embeddings.embed(["f g", "a", "b c d e"])
    assert all((again[text] == found[text]).all() for text in found)


def test_context_is_the_mean_of_the_turns_before(minilm) -> None:
    turns = tuple(Utterance(text) for text in ("a b", "c", "d e f"))
    dialogue = Dialogue("d", turns)
    examples = [Example(f"d_{i}", "x", dialogue, i, "joy") for i in range(3)]
    (wide,) = models.sentence_features(examples, [examples], context=True)
    (narrow,) = models.sentence_features(examples, [examples], context=False)
    assert wide.shape == (3, 16)
    assert (wide[:, :8] == narrow).all()
    assert not wide[0, 8:].any()
    assert np.allclose(wide[2, 8:], narrow[:2].mean(0))


def test_a_single_class_is_answered_without_a_fit() -> None:
    chances = models.fit_regression(np.ones((3, 2)), np.asarray([1, 1, 1]), 3, C=1.0)(np.ones((2, 2)))
    assert chances.tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(("value", "warned"), [(99.9, 1), (100.0, 0)])
def test_a_run_below_tfidf_is_told_what_may_help(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: float, warned: int
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for split in ("train", "test"):
        rows = [{"text": f"{label} {split} {i}", "label": label} for label in ("yes", "no") for i in range(8)]
        (own / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.toml").write_text(
        'name = "x"\n[[levels]]\nname = "L"\nlearning_rate = 1e-3\n[[levels.datasets]]\nname = "own"\n'
        'path = "own"\ntask = "sentiment"\nlabels = ["yes", "no"]\n'
    )
    metric = {"dataset": "own", "split": "test", "metric": "weighted_f1", "value": value, "n": 16}
    with caplog.at_level(logging.WARNING):
        row = results.Result(run="x", seed=0, level=1, **metric)
        warn_below_tfidf(load_recipe(tmp_path / "own.toml"), [row], "test")
    said = (
        "own: weighted_f1 99.9 is below the 100.0 of TF-IDF with logistic regression (gsa baselines); more "
        "labelled texts, more epochs or another learning rate may help"
    )
    assert caplog.messages == [said] * warned
