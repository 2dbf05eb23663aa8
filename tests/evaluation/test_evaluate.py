"""Evaluation of a run: predictions and rows on disk, the forgetting matrix, nothing computed twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from gsa.chain.chain import Chain
from gsa.checksums import sha256
from gsa.errors import InputError
from gsa.evaluation import evaluate as measuring
from gsa.evaluation.evaluate import MAJORITY, evaluate, matrix, shown
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune


@pytest.fixture(scope="module")
def measured(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(tuned, tmp_path_factory.mktemp("measured") / "run"))
    evaluate(root, say=lambda _: None)
    return root


def test_every_level_and_dataset_has_predictions_and_rows_made_from_them(measured: Path) -> None:
    rows = evaluate(measured, say=lambda _: None)
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


def test_what_is_there_is_not_computed_again(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    calls: list[int] = []
    honest = measuring.predict

    def counting(*args: object) -> pl.DataFrame:
        calls.append(1)
        return honest(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "predict", counting)
    before = evaluate(measured, say=said.append)
    assert not calls
    assert all("kept" in line for line in said)
    assert evaluate(measured, levels=[3], datasets=["sampler-sarcasm"], again=True, say=said.append) == before
    assert len(calls) == 1


def test_a_smaller_question_keeps_the_larger_answer(measured: Path) -> None:
    before = evaluate(measured, say=lambda _: None)
    assert evaluate(measured, limit=2, say=lambda _: None) == before


def test_damaged_predictions_are_made_anew(measured: Path) -> None:
    before = evaluate(measured, say=lambda _: None)
    file = measured / "predictions" / "level-3" / "sampler-sarcasm-test.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    assert evaluate(measured, say=lambda _: None) == before
    assert len(pl.read_parquet(file)) == 12


def test_datasets_without_the_split_are_left_out_in_words(measured: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    copy = Path(shutil.copytree(measured, tmp_path / "run"))
    recipe = (copy / "recipe.toml").read_text()
    source = f'name = "own"\npath = "{own.as_posix()}"\ntask = "sentiment"\nlabels = ["x", "y"]\n'
    (copy / "recipe.toml").write_text(
        recipe.replace("[evaluation]", f"[[levels.datasets]]\n{source}[evaluation]")
    )
    replace(Chain.read(copy), recipe=sha256(copy / "recipe.toml")).write()
    said: list[str] = []
    evaluate(copy, levels=[0], say=said.append)
    assert "  own has no test split: left out" in said


def test_the_matrix_has_a_column_a_level(measured: Path) -> None:
    table = matrix(measured, evaluate(measured, say=lambda _: None))
    assert table[0] == ["dataset", "metric", "n", "majority", "untuned", "after SA", "after ERC", "after SD"]
    assert [row[0] for row in table[1:]] == ["sampler-sentiment", "sampler-emotion", "sampler-sarcasm"]
    assert all(cell for row in table[1:] for cell in row)
    assert table[1][5].endswith("(n=6)")


def test_the_majority_row_is_that_of_the_train_split(measured: Path) -> None:
    rows = evaluate(measured, say=lambda _: None)
    (row,) = [r for r in rows if (r.level, r.dataset, r.metric) == (MAJORITY, "sampler-sarcasm", "accuracy")]
    assert (row.value, row.n) == (50.0, 46)


def test_predictions_are_shown_with_their_texts(measured: Path) -> None:
    rows = shown(measured, "test", 2)
    names = [row["dataset"].removeprefix("sampler-") for row in rows]
    assert names == ["sentiment"] * 2 + ["emotion"] * 2 + ["sarcasm"] * 2
    assert all(row["text"] and sum(row["probabilities"].values()) == pytest.approx(1) for row in rows)
    assert shown(measured, "dev", 2) == []


def test_what_the_run_does_not_have_is_refused(measured: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'sampler-emotion'"):
        evaluate(measured, datasets=["sampler-emotions"])
    with pytest.raises(InputError, match="level 9: expected 0"):
        evaluate(measured, levels=[9])
    with pytest.raises(InputError, match="split 'tset': expected train, dev or test"):
        evaluate(measured, split="tset")
    with pytest.raises(InputError, match="its dev split is empty"):
        evaluate(measured, split="dev")


def test_rows_are_json_lines(measured: Path) -> None:
    rows = evaluate(measured, levels=[0], say=lambda _: None)
    lines = measuring.as_json(rows).splitlines()
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
        rows = evaluate(tmp_path / "run", levels=[1], say=lambda _: None)
    found = {row.metric: row.n for row in rows if row.level == 1}
    assert found["acc2_non0"] == 2
    assert found["acc2_has0"] == found["weighted_f1"] == 3
