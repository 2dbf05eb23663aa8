"""Evaluation of a run: predictions and rows on disk, the forgetting matrix, nothing stale."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from gsa.chain import pipeline as module
from gsa.chain.chain import Chain
from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.predictions import PredictionStore
from gsa.evaluation.results import MAJORITY, Result, to_json_lines
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune


@pytest.fixture(scope="module")
def measured(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(tuned, tmp_path_factory.mktemp("measured") / "run"))
    Evaluator(root).evaluate()
    return root


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Path:
    """A measured run that a test may change."""
    return Path(shutil.copytree(measured, tmp_path / "run"))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of examples that are scored, one per dataset and level."""
    sizes: list[int] = []
    original = module.score

    def counting(model, prompts, *args):
        sizes.append(len(prompts))
        return original(model, prompts, *args)

    monkeypatch.setattr(module, "score", counting)
    return sizes


def test_every_level_and_dataset_has_predictions_and_rows_made_from_them(measured: Path) -> None:
    rows = Evaluator(measured).evaluate()
    files = sorted(measured.glob("predictions/level-*/*.parquet"))
    assert len(files) == 4 * 3
    for file in files:
        level, name = int(file.parent.name[-1]), file.name.removesuffix("-test.parquet")
        table = pl.read_parquet(file)
        assert len(table) == (6 if level in (1, 2) else 12)
        chances = table.select(pl.col("^p_.*$")).to_numpy()
        assert np.allclose(chances.sum(1), 1)
        labels = [column[2:] for column in table.columns if column.startswith("p_")]
        assert table["predicted"].to_list() == [labels[i] for i in chances.argmax(1)]
        assert set(table["greedy"].drop_nulls()) <= set(labels)
        (row,) = [r for r in rows if (r.level, r.dataset, r.metric) == (level, name, "weighted_f1")]
        gold, predicted = table["gold"].to_list(), table["predicted"].to_list()
        expected = 100 * f1_score(gold, predicted, average="weighted", zero_division=0.0)
        assert row.value == pytest.approx(expected, abs=1e-3)
        assert (row.n, row.run, row.seed, row.split) == (len(table), "tiny", 0, "test")


def test_what_is_valid_is_not_computed_again(measured: Path, computed: list[int], caplog) -> None:
    with caplog.at_level(logging.INFO):
        before = Evaluator(measured).evaluate()
    assert not computed
    lines = [line for line in caplog.messages if line.startswith("level ")]
    assert len(lines) == 12
    assert all(line.endswith("kept") for line in lines)
    assert Evaluator(measured).evaluate([3], ["sampler-sarcasm"], overwrite=True) == before
    assert computed == [12]


def test_a_smaller_limit_replaces_the_larger_evaluation(copy: Path, computed: list[int]) -> None:
    rows = Evaluator(copy).evaluate([3], ["sampler-sentiment"], limit=4)
    assert computed == [4]
    assert {r.n for r in rows if (r.level, r.dataset) == (3, "sampler-sentiment")} == {4}
    assert len(pl.read_parquet(PredictionStore(copy).path(3, "sampler-sentiment", "test"))) == 4


