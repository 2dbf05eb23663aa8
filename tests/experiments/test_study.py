"""A study with a tiny model: arms measured, skipped, resumed, and read by the report."""

import json
import shutil
from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.predictions import PredictionStore
from gsa.experiments.study import StudyPlan, run_study
from gsa.locking import folder_lock
from gsa.recipes.loader import load_recipe, parse_seeds
from gsa.report.report import make_report
from gsa.report.runs import by_arm, read_runs

HEAD = """
name = "{name}"
[backbone]
name = "{backbone}"
[training]
max_row_tokens = 800
examples_per_step = 6
[lora]
rank = 2
[evaluation]
limit = 8
sample = 4
"""
LEVEL = """
[[levels]]
name = "{name}"
datasets = [{{ name = "{dataset}", limit = 4 }}]
learning_rate = 1e-2
"""
SA = LEVEL.format(name="SA", dataset="sampler-sentiment")
ERC = LEVEL.format(name="ERC", dataset="sampler-emotion")


@pytest.fixture(scope="module")
def recipes(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "recipes"
    folder.mkdir()
    for name, levels in {"progressive": [SA, ERC], "erc-only": [ERC]}.items():
        text = HEAD.format(name=name, backbone=tiny_folder.as_posix()) + "".join(levels)
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def finished(recipes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    run_study(StudyPlan(recipes, root / "out", root / "work", [0, 1]).arms())
    return root


def contents(folder: Path) -> dict[str, bytes]:
    """All that was measured, whatever day it was."""
    files = [*folder.rglob("*.parquet"), *folder.rglob(results.FILE), *folder.rglob("recipe.toml")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_every_arm_and_seed_has_its_folder(finished: Path) -> None:
    found = by_arm(read_runs([finished / "out"]))
    assert {arm: [run.seed for run in runs] for arm, runs in found.items()} == {
        "erc-only": [0, 1], "progressive": [0, 1], "sa-only": [0, 1], "untuned": [0],
    }  # fmt: skip
    kept = {file.name for file in (finished / "out" / "progressive-s1").iterdir()}
    assert kept == {"results.jsonl", "predictions", "recipe.toml", "run.json", "log.jsonl"}
    run = found["progressive"][1]
    sizes = {level: {row.n for row in run.rows if row.level == level} for level in (0, 1, 2)}
    assert sizes == {0: {4}, 1: {4, 8}, 2: {8}}, "levels between on the sample, but the first, an arm, on all"
    assert run.main_row(1, "sampler-sentiment").n == 8
    assert not any(run.damaged_files() or run.contradictions() for runs in found.values() for run in runs)


def test_the_first_link_is_an_arm_and_not_tuned_for_it(finished: Path) -> None:
    found = by_arm(read_runs([finished / "out"]))
    for mine, whole in zip(found["sa-only"], found["progressive"], strict=True):
        assert [level.name for level in mine.recipe.levels] == ["SA"]
        assert mine.predictions(1, "sampler-sentiment").ids == whole.predictions(1, "sampler-sentiment").ids
        assert mine.main_row(1, "sampler-sentiment").value == whole.main_row(1, "sampler-sentiment").value
        assert mine.learned_at("sampler-emotion") is None
        log = [json.loads(line) for line in (mine.root / "log.jsonl").read_text().splitlines()]
        assert {step["level"] for step in log} == {1}
        assert list(json.loads((mine.root / "run.json").read_text())["data"]) == ["SA/sampler-sentiment"]
    assert not (finished / "work" / "sa-only-s0").exists()


def test_the_untuned_model_is_measured_once(
    finished: Path, recipes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished / "out" / "untuned-s0", out / "untuned-s0")
    with caplog.at_level("INFO", logger="gsa.evaluation"):
        run_study(StudyPlan(recipes, out, tmp_path / "work", [0], ["erc-only"]).arms())
    lines = {line.split()[1]: line for line in caplog.messages if line.startswith("level ")}
    assert lines["0"].endswith("kept")
    assert not lines["1"].endswith("kept")
    assert PredictionStore(out / "erc-only-s0").load(0, "sampler-emotion", "test") is not None


def test_a_study_goes_on_where_it_was_stopped(
    finished: Path, recipes: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    """Killed while the first arm is measured, then between arms; the rows are those of an undisturbed one."""
    out, work = tmp_path / "out", tmp_path / "work"
    original, calls = Evaluator.evaluate, []

    def interrupted(*args, **options):
        calls.append(1)
        if len(calls) in (2, 5):
            raise KeyboardInterrupt
        return original(*args, **options)

    arms = StudyPlan(recipes, out, work, [0, 1]).arms()
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run_study(arms)
    run_study(arms)
    assert contents(out) == contents(finished / "out")
    before = contents(out)
    caplog.clear()
    with caplog.at_level("INFO", logger="gsa.experiments"):
        done = run_study(arms)
    assert [line for line in caplog.messages if "already, skipped" in line] == caplog.messages[:-1]
    assert caplog.messages[-1] == "4 of 4 arms are done"
    assert len(done) == 4
    assert contents(out) == before


def test_an_arm_that_another_process_is_at_is_left_to_it(
    recipes: Path, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = Path(shutil.copytree(finished / "out", tmp_path / "out"))
    shutil.rmtree(out / "erc-only-s0")
    arms = StudyPlan(recipes, out, tmp_path / "work", [0]).arms()
    with folder_lock(tmp_path / "work" / "erc-only-s0", "study"), caplog.at_level("INFO"):
        done = run_study(arms)
    assert [folder.name for folder in done] == ["progressive-s0"]
    assert "erc-only-s0: another process runs it, skipped" in caplog.messages
    assert caplog.messages[-1].endswith("missing: erc-only-s0")


@pytest.mark.usefixtures("without_matplotlib", "fixtures")
def test_the_report_reads_a_study(finished: Path, tmp_path: Path) -> None:
    made = make_report([finished / "out"], tmp_path / "report", resamples=100)
    page = (tmp_path / "report" / "report.md").read_text()
    assert "progressive - untuned" in page
    assert "Forgetting: progressive" in page
    assert not [sentence for sentence in made.absent if "not as they were stored" in sentence]


def test_arms_can_be_chosen_named_and_put_on_another_backbone(recipes: Path, tmp_path: Path) -> None:
    changes = ['backbone.name="runs/x-s{seed}"']
    arms = StudyPlan(recipes, tmp_path, tmp_path, [3, 4], ["erc-only"], changes, "gsa").arms()
    assert [arm.name for arm in arms] == ["gsa-erc-only-s3", "gsa-erc-only-s4"]
    assert [arm.recipe.backbone.name for arm in arms] == ["runs/x-s3", "runs/x-s4"]
    assert [arm.first_link_arm for arm in StudyPlan(recipes, tmp_path, tmp_path, [0], prefix="a").arms()] == [
        "",
        "a-sa-only",
    ]


def test_what_does_not_belong_together_is_refused_before_anything_runs(recipes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no \.toml file"):
        StudyPlan(tmp_path, tmp_path, tmp_path, [0]).arms()
    with pytest.raises(InputError, match=r"arm 'erc_only' \(did you mean 'erc-only'"):
        StudyPlan(recipes, tmp_path, tmp_path, [0], ["erc_only"]).arms()
    with pytest.raises(InputError, match=r"backbone\.precision is auto: expected float32 or bfloat16"):
        StudyPlan(recipes, tmp_path, tmp_path, [0], overrides=["backbone.precision=auto"]).arms()
    folder = Path(shutil.copytree(recipes, tmp_path / "recipes"))
    text = (folder / "erc-only.toml").read_text()
    (folder / "erc-only.toml").write_text(text + "\n[layout]\nmax_tokens = 300\n")
    with pytest.raises(InputError, match="differ in layout: expected the same in all arms"):
        StudyPlan(folder, tmp_path, tmp_path, [0]).arms()
    (folder / "erc-only.toml").write_text(text.replace('"erc-only"', '"progressive"'))
    with pytest.raises(InputError, match="two recipes have one name"):
        StudyPlan(folder, tmp_path, tmp_path, [0]).arms()
    for wrong in ("", "1,1", "a", "0;1"):
        with pytest.raises(InputError, match="expected distinct numbers"):
            parse_seeds(wrong)
    assert parse_seeds("0, 2") == [0, 2]


def test_results_of_another_backbone_are_not_mixed(finished: Path, recipes: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(finished / "out", tmp_path / "out"))
    shutil.rmtree(out / "erc-only-s0")
    with pytest.raises(InputError, match="is of another backbone or layout"):
        run_study(
            StudyPlan(recipes, out, tmp_path / "work", [0], ["erc-only"], ["layout.max_tokens=300"]).arms()
        )


def test_results_of_another_recipe_are_not_taken_for_these(
    finished: Path, recipes: Path, tmp_path: Path
) -> None:
    change = ["levels.0.learning_rate=7e-3"]
    changed = StudyPlan(recipes, finished / "out", tmp_path / "work", [0], ["erc-only"], change).arms()
    with pytest.raises(InputError, match="erc-only-s0' was made with another levels than its recipe has now"):
        run_study(changed)


def test_the_recipes_of_the_study_read_the_same_examples() -> None:
    folder = Path(__file__).parents[2] / "recipes"
    arms = {arm.recipe.name: arm for arm in StudyPlan(folder / "study", folder, folder, [0]).arms()}
    assert set(arms) == {"progressive", "reverse", "multitask", "erc-only"}
    assert arms["progressive"].first_link_arm == "sa-only"
    assert arms["reverse"].first_link_arm == "sd-only"
    read = {name: {(s.name, s.limit) for s in arm.recipe.datasets} for name, arm in arms.items()}
    assert read["progressive"] == read["reverse"] == read["multitask"]
    assert read["erc-only"] < read["progressive"]
    levels = arms["progressive"].recipe.levels
    assert arms["reverse"].recipe.levels == levels[::-1]
    (alone,) = arms["erc-only"].recipe.levels  # with a rate of its own: it has nothing to forget
    assert alone.model_copy(update={"learning_rate": levels[1].learning_rate}) == levels[1]
    few = [load_recipe(file) for file in sorted((folder / "few-shot").glob("*.toml"))]
    assert len(few) == 4
    assert {(s.per_class, recipe.evaluation.limit) for recipe in few for s in recipe.datasets} == {
        (150, 3000)
    }
