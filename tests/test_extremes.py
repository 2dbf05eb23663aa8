"""The longest and oddest data through tuning, scoring and `gsa show`, from the command line on."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from gsa.cli import main as cli
from gsa.evaluation import results

FIXTURES = Path(__file__).parent / "datasets" / "fixtures"
RECIPE = """
name = "extremes"
[backbone]
name = "{backbone}"
[layout]
max_tokens = 500
[training]
max_row_tokens = 700
examples_per_step = 6
[lora]
rank = 2
[[levels]]
name = "ERC"
learning_rate = 1e-3
[[levels.datasets]]
name = "own"
path = "{data}"
task = "emotion"
labels = ["joy", "سعيد", "😡"]
"""
ODD = [
    ".",
    "word " * 100_000,
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "שלום עולם, מה שלומך?",
    "مرحبا بالعالم",
    "a\u202eb\u2028c\td",
    "z̴̢̛" * 50,
]


def dialogues() -> list[dict[str, object]]:
    labels = ["joy", "سعيد", "😡"]
    odd = [{"text": text, "speaker": "Ünï", "label": labels[i % 3]} for i, text in enumerate(ODD)]
    long: list[dict[str, object]] = [{"text": f"turn {i}", "speaker": "AB"[i % 2]} for i in range(5_000)]
    for i in (0, 1, 2_500, 4_998, 4_999):
        long[i]["label"] = labels[i % 3]
    return [{"id": "odd", "turns": odd}, {"id": "long", "turns": long}, {"id": "one", "turns": odd[2:3]}]


def gsa(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["gsa", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code


def test_the_longest_and_oddest_data_is_tuned_on_and_scored(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(json.dumps(dialogue, ensure_ascii=False) + "\n" for dialogue in dialogues())
    (tmp_path / "own").mkdir()
    for split in ("train", "test"):
        (tmp_path / "own" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        RECIPE.format(backbone=tiny_folder.as_posix(), data=(tmp_path / "own").as_posix()), encoding="utf-8"
    )
    gsa(monkeypatch, "tune", recipe, "--out", tmp_path / "run")
    gsa(monkeypatch, "eval", tmp_path / "run", "--level", 1, "--examples", 99)
    said = capsys.readouterr().out
    assert "😀👩‍👩‍👧‍👦🏳️‍🌈" in said
    assert "שלום עולם, מה שלומך?" in said
    rows = results.read(tmp_path / "run")
    (last,) = [row for row in rows if row.level == 1 and row.metric == "accuracy"]
    assert last.n == len(ODD) + 5 + 1


@pytest.mark.parametrize("layout", [["inline", "history"], ["paper", "dialogue"]])
def test_a_conversation_of_five_thousand_turns_is_shown(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    layout: list[str],
) -> None:
    root = Path(shutil.copytree(FIXTURES, tmp_path / "data"))
    header = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n"
    text = [f"turn {i} of many,Ada,joy,0,{i}\n" for i in range(4_999)]
    long = "word " * 100_000
    text += [f"{long},Ada,joy,0,4999\n", "😀 שלום مرحبا,Ben,anger,0,5000\n"]
    (root / "meld" / "train_sent_emo.csv").write_text(header + "".join(text), encoding="utf-8")
    monkeypatch.setenv("GSA_DATA", str(root))
    words = ["--layout", layout[0], "--context", layout[1], "--max-tokens", 600, "--backbone", tiny_folder]
    for index, says in (
        (0, "turn 0 of many"),
        (4_999, "the target itself was shortened"),
        (5_000, "😀 שלום مرحبا"),
    ):
        gsa(monkeypatch, "show", "meld", "--index", index, *words)
        assert says in capsys.readouterr().out
