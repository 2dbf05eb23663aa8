"""Runs read from disk: arms and seeds, levels, predictions that can be trusted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from study import ERC_ONLY, EVERYTHING, PROGRESSIVE, prediction_table, result_rows, write_run

from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.predictions import PredictionStore
from gsa.evaluation.results import Result
from gsa.report.measured_run import main_metric
from gsa.report.runs import backbone_size, by_arm, common_answers, read_runs


def test_arms_are_recipes_and_their_runs_seeds(arms):
    """An ending that says the seed, as in multitask-s0, is no part of the arm's name."""
    assert {arm: [run.seed for run in runs] for arm, runs in arms.items()} == {
        "erc-only": [0, 1],
        "multitask": [0, 1],
        "progressive": [0, 1],
    }


def test_a_run_knows_its_levels(arms):
    run = arms["progressive"][0]
    assert run.last == 3
    assert [run.level_title(level) for level in (-1, 0, 1, 3, 4)] == [
        "majority", "untuned", "after SA", "after SD", "after level 4",
    ]  # fmt: skip
    assert [run.learned_at(name) for name in ("sst2", "meld", "mustard", "mosei")] == [1, 2, 3, None]
    assert run.main_row(3, "mosi").metric == "acc2_has0"
    assert run.main_row(3, "mosei") is None
    assert not run.few_shot
    assert backbone_size(run) == "135M"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("meta-llama/Llama-2-7b-hf", "7B"), ("Qwen2.5-0.5B", "0.5B"), ("SmolLM2-1.7B-Instruct", "1.7B"),
        ("gpt2", ""), ("models/4bit-thing", ""),
    ],
)  # fmt: skip
def test_sizes_are_read_off_names(tmp_path, name, size):
    root = write_run(tmp_path / "run", "run", 0, ERC_ONLY)
    recipe = root / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("[[levels]]", f'[backbone]\nname = "{name}"\n[[levels]]', 1))
    assert backbone_size(read_runs([root])[0]) == size


def test_predictions_are_those_stored(arms):
    run = arms["progressive"][1]
    found, table = (
        run.predictions(3, "mosi"),
        pl.read_parquet(PredictionStore(run.root).path(3, "mosi", "test")),
    )
    assert list(found.ids) == table["id"].to_list()
    labels = found.answers.labels
    assert [labels[i] for i in found.answers.predicted] == table["predicted"].to_list()
    assert found.answers.neutral.tolist() == (table["gold"] == "neutral").to_list()
    assert 0 < found.answers.neutral.sum() < len(table)
    part = found.select(found.ids[10:4:-1])
    assert part.gold.tolist() == found.answers.gold[10:4:-1].tolist()
    assert part.neutral.tolist() == found.answers.neutral[10:4:-1].tolist()
    assert run.predictions(3, "mosei") is None
    assert run.predictions(9, "mosi") is None


def test_predictions_that_were_changed_are_not_used_but_named(study, tmp_path):
    root = Path(shutil.copytree(study / "progressive-s0", tmp_path / "run"))
    file = PredictionStore(root).path(3, "meld", "test")
    file.write_bytes(file.read_bytes()[:-1])
    (run,) = read_runs([root])
    assert run.predictions(3, "meld") is None
    assert run.damaged_files() == ["predictions/level-3/meld-test.parquet"]


def test_rows_that_predictions_contradict_are_named(study, tmp_path):
    root = Path(shutil.copytree(study / "progressive-s0", tmp_path / "run"))
    assert read_runs([root])[0].contradictions() == []
    results.add(root, [Result("progressive", 0, 3, "meld", "test", "weighted_f1", 99.0, 120)])
    (sentence,) = read_runs([root])[0].contradictions()
    assert sentence.startswith("meld: the row says 99.00, the predictions give ")


def test_a_folder_of_runs_and_a_run_are_both_taken(study):
    whole, one = read_runs([study]), read_runs([study / "progressive-s0"])
    assert len(whole) == 6
    assert (one[0].arm, one[0].seed) == ("progressive", 0)


def test_folds_that_end_at_different_levels_are_no_arm(tmp_path):
    for name in ("a", "a-fold1"):
        write_run(tmp_path / name, name, 0, {"SA": ["sst2"], "SD": ["mustard"]})
    rows = results.read(tmp_path / "a-fold1")
    results.write(tmp_path / "a-fold1", [row for row in rows if row.level < 2])
    with pytest.raises(InputError, match=r"arm 'a': its folds end at level 1 in .*a-fold1', level 2 in"):
        read_runs([tmp_path])


