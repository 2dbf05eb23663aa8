"""Case studies mined from predictions."""

from pathlib import Path

from study import write_run

from gsa.datasets.catalogue import load
from gsa.evaluation import case_answers
from gsa.evaluation.case_answers import CaseAnswer
from gsa.report.cases import (
    Case,
    Disagreement,
    disagreement,
    find_disagreements,
    paper_cases_table,
    table_6,
    with_texts,
)
from gsa.report.runs import by_arm, read_runs

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"


def test_the_papers_two_comparisons(arms):
    pairs = {(entry.pair, entry.dataset) for entry in find_disagreements(arms)}
    assert {name for pair, name in pairs if pair == "progressive / progressive after SA"} == {"sst2", "mosi"}
    against = {name for pair, name in pairs if pair == "progressive / multitask"}
    assert against == {"sst2", "mosi", "meld", "emorynlp", "mustard"}


def test_disagreements_are_counted_and_the_surest_come_first(arms):
    run, other = arms["progressive"][0], arms["multitask"][0]
    entry = disagreement(((run, 3), (other, 1)), ("a", "b"), "meld", 4)
    first, second = run.predictions(3, "meld"), other.predictions(1, "meld")
    right = [p.answers.predicted == p.answers.gold for p in (first, second)]
    assert entry.only_first == (right[0] & ~right[1]).sum() > 4
    assert entry.only_second == (right[1] & ~right[0]).sum()
    assert entry.n == 120
    assert len(entry.cases) == 4 + min(4, entry.only_second)
    sure = []
    for case in entry.cases[:4]:
        i = first.ids.index(case.id)
        assert right[0][i]
        assert not right[1][i]
        labels = first.answers.labels
        assert case.gold == labels[first.answers.gold[i]]
        assert case.right.startswith(f"a: {case.gold} ")
        assert case.wrong.startswith(f"b: {labels[second.answers.predicted[i]]} ")
        sure.append(min(p.answers.probabilities[i].max() for p in (first, second)))
    assert sure == sorted(sure, reverse=True)
    assert all(case.right.startswith("b: ") for case in entry.cases[4:])


def test_only_common_examples_count(arms):
    run = arms["progressive"][0]
    assert disagreement(((run, 3), (run, 1)), ("a", "b"), "sst2", 2).n == 50
    assert disagreement(((run, 3), (run, 1)), ("a", "b"), "mosei", 2) is None


def test_table_6_has_ids_and_counts_but_no_texts(arms):
    entries = find_disagreements(arms, 2)
    table = table_6(entries)
    assert len(table.rows) == sum(len(entry.cases) for entry in entries) > 10
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert any("only the first is right on" in note for note in table.notes)


def test_texts_are_looked_up_where_they_are_read(monkeypatch, tmp_path):
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    example = load("meld")["test"][0]
    case = Case("a / b", "meld", example.id, "joy", "a: joy 0.90", "b: anger 0.80")
    entries = [Disagreement("a / b", "meld", 1, 0, 1, (case,))]
    lines = with_texts(entries, {}, "test")
    assert lines == [
        f"meld {example.id} (joy): {example.utterance.line()}",
        "    right a: joy 0.90; wrong b: anger 0.80",
    ]
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    lines = with_texts(entries, {}, "test")
    assert lines[0].startswith("meld: no texts: dataset 'meld': expected")
    assert lines[1] == f"meld {example.id} (joy): "


def test_the_table_counts_the_seeds_that_are_right(tmp_path):
    for seed, chance in ((0, 0.75), (1, 0.25)):
        root = write_run(tmp_path / f"a-s{seed}", "a", seed, {"SD": ["mustard"]})
        given = {"sarcastic": 1 - chance, "non-sarcastic": chance}
        case_answers.write(root, [CaseAnswer("a", seed, 1, "mustard", "own", "non-sarcastic", given)])
    table = paper_cases_table(by_arm(read_runs([tmp_path])))
    assert table.rows == [["a", "after SD", "mustard own", "non-sarcastic", "1 of 2", "0.50"]]
