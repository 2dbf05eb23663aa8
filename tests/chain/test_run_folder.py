"""Run folders: one place knows every file's name, and what was changed by hand is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gsa.chain import run_folder
from gsa.chain.run_folder import RunFolder
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe


def test_a_finished_run_holds_the_files_that_it_names(tuned: Path) -> None:
    run = RunFolder(tuned)
    assert run.is_run()
    named = {run.recipe_file, run.metadata_file, run.chain_file, run.log_file, run.links_folder}
    assert set(tuned.iterdir()) == named
    assert not RunFolder(tuned / "links").is_run()
    recipe, chain = run.read()
    assert recipe == load_recipe(run.recipe_file)
    assert [link.name for link in chain.links] == [level.name for level in recipe.levels]
    assert run.level_checkpoints(2, recipe.levels[1]) == tuned / "checkpoints" / "2-ERC"
    assert run.predictions_file(1, "meld", "test") == tuned / "predictions" / "level-1" / "meld-test.parquet"


def test_a_recipe_that_was_changed_is_refused(tuned: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(tuned, tmp_path / "run")))
    text = run.recipe_file.read_text()
    for other in (text.replace("sample = 6", "sample = 7"), text + "# a comment\n", text[:-1]):
        run.recipe_file.write_text(other)
        with pytest.raises(InputError, match=r"recipe\.toml' is damaged or was changed by hand"):
            run.read()
    run.recipe_file.write_text(text)
    run.read()


def test_the_shipped_model_is_found_by_name_unless_a_folder_has_it(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "SHIPPED", tuned)
    monkeypatch.chdir(tmp_path)
    assert RunFolder.find("gsa-135m").root == RunFolder.shipped().root == tuned
    (tmp_path / "gsa-135m").mkdir()
    assert RunFolder.find("gsa-135m").root == Path("gsa-135m")
    assert RunFolder.find("~/x").root == Path.home() / "x"


def test_names_of_files_need_no_torch() -> None:
    code = "import sys, gsa.chain.run_folder; assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
