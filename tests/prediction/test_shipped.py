"""The model that comes with the package: small, whole, as its recipe says; its card has what was measured."""

import csv
import gc
import json
import re
from pathlib import Path

import pytest

import gsa
from gsa.chain.chain import Chain
from gsa.chain.run_folder import SHIPPED
from gsa.cli import predict as cli
from gsa.prediction.predictor import Predictor
from gsa.recipes.loader import load_recipe
from gsa.report.runs import read_runs

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "gsa-135m"
NAMES = {
    "SST-2": "sst2", "MOSI": "mosi", "MOSEI": "mosei", "MELD": "meld", "EmoryNLP": "emorynlp",
    "MUStARD": "mustard", "MUStARD++": "mustardpp",
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
    assert sum(file.stat().st_size for file in files) <= 12 * 10**6
    chain = Chain.read(SHIPPED)
    assert [link.name for link in chain.links] == ["SA", "ERC", "SD"]
    assert len(chain.link_weights()) == 3, "each as its checksum says"
    assert load_recipe(SHIPPED / "recipe.toml") == load_recipe(ROOT / "recipes" / "gsa-135m.toml")
    assert not any(source.name == "iemocap" for source in load_recipe(SHIPPED / "recipe.toml").datasets)


def test_its_card_has_the_scores_of_the_report() -> None:
    """With the report's intervals; a test of its own holds the report to the rows on disk."""
    with open(ROOT / "results" / "report" / "gsa-135m" / "tables" / "scores.csv", encoding="utf-8") as file:
        rows = {(row["arm"], row["dataset"]): row for row in csv.DictReader(file)}
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \| ([^|]+) \| \*\*([\d.]+)\*\* \| ([\d.]+) to ([\d.]+) \| ([\d.]+) \|",
        card,
        re.M,
    )
    assert [row[0] for row in table] == list(NAMES)
    for name, n, metric, *numbers in table:
        row, plain = rows["gsa-135m", NAMES[name]], rows["majority", NAMES[name]]
        assert int(n.replace(",", "")) == int(row["n"])
        assert metric.startswith(
            {"acc2_has0": "two-class accuracy"}.get(row["metric"], row["metric"].replace("_f1", " F1"))
        )
        said = (row["value"], row["low"], row["high"], plain["value"])
        assert [float(x) for x in numbers] == [round(float(x), 1) for x in said], name
    values = [float(value) for value in re.findall(r"^ +value: ([\d.]+)$", card, re.M)]
    assert values == [float(row[3]) for row in table], "the front matter says the same"


def test_the_readme_has_the_scores_of_the_rows_on_disk() -> None:
    (run,) = read_runs([RESULTS])
    page = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    (sentence,) = re.findall(r"Scores on whole test sets, from one seed: (.+?)\. Its \[model card\]", page)
    said = re.findall(r"([A-Z][\w+-]+) (\d+\.\d)", sentence)
    assert [name for name, _ in said] == ["SST-2", "MOSI", "MOSEI", "MELD", "EmoryNLP"]
    for name, value in said:
        row = run.main_row(3, NAMES[name])
        assert row
        assert float(value) == round(row.value, 1)


def test_its_card_has_the_biases_on_disk() -> None:
    rows = [json.loads(line) for line in (RESULTS / "biases.jsonl").read_text().splitlines()]
    plain = {row["group"]: row for row in rows if row["feeling"] == "plain"}
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| [a-z ]+ \| ([^|]+) \| (0\.\d+) \| ([+-]0\.\d+) \|$", card, re.M)
    assert {group for group, *_ in table} == set(plain)
    for group, positive, difference in table:
        assert float(positive) == pytest.approx(plain[group]["positive"], abs=6e-4)
        assert float(difference) == pytest.approx(plain[group]["difference"], abs=6e-4)


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
    monkeypatch.setattr(cli, "load", lambda source, level, **options: model)
    printed, _ = cli.predict("sentiment", "The zip broke on the second day.", cli.PredictOptions())
    assert f"\n{printed}\n" in page
    (chat,) = re.findall(r"```json chat.jsonl\n(.*?)\n```", page, re.S)
    turns = json.loads(chat)["turns"]
    for turn, found in zip(turns, model.emotions(turns), strict=True):
        assert f"\n{found.label:<8} {found.probabilities[found.label]:.2f}  {turn['text']}\n" in page
    assert f"\n{model.sarcasm(turns).label}\n" in page