def test_predictions_of_other_weights_are_not_kept(
    copy: Path, recipe_file: Path, computed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """A chain is removed from its folder and another recipe is tuned into it."""
    before = {(r.level, r.dataset, r.metric): r for r in results.read(copy)}
    (copy / "chain.json").unlink()
    shutil.rmtree(copy / "links")
    tune(load_recipe(recipe_file, ["levels.SA.learning_rate=0.2"]), copy)
    with caplog.at_level(logging.INFO):
        rows = Evaluator(copy).evaluate([1])
    assert computed == [12, 12, 12], "of level 1 alone"
    assert any("has other weights, texts, task or options" in line for line in caplog.messages)
    assert {row.level for row in rows} == {MAJORITY, 0, 1}, "no rows of the old links are left"
    untuned = [row for row in rows if row.level == 0]
    assert untuned == [before[row.level, row.dataset, row.metric] for row in untuned]
    assert {r.level for r in results.read(copy)} == {MAJORITY, 0, 1}


@pytest.mark.usefixtures("native_bfloat16")
def test_another_precision_is_measured_anew_and_recorded(copy: Path, computed: list[int]) -> None:
    exact = {(r.dataset, r.metric): r for r in results.read(copy) if r.level == 3}
    assert {row.precision for row in exact.values()} == {"float32"}
    rows = [row for row in Evaluator(copy, "bfloat16").evaluate([3]) if row.level == 3]
    assert computed == [12, 12, 12]
    assert {row.precision for row in rows} == {"bfloat16"}
    assert {(row.dataset, row.metric) for row in rows} == set(exact)
    assert not [row for row in Evaluator(copy, "auto").evaluate([3]) if row.level == 3 and row not in rows]
    assert computed == [12, 12, 12], "auto is bfloat16 here: nothing is computed again"
    assert {r for r in Evaluator(copy).evaluate([3]) if r.level == 3} == set(exact.values())


def test_rows_of_another_recipe_are_dropped(copy: Path) -> None:
    stale = Result("earlier", 0, 3, "sampler-emotion", "test", "accuracy", 99.0, 12)
    results.add(copy, [stale])
    assert stale not in Evaluator(copy).evaluate([3])
    assert stale not in results.read(copy)


def test_predictions_without_a_fingerprint_are_computed_again(copy: Path, computed: list[int]) -> None:
    """As predictions stored by earlier versions are; the tables are the same bytes."""
    store = PredictionStore(copy)
    path, sums = store.path(3, "sampler-sarcasm", "test"), store.folder / "SHA256SUMS"
    before = path.read_bytes()
    lines = [line for line in sums.read_text().splitlines(True) if not line.startswith("#")]
    sums.write_text("".join(lines))
    assert store.load(3, "sampler-sarcasm", "test") is not None
    Evaluator(copy).evaluate([3], ["sampler-sarcasm"])
    assert computed == [12]
    assert path.read_bytes() == before


OWN = """
name = "own"
[backbone]
name = "{backbone}"
[lora]
rank = 2
[[levels]]
name = "one"
learning_rate = 1e-2
datasets = [{{ name = "own", path = "{path}", task = "sentiment", labels = ["negative", "positive"] }}]
"""


def test_predictions_of_other_texts_are_not_kept(
    tiny_folder: Path, tmp_path: Path, computed: list[int]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [f"text {i},{'positive' if i % 2 else 'negative'}\n" for i in range(8)]
    for split in ("train", "test"):
        (data / f"{split}.csv").write_text("text,label\n" + "".join(rows))
    recipe = tmp_path / "own.toml"
    recipe.write_text(OWN.format(backbone=tiny_folder.as_posix(), path=data.as_posix()))
    root = tmp_path / "run"
    tune(load_recipe(recipe), root)
    assert {row.n for row in Evaluator(root).evaluate([1])} == {8}
    rows = [row.replace("text", "a different sentence, quite").replace(", ", " ") for row in rows]
    (data / "test.csv").write_text("text,label\n" + "".join(rows[:-1]))
    assert {row.n for row in Evaluator(root).evaluate([1])} == {7}
    assert computed == [8, 7]
    Evaluator(root).evaluate([1])
    assert computed == [8, 7]


def test_damaged_predictions_are_computed_again(measured: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = Evaluator(measured).evaluate()
    file = measured / "predictions" / "level-3" / "sampler-sarcasm-test.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-40])
    assert Evaluator(measured).evaluate() == before
    assert file.read_bytes() == content
    assert any("is damaged" in line for line in caplog.messages)


def test_datasets_without_the_split_are_left_out_in_words(copy: Path, tmp_path: Path, caplog) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    recipe = (copy / "recipe.toml").read_text()
    source = f'name = "own"\npath = "{own.as_posix()}"\ntask = "sentiment"\nlabels = ["x", "y"]\n'
    (copy / "recipe.toml").write_text(
        recipe.replace("[evaluation]", f"[[levels.datasets]]\n{source}[evaluation]")
    )
    replace(Chain.read(copy), recipe=sha256(copy / "recipe.toml")).write()
    with caplog.at_level(logging.INFO):
        Evaluator(copy).evaluate([0])
    assert "own has no test split: skipped" in caplog.messages


def test_the_matrix_has_a_column_a_level(measured: Path) -> None:
    evaluator = Evaluator(measured)
    table = evaluator.forgetting_matrix(evaluator.evaluate())
    assert table[0] == ["dataset", "metric", "n", "majority", "untuned", "after SA", "after ERC", "after SD"]
    assert [row[0] for row in table[1:]] == ["sampler-sentiment", "sampler-emotion", "sampler-sarcasm"]
    assert all(cell for row in table[1:] for cell in row)
    assert table[1][5].endswith("(n=6)")


def test_a_run_without_a_finished_level_is_reported_as_untuned(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace(Chain.read(copy), links=()).write()
    evaluator = Evaluator(copy)
    rows = evaluator.evaluate(datasets=["sampler-sentiment"], limit=6)
    assert f"'{copy}' has no finished level yet: its labels are those of the untuned backbone" in caplog.text
    assert evaluator.forgetting_matrix(rows)[0] == ["dataset", "metric", "n", "majority", "untuned"]


def majority_row(rows: list[Result], dataset: str) -> Result:
    (row,) = [r for r in rows if (r.level, r.dataset, r.metric) == (MAJORITY, dataset, "accuracy")]
    return row


def test_the_majority_row_is_of_the_train_split_and_of_the_same_examples(measured: Path, copy: Path) -> None:
    row = majority_row(Evaluator(measured).evaluate(), "sampler-sarcasm")
    gold = PredictionStore(measured).load(3, "sampler-sarcasm", "test")["gold"].to_list()
    shares = {label: 100 * gold.count(label) / len(gold) for label in gold}
    assert row.n == 12 == len(gold), "not of the whole test set, since no level answered more"
    assert row.value == pytest.approx(shares["sarcastic"]), "the first of two labels that are as frequent"
    rows = Evaluator(copy).evaluate([3], ["sampler-sarcasm"], limit=20)
    assert majority_row(rows, "sampler-sarcasm").n == 20
    assert majority_row(rows, "sampler-emotion").n == 12, "another dataset keeps its own"
    rows = Evaluator(copy).evaluate([1], ["sampler-sarcasm"], limit=4)
    assert majority_row(rows, "sampler-sarcasm").n == 20, "of the level with most examples"


def test_predictions_are_shown_with_their_texts(measured: Path) -> None:
    rows = Evaluator(measured).sample_predictions("test", 2)
    names = [row["dataset"].removeprefix("sampler-") for row in rows]
    assert names == ["sentiment"] * 2 + ["emotion"] * 2 + ["sarcasm"] * 2
    assert all(row["text"] and sum(row["probabilities"].values()) == pytest.approx(1) for row in rows)
    assert Evaluator(measured).sample_predictions("dev", 2) == []


def test_what_the_run_does_not_have_is_refused(measured: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'sampler-emotion'"):
        Evaluator(measured).evaluate(datasets=["sampler-emotions"])
    with pytest.raises(InputError, match="level 9: expected 0"):
        Evaluator(measured).evaluate([9])
    with pytest.raises(InputError, match="split 'tset': expected train, dev or test"):
        Evaluator(measured).evaluate(split="tset")
    with pytest.raises(InputError, match="its dev split is empty"):
        Evaluator(measured).evaluate(split="dev")


def test_rows_are_json_lines(measured: Path) -> None:
    rows = Evaluator(measured).evaluate([0])
    lines = to_json_lines(rows).splitlines()
    assert len(lines) == len(rows)
    assert lines[0].startswith('{"run": "tiny", "seed": 0, "level": ')


def test_two_classes_with_a_merged_neutral_have_both_conventions(tiny_folder: Path, tmp_path: Path) -> None:
    fixtures = Path(__file__).parents[1] / "datasets" / "fixtures"
    path = tmp_path / "mosi.toml"
    path.write_text(
        f'name = "m"\n[backbone]\nname = "{tiny_folder.as_posix()}"\n[[levels]]\nname = "SA"\n'
        'datasets = ["mosi"]\nlearning_rate = 1e-2\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSA_DATA", str(fixtures))
        tune(load_recipe(path), tmp_path / "run")
        rows = Evaluator(tmp_path / "run").evaluate([1])
    found = {row.metric: row.n for row in rows if row.level == 1}
    assert found["acc2_non0"] == 2
    assert found["acc2_has0"] == found["weighted_f1"] == 3


def test_aspects_and_several_labels_are_tuned_and_measured(tiny_folder: Path, tmp_path: Path) -> None:
    fixtures = Path(__file__).parents[1] / "datasets" / "fixtures"
    path = tmp_path / "generic.toml"
    path.write_text(
        f'name = "g"\n[backbone]\nname = "{tiny_folder.as_posix()}"\n[[levels]]\nname = "generic"\n'
        'datasets = ["goemotions", "mams"]\nlearning_rate = 1e-2\nloss = "labels"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSA_DATA", str(fixtures))
        tune(load_recipe(path), tmp_path / "run")
        rows = Evaluator(tmp_path / "run").evaluate([1])
        again = Evaluator(tmp_path / "run").evaluate([1])
    assert again == rows
    counts = {(row.dataset, row.metric): row.n for row in rows if row.level == 1}
    assert counts["goemotions", "macro_f1"] == 4
    assert counts["mams", "accuracy"] == 2
    table = PredictionStore(tmp_path / "run").load(1, "goemotions", "test")
    assert table["gold"].to_list() == ["gratitude", "disgust", "desire,optimism", "fear"]
    assert sum(name.startswith("p_") for name in table.columns) == 28
    assert {row.dataset for row in rows if row.level == MAJORITY} == {"goemotions", "mams"}