def test_folds_without_predictions_have_the_mean(tmp_path):
    for number, name in enumerate(("a", "a-fold1")):
        root = write_run(tmp_path / name, name, 0, {"SD": ["mustard"]})
        shutil.rmtree(root / "predictions")
        results.add(root, [Result(name, 0, 1, "mustard", "test", "weighted_f1", 60.0 + 10 * number, 20)])
    (run,) = read_runs([tmp_path])
    assert (run.main_row(1, "mustard").value, run.main_row(1, "mustard").n) == (65, 40)


def test_baselines_without_a_recipe_may_share_a_folder(tmp_path):
    table = prediction_table("meld", 0.5, 1)
    results.add(
        tmp_path, result_rows("tfidf", 0, 0, "meld", table) + result_rows("vader", 0, 0, "meld", table)
    )
    found = by_arm(read_runs([tmp_path]))
    assert list(found) == ["tfidf", "vader"]
    assert found["tfidf"][0].recipe is None
    assert found["tfidf"][0].learned_at("meld") is None
    assert found["tfidf"][0].level_title(2) == "after level 2"
    assert backbone_size(found["tfidf"][0]) == ""


def test_what_is_wrong_is_said(study, tmp_path):
    with pytest.raises(InputError, match=r"no results\.jsonl in it or one folder below"):
        read_runs([tmp_path])
    with pytest.raises(InputError, match="no rows of the dev split"):
        read_runs([study], "dev")
    with pytest.raises(InputError, match=r"arm 'progressive' has seed 0 in .*: expected each seed once"):
        read_runs([study, study / "progressive-s0"])
    (tmp_path / "results.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="line 1: not a result row"):
        read_runs([tmp_path])


def test_the_answers_to_common_examples_stand_in_one_order(arms):
    """Level 1 answered the first 50, level 3 all 120."""
    run = arms["progressive"][0]
    small, large = common_answers([(run, 1), (run, 3)], "sst2")
    assert len(small.gold) == len(large.gold) == 50
    assert (small.gold == large.gold).all()
    whole = run.predictions(3, "sst2")
    assert np.array_equal(large.probabilities, whole.select(run.predictions(1, "sst2").ids).probabilities)


def test_what_cannot_be_compared_is_not(tmp_path):
    run = read_runs([write_run(tmp_path / "a", "a", 0, PROGRESSIVE)])[0]
    other = write_run(tmp_path / "b", "b", 0, ERC_ONLY)
    assert common_answers([(run, 3), (read_runs([other])[0], 1)], "sst2") is None
    store = PredictionStore(other)
    table = pl.read_parquet(store.path(1, "meld", "test"))
    store.store(1, "meld", "test", table.with_columns(gold=pl.col("gold").reverse()))
    assert common_answers([(run, 3), (read_runs([other])[0], 1)], "meld") is None
    store.store(1, "meld", "test", table.with_columns(id="x" + pl.col("id")))
    assert common_answers([(run, 3), (read_runs([other])[0], 1)], "meld") is None
    renamed = table.rename({"p_fear": "p_dread"})
    store.store(1, "meld", "test", renamed.with_columns(gold=pl.col("gold").replace("fear", "dread")))
    assert common_answers([(run, 3), (read_runs([other])[0], 1)], "meld") is None
    store.store(1, "meld", "test", renamed)
    with pytest.raises(InputError, match="level 1, meld: gold label 'fear' has no column of probabilities"):
        read_runs([other])[0].predictions(1, "meld")


def test_seeds_of_one_name_must_have_one_recipe(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"a-s{seed}", "a", seed, ERC_ONLY)
    assert len(read_runs([tmp_path])) == 2
    recipe = tmp_path / "a-s1" / "recipe.toml"
    text = recipe.read_text()
    for key, changed in {
        "levels": text.replace("learning_rate = 1e-3", "learning_rate = 2e-3"),
        "lora": text.replace("[[levels]]", "[lora]\nrank = 4\n[[levels]]", 1),
        "training": text.replace("[[levels]]", "[training]\nexamples_per_step = 2\n[[levels]]", 1),
        "backbone": text.replace("[[levels]]", '[backbone]\nname = "models/b"\n[[levels]]', 1),
    }.items():
        recipe.write_text(changed)
        with pytest.raises(InputError, match=rf"the recipes in .* differ in {key}: expected one"):
            read_runs([tmp_path])


def test_seeds_may_stand_on_runs_of_the_same_seed(tmp_path):
    for seed in (0, 1):
        root = write_run(tmp_path / f"a-s{seed}", "a", seed, ERC_ONLY)
        text = (root / "recipe.toml").read_text()
        backbone = f'[backbone]\nname = "runs/study/progressive-s{seed}"\n[[levels]]'
        (root / "recipe.toml").write_text(text.replace("[[levels]]", backbone, 1))
    assert len(read_runs([tmp_path])) == 2


def test_baselines_of_other_data_are_not_seeds_of_one(tmp_path):
    for seed, limit in ((0, 100), (1, 200)):
        root = tmp_path / f"tfidf-s{seed}"
        results.add(root, result_rows("tfidf", seed, 0, "meld", prediction_table("meld", 0.4, seed)))
        source = f'datasets = [{{ name = "meld", limit = {limit} }}]'
        level = f'[[levels]]\nname = "ERC"\nlearning_rate = 1e-3\n{source}\n'
        (root / "recipe.toml").write_text(f'name = "data"\nseed = {seed}\n{level}')
    with pytest.raises(InputError, match=r"arm 'tfidf': the recipes in .* differ in datasets"):
        read_runs([tmp_path])


@pytest.mark.parametrize(
    ("levels", "strategy"),
    [
        (PROGRESSIVE, "progressive"),
        ({"SA": ["sst2"], "ERC": ["meld", "sst2"], "SD": ["mustard", "meld"]}, "progressive"),
        (dict(reversed(PROGRESSIVE.items())), ""),
        (EVERYTHING, "multi-task"),
        (ERC_ONLY, "single-task"),
    ],
)
def test_the_strategy_is_read_from_the_recipe(tmp_path, levels, strategy):
    """Whatever an arm is called."""
    (run,) = read_runs([write_run(tmp_path / "run", "multitask-only", 0, levels)])
    assert run.strategy == strategy


def test_main_metrics():
    assert [main_metric(name) for name in ("sst2", "mosei", "tweeteval-sentiment", "somebody's own")] == [
        "accuracy", "acc2_has0", "macro_recall", "weighted_f1",
    ]  # fmt: skip


def test_the_report_loads_no_torch():
    code = "import sys, gsa.report.report; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_quick_run_that_is_shipped_is_whole():
    root = Path(__file__).parents[2] / "results" / "quick"
    (run,) = read_runs([root])
    assert (run.arm, run.seed, run.last) == ("quick", 0, 3)
    assert run.damaged_files() == []
    assert run.contradictions() == []
    assert all(run.predictions(3, name) for name in run.datasets)
    assert json.loads((root / "run.json").read_text())["data"]


def test_results_on_further_datasets_belong_to_their_run(tmp_path):
    run = write_run(tmp_path / "runs" / "a", "a", 0, {"SA": ["sst2"], "ERC": ["meld"]})
    other = tmp_path / "runs" / "eval" / "a"
    other.mkdir(parents=True)
    (other / "recipe.toml").write_text(
        (run / "recipe.toml").read_text() + '[evaluation]\ndatasets = ["emorynlp"]\n'
    )
    table = prediction_table("emorynlp", 0.6, 1)
    PredictionStore(other).store(2, "emorynlp", "test", table)
    results.add(other, result_rows("a", 0, 2, "emorynlp", table))
    for folders in ([run, other], [other, run]):
        (joined,) = read_runs(folders)
        assert joined.root == run, "which has the log and what it was tuned on"
        assert joined.datasets == ("sst2", "meld", "emorynlp")
        assert joined.learned_at("emorynlp") is None
        assert set(joined.sources) == {"sst2", "meld", "emorynlp"}
        assert joined.predictions(2, "emorynlp").ids == tuple(table["id"])
        assert joined.predictions(2, "meld") is not None
        assert joined.contradictions() == []
    (other / "predictions/level-2/emorynlp-test.parquet").write_bytes(b"damaged")
    assert read_runs([run, other])[0].damaged_files() == ["predictions/level-2/emorynlp-test.parquet"]
    row = results.read(run)[-1]
    results.add(other, [Result(**{**vars(row), "value": row.value + 1})])
    with pytest.raises(InputError, match="arm 'a' has seed 0 in"):
        read_runs([run, other])
