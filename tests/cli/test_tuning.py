"""`gsa tune` and `gsa eval` on a folder of one's own data: what a stranger is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
RECIPE = """
name = "stars"
[backbone]
name = "{backbone}"
[training]
max_row_tokens = 800
[lora]
rank = 2
targets = ["{target}"]
[[levels]]
name = "L"
epochs = 1
[[levels.datasets]]
name = "own"
path = "data"
task = "stars"
instruction = "How many stars?"
labels = ["one", "two"]
"""


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write data and a recipe into the current folder; returns the recipe's path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    def write(train: str, test: str = "", target: str = "q_proj") -> Path:
        (tmp_path / "data" / "train.csv").write_text(f"text,label\n{train}")
        if test:
            (tmp_path / "data" / "test.csv").write_text(f"text,label\n{test}")
        file = tmp_path / "stars.toml"
        file.write_text(RECIPE.format(backbone=tiny_folder.as_posix(), target=target))
        return file

    return write


def test_one_class_alone_and_repeated_test_texts_are_told(recipe: Callable[..., Path], run: Run) -> None:
    file = recipe("Good,one\n" * 8, "good!,one\nBad,two\n")
    for words in (("tune", file, "--out", "run"), ("eval", "run")):
        code, out, messages = run(*words)
        assert code == 0, messages
        assert "dataset 'own': all 8 training examples have the label 'one'" in messages
        assert "dataset 'own': 1 of 2 examples of test are in train as well" in messages
    assert [line.split()[:3] for line in out.splitlines()[2:]] == [
        ["own", "weighted_f1", "2"],
        ["own", "accuracy", "2"],
    ]


def test_changed_training_data_is_told(recipe: Callable[..., Path], run: Run) -> None:
    file = recipe("Good,one\nBad,two\n" * 4)
    assert run("tune", file, "--out", "run")[0] == 0
    assert "changed" not in run("tune", file, "--out", "run")[2]
    recipe("Fair,one\nBad,two\n" * 4)
    code, _, messages = run("tune", file, "--out", "run")
    assert code == 0
    assert "the training data of 'own' changed since level L was tuned on it" in messages
    recipe("Fair,one\nBad,two\n" * 4, "Good,one\nBad,two\n")
    code, _, messages = run("eval", "run")
    assert code == 0
    assert "the training data of 'own' changed since level L was tuned on it" in messages
    longer = file.read_text() + file.read_text()[file.read_text().index("[[levels]]") :].replace('"L"', '"M"')
    file.write_text(longer)
    code, _, messages = run("tune", file, "--out", "run")
    assert code == 0, messages
    assert "the training data of 'own' changed since level L was tuned on it" in messages
    assert "since level M" not in messages
    (Path("data") / "train.csv").unlink()
    (Path("data") / "test.csv").write_text("text,label\nGood,one\n")
    assert "Traceback" not in run("tune", file, "--out", "run")[2]


@pytest.mark.parametrize("target", ["embed_tokens", "input_layernorm"])
def test_layers_that_no_link_changes_are_refused(target: str, recipe: Callable[..., Path], run: Run) -> None:
    code, _, messages = run("tune", recipe("Good,one\nBad,two\n", target=target), "--out", "run")
    assert code == 2
    assert f"lora.targets: '{target}' is a layer of type" in messages
    assert "expected linear layers, out of down_proj, gate_proj, k_proj" in messages


def test_statistics_and_overlaps_of_a_folder(recipe: Callable[..., Path], run: Run) -> None:
    recipe("A long text that is here twice,one\nBad,two\n", "a long text - that is here twice!,one\n")
    code, out, _ = run("data", "stats", "data")
    assert code == 0
    assert out.splitlines()[1].split() == ["data", "4", "2", "0", "1", "3", "5.3", "one", "2,", "two", "1"]
    code, out, _ = run("data", "overlaps", "data")
    assert (code, out.splitlines()[0]) == (0, "data test in data train: 1 of 1")


def test_a_report_on_own_data_has_no_empty_tables(recipe: Callable[..., Path], run: Run) -> None:
    file = recipe("Good,one\nBad,two\n" * 4, "Fine,one\nAwful,two\n")
    assert run("tune", file, "--out", "run")[0] == run("eval", "run")[0] == 0
    code, out, messages = run("report", "run", "--out", "report")
    assert code == 0, messages
    page = Path("report/report.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert not any("Table" in heading for heading in headings)
    assert "own" in page.split(headings[2])[1].split("\n## ")[0], "own data comes first"
    assert "SST-2" not in page + out
