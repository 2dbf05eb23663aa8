"""The model that comes with the package: small, whole, as its recipe says; its card has what was measured."""

import doctest
import gc
import json
import re
from pathlib import Path

import polars as pl
import pytest

import gsa
from gsa.chain.chain import Chain
from gsa.chain.run_folder import SHIPPED
from gsa.cli import labelling as cli
from gsa.cli.predict_options import PredictOptions
from gsa.evaluation.metrics import measure
from gsa.evaluation.predictions import PredictionStore, to_answers
from gsa.evaluation.results import Result
from gsa.evaluation.results import read as read_results
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import task_of
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import DatasetConfig
from gsa.report.significance import calibration

ROOT = Path(__file__).parents[2]
PAPER = ("SST-2", "MOSI", "MOSEI", "MELD", "EmoryNLP", "MUStARD, fold 0", "MUStARD++, fold 0")
DATASETS = {
    "SST-2": "sst2", "MOSI": "mosi", "MOSEI": "mosei", "MELD": "meld", "EmoryNLP": "emorynlp",
    "MUStARD, fold 0": "mustard", "MUStARD++, fold 0": "mustardpp", "SemEval-2017 tweets": "semeval2017",
    "SST, three classes": "sst3", "MOSI, three classes": "mosi3", "MOSEI, three classes": "mosei3",
    "MELD, polarity": "meld-sentiment", "EmoryNLP, polarity": "emorynlp-sentiment",
    "GoEmotions, Ekman's seven": "goemotions-ekman", "GoEmotions, 28 labels": "goemotions",
    "MAMS, aspects": "mams", "TweetEval irony": "tweeteval-irony", "TweetEval hate": "tweeteval-hate",
    "TweetEval offensive": "tweeteval-offensive",
    "SemEval-2014 restaurants, aspects": "semeval2014-restaurants",
    "SemEval-2014 laptops, aspects": "semeval2014-laptops",
}  # fmt: skip
METRICS = {
    "accuracy": "accuracy", "two-class accuracy": "acc2_has0", "weighted F1": "weighted_f1",
    "macro F1": "macro_f1", "macro recall": "macro_recall", "F1 of ironic": "binary_f1",
}  # fmt: skip
SAYINGS = {
    "negative": (
        "The hinge snapped and they refused a refund.",
        "A dull, endless film.",
        "I hated every minute.",
    ),
    "positive": (
        "Best coffee in town, and such kind people!",
        "A joy from start to end.",
        "Works like a charm.",
    ),
}


