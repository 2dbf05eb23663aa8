"""Overlaps: repeated test texts are found whatever their case and punctuation, short ones are ignored."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from gsa.cli import main as cli
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets import overlaps as module
from gsa.datasets.overlaps import available_datasets, find_overlaps, long_texts, normalized_words


def said(id: str, text: str) -> Example:
    return Example(id, "x", Dialogue(id, (Utterance(text),)), 0, "joy")


def test_case_punctuation_and_apostrophes_do_not_matter() -> None:
    assert normalized_words("Don\u2019t  STOP, me now - ok?") == ("dont", "stop", "me", "now", "ok")
    train = long_texts([said("a", "don't stop me now, OK!"), said("b", "See you there")])
    test = long_texts([said("1", "Don\u2019t STOP me now... ok"), said("2", "See you there.")])
    assert list(test) == ["1"], "three words may be repeated by chance"
    assert test["1"] in train.values()


def test_the_table_of_pairs_and_its_file(tmp_path: Path, monkeypatch, capsys) -> None:
    one = {
        "train": [said("a", "we were on a break")],
        "dev": [],
        "test": [said("b", "I said no, thank you!")],
    }
    two = {
        "train": [said("c", "I said NO thank you")],
        "dev": [],
        "test": [said("d", "It is raining again today")],
    }
    file = tmp_path / "o.json"
    monkeypatch.setattr(module, "load", lambda name, fold=0: {"one": one, "two": two}[name])
    monkeypatch.setattr(module, "get", lambda name: SimpleNamespace(folds=1, files=name))
    assert find_overlaps(["one", "two"]) == ({"one": {"two": ["b"]}, "two": {}}, {"one": 1, "two": 1})
    monkeypatch.setattr("sys.argv", ["gsa", "data", "overlaps", "one", "two", "--out", str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    assert "one test in two train: 1 of 1" in capsys.readouterr().out
    assert json.loads(file.read_text()) == {"one": {"two": ["b"]}, "two": {}}


def test_every_fold_is_held_against_what_is_trained_on_in_that_fold(monkeypatch) -> None:
    """Two datasets with the same two items: what one tests the other trains on only across folds."""
    items = [said("a", "we were on a break"), said("b", "I said no, thank you!")]
    parts = [{"train": [items[1 - fold]], "dev": [], "test": [items[fold]]} for fold in (0, 1)]
    other = {"train": [said("c", "We were on a BREAK")], "dev": [], "test": []}
    known = {"folded": parts, "twin": parts, "plain": [other]}
    monkeypatch.setattr(module, "load", lambda name, fold=0: known[name][fold])
    monkeypatch.setattr(module, "get", lambda name: SimpleNamespace(folds=len(known[name]), files=name))
    overlaps, sizes = find_overlaps(["folded", "twin", "plain"])
    assert overlaps == {"folded": {"plain": ["a"]}, "twin": {"plain": ["a"]}, "plain": {}}
    assert sizes == {"folded": 2, "twin": 2, "plain": 0}


def test_all_datasets_that_are_present_are_compared(run, root: Path, monkeypatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(root))
    text = "What a very long line about a pond this is"
    (root / "tweeteval" / "irony" / "train_text.txt").write_text(f"{text}!\nDucks float.\n")
    (root / "tweeteval" / "hate" / "test_text.txt").write_text(f"{text}\n")
    (root / "mams" / "train.xml").unlink()
    code, out, _ = run("data", "overlaps", "all")
    assert code == 0
    assert "tweeteval-hate test in tweeteval-irony train: 1 of 1" in out
    names = available_datasets()
    assert {"semeval2017", "goemotions", "semeval2014-laptops", "sst3"} <= set(names)
    assert not {"mams", "sampler-emotion"} & set(names)


def test_datasets_of_the_same_files_are_not_compared(root: Path, monkeypatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(root))
    lines = (root / "sst2" / "train.txt").read_text()
    (root / "sst2" / "test.txt").write_text(lines)
    assert find_overlaps(["sst2", "sst3"])[0] == {"sst2": {}, "sst3": {}}