def test_it_is_small_whole_and_tuned_as_its_recipe_says() -> None:
    files = [file for file in SHIPPED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 16 * 10**6
    chain = Chain.read(SHIPPED)
    assert [link.name for link in chain.links] == ["SA", "ERC", "SD", "GENERIC", "ROBUST"]
    assert len(chain.link_weights()) == 5, "each as its checksum says"
    assert load_recipe(SHIPPED / "recipe.toml") == load_recipe(ROOT / "recipes" / "gsa-135m.toml")
    assert not any(source.name == "iemocap" for source in load_recipe(SHIPPED / "recipe.toml").datasets)


def main_rows(folder: str, level: int) -> dict[tuple[str, str], Result]:
    """Return the test rows of a level by dataset and metric."""
    rows = read_results(ROOT / "results" / folder)
    return {(r.dataset, r.metric): r for r in rows if r.level == level and r.split == "test"}


def level_3_score(dataset: str, metric: str) -> float:
    """Return level 3's score on the examples that the last level was measured on."""
    last = PredictionStore(ROOT / "results" / "gsa-135m-generic").load(5, dataset, "test")
    before = PredictionStore(ROOT / "results" / "gsa-135m").load(3, dataset, "test")
    assert last is not None
    assert before is not None
    table = before.filter(pl.col("id").is_in(last["id"].to_list()))
    assert len(table) == len(last)
    return measure(to_answers(task_of(DatasetConfig(name=dataset)), table), [metric])[metric][0]


def calibration_error(dataset: str) -> str:
    """Return the expected calibration error of the last level in points; empty for several labels at once."""
    task = task_of(DatasetConfig(name=dataset))
    if task.multilabel:
        return ""
    folder = "gsa-135m-unseen" if dataset.startswith("semeval2014") else "gsa-135m-generic"
    table = PredictionStore(ROOT / "results" / folder).load(5, dataset, "test")
    assert table is not None
    answers = to_answers(task, table)
    return f"{100 * calibration(answers.probabilities, answers.gold).error:.1f}"


def test_its_card_has_the_scores_of_the_rows_on_disk() -> None:
    """Of the last level, beside level 3's and the majority's."""
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| ([^|]+) \| \*\*([\d.]+)\*\* \|([^\n]*)\|$", card, re.M)
    assert [row[0] for row in table[: len(PAPER)]] == list(PAPER)
    assert len(table) >= len(PAPER) + 6
    last = main_rows("gsa-135m-generic", 5) | main_rows("gsa-135m-unseen", 5)
    majority = main_rows("gsa-135m-generic", -1) | main_rows("gsa-135m-unseen", -1)
    for name, n, metric, value, rest in table:
        key = DATASETS[name], METRICS[metric]
        assert (float(value), int(n.replace(",", ""))) == (round(last[key].value, 1), last[key].n), name
        cells = [cell.strip() for cell in rest.split("|")]
        expected = [level_3_score(*key)] if name in PAPER else []
        expected += [majority[key].value] if key in majority else []
        numbers = [float(cell) for cell in cells[: len(expected)]]
        assert numbers == [round(number, 1) for number in expected], name
        assert cells[-1] == calibration_error(DATASETS[name]), name
    values = [float(value) for value in re.findall(r"^ +value: ([\d.]+)$", card, re.M)]
    assert values == [float(row[3]) for row in table[: len(PAPER)]], "the front matter says the same"


def test_bfloat16_is_as_good_as_its_page_says() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    row = r"^\| ([^|]+) \| ([\d,]+) \| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| (0\.\d{4}) \| ([\d.]+) \|$"
    table = re.findall(row, page, re.M)
    assert [cells[0] for cells in table] == list(PAPER)
    for name, n, metric, *numbers in table:
        task = task_of(DatasetConfig(name=DATASETS[name]))
        answers = []
        for folder in ("gsa-135m-generic", "gsa-135m-bfloat16"):
            predictions = PredictionStore(ROOT / "results" / folder).load(5, DATASETS[name], "test")
            assert predictions is not None
            answers.append(to_answers(task, predictions))
        scores = [measure(one, [METRICS[metric]])[METRICS[metric]][0] for one in answers]
        p, q = (one.probabilities for one in answers)
        same = 100 * (p.argmax(1) == q.argmax(1)).mean()
        measured = [f"{scores[0]:.1f}", f"{scores[1]:.1f}", f"{abs(p - q).mean():.4f}", f"{same:.1f}"]
        assert numbers == measured, name
        assert int(n.replace(",", "")) == len(p), name


def test_the_readme_has_the_scores_of_the_rows_on_disk() -> None:
    last = main_rows("gsa-135m-generic", 5)
    page = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    (sentence,) = re.findall(
        r"Scores on whole test sets, of the better of two seeds on dev: (.+?)\. Its \[model card\]", page
    )
    said = re.findall(r"([A-Z][\w+-]+) (\d+\.\d)", sentence)
    assert [name for name, _ in said] == ["SST-2", "MOSI", "MOSEI", "MELD", "EmoryNLP", "MAMS"]
    main = {"MOSI": "acc2_has0", "MOSEI": "acc2_has0", "MELD": "weighted_f1", "EmoryNLP": "weighted_f1"}
    for name, value in said:
        row = last[name.lower().replace("-", ""), main.get(name, "accuracy")]
        assert float(value) == round(row.value, 1), name


def test_its_card_has_the_biases_on_disk() -> None:
    folder = ROOT / "results" / "gsa-135m-generic"
    rows = [json.loads(line) for line in (folder / "biases.jsonl").read_text().splitlines()]
    plain = {row["group"]: row for row in rows if row["feeling"] == "plain"}
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| [a-z ]+ \| ([^|]+) \| (0\.\d+) \| ([+-]0\.\d+) \|$", card, re.M)
    assert {group for group, *_ in table} == set(plain)
    for group, positive, difference in table:
        assert float(positive) == pytest.approx(plain[group]["positive"], abs=6e-4)
        assert float(difference) == pytest.approx(plain[group]["difference"], abs=6e-4)


def test_its_card_has_the_robustness_on_disk() -> None:
    lines = (ROOT / "results" / "gsa-135m-generic" / "robustness.jsonl").read_text().splitlines()
    measured = {(row["task"], row["variant"]): row for row in map(json.loads, lines)}
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([a-z -]+) \| (\d+\.\d) \| ([\d.]*) ?\|$", card, re.M)
    assert len(table) == 8
    for variant, sentiment, emotion in table:
        assert float(sentiment) == round(measured["sentiment", variant]["accuracy"], 1), variant
        row = measured.get(("emotion", variant))
        assert emotion == (f"{row['accuracy']:.1f}" if row else ""), variant


def chosen_labels(dataset: str) -> pl.DataFrame:
    """Return gold and predicted labels of a test set at the last level."""
    table = PredictionStore(ROOT / "results" / "gsa-135m-generic").load(5, dataset, "test")
    assert table is not None
    return table.select("gold", "predicted")


def test_its_card_says_how_far_tasks_can_be_trusted() -> None:
    """Recalls of sarcasm, false alarms of tasks from tweets, labels at once: from the predictions on disk."""
    card = " ".join((SHIPPED / "README.md").read_text(encoding="utf-8").split())
    for dataset, says in (
        ("mustard", "{:.0f}% of MUStARD's sarcastic turns are found"),
        ("mustardpp", "{:.0f}% of MUStARD++'s"),
        ("robustness-plain", "{:.0f}% of 43 lone turns"),
    ):
        sarcastic = chosen_labels(dataset).filter(pl.col("gold") == "sarcastic")
        found = (sarcastic["predicted"] == "sarcastic").sum()
        assert says.format(100 * found / len(sarcastic)) in card, dataset
    table = chosen_labels("tweeteval-hate")
    without = table.filter(pl.col("gold") == "not-hate")
    share = 100 * (without["predicted"] == "hate").sum() / len(without)
    accuracy = 100 * (table["gold"] == table["predicted"]).sum() / len(table)
    assert f"`hate` calls {share:.0f}% of the {len(without):,} test tweets without hate hateful" in card
    assert f"its accuracy, {accuracy:.0f}%, is below the {100 * len(without) / len(table):.0f}% of" in card
    lines = (ROOT / "results" / "gsa-135m-generic" / "robustness.jsonl").read_text().splitlines()
    measured = {(row["task"], row["variant"]): row for row in map(json.loads, lines)}
    for task, label, says in (
        ("irony", "ironic", "`irony` calls {:.0f}% of the 249 sentences of the sampler ironic"),
        ("offense", "offensive", "`offense` calls {:.0f}% offensive"),
        ("hate", "hate", "`hate` {:.0f}% hateful"),
    ):
        assert says.format(measured[task, "sampler-sentiment"][label]) in card, task
    table = chosen_labels("goemotions")
    given, hold = (
        sum(len(labels.split(",")) for labels in table[column]) / len(table)
        for column in ("predicted", "gold")
    )
    assert f"{given:.1f} are given to a comment where {hold:.1f} hold" in card
    exact, neutral = (
        100 * sum(set(a.split(",")) == set(b.split(",")) for a, b in pairs) / len(table)
        for pairs in (zip(*table, strict=True), ((gold, "neutral") for gold in table["gold"]))
    )
    assert f"{exact:.0f}% of the comments get exactly the right ones ({neutral:.1f}% have" in card


@pytest.fixture(scope="module")
def model() -> Predictor:
    gc.collect()  # the large model of another module may still be in memory
    return gsa.load()


@pytest.mark.slow
def test_it_labels_what_is_plain(model: Predictor) -> None:
    for label, texts in SAYINGS.items():
        assert [found.label for found in model.sentiment(list(texts))] == [label] * len(texts)
    talk = [
        {"speaker": "Ana", "text": "Somebody stole my bike!"},
        {"speaker": "Ben", "text": "What? That is terrible, I am so sorry."},
        {"speaker": "Ana", "text": "I am so angry I could scream!"},
    ]
    assert model.emotions(talk)[-1].label == "anger"
    found = model.sarcasm(talk)
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_page_shows_what_it_answers_to_further_questions(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gsa, "load", lambda: model)
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```pycon\n(.*?)^```", page, re.M | re.S)
    test = doctest.DocTestParser().get_doctest(block, {"gsa": gsa}, "predict.md", None, None)
    results = doctest.DocTestRunner().run(test)
    assert (results.failed, results.attempted) == (0, 5)


@pytest.mark.slow
def test_the_pages_show_what_it_answers(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example of each page, as text of Python, as JSON of the server and as a row of a file."""
    found = model.sentiment("The zip broke on the second day.")
    number = r"([\d.e-]+),"
    answer = rf'^{{"label": "negative", "probabilities": {{"negative": {number}'
    for name, pattern in (
        ("README.md", answer),
        ("docs/serving.md", answer),
        ("docs/predict.md", rf"^Prediction\(label='negative', probabilities={{'negative': {number}"),
        ("docs/predict.md", rf"^2,The zip broke on the second day\.,negative,{number}"),
    ):
        (said,) = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.M)
        assert float(said) == pytest.approx(found.probabilities["negative"], abs=1e-4), name
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    monkeypatch.setattr("gsa.cli.predict_options.load", lambda *arguments: model)
    printed, _ = cli.label("sentiment", "The zip broke on the second day.", PredictOptions())
    assert f"\n{printed}\n" in page
    (chat,) = re.findall(r"```json chat.jsonl\n(.*?)\n```", page, re.S)
    turns = json.loads(chat)["turns"]
    for turn, found in zip(turns, model.emotions(turns), strict=True):
        assert f"\n{found.label:<8} {found.probabilities[found.label]:.2f}  {turn['text']}\n" in page
    assert f"\n{model.sarcasm(turns).label}\n" in page
