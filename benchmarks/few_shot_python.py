r"""Few-shot tuning: scores and seconds of `gsa.tune` beside logistic regressions and SetFit.

    python benchmarks/few_shot_python.py --out results/bench/few_shot_python.jsonl \
        --setfit .venv-setfit/bin/python

8, 32 and 150 examples a class of three public sets are drawn with a seed; all systems read the same texts and
are scored on the same test texts. gsa.tune and SetFit have their defaults. The logistic regressions are on
TF-IDF and on embeddings of all-MiniLM-L6-v2, the model that SetFit tunes as well. SetFit runs in an
environment of its own (`pip install setfit`), and is left out without --setfit.

With `--datasets tickets --per-class 50 --systems gsa.tune recipe tfidf` the data are 200 support tickets made
from templates, and the README's recipe is measured too: whether the defaults learn such data.
Seconds are those of the process on the CPU (all its threads), so that a busy machine does not change them.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

import gsa
from gsa.chain.run_folder import SHIPPED_NAME
from gsa.chain.source import ModelSource
from gsa.data.selection import sample_dialogues, sample_per_class
from gsa.datasets.catalogue import get, load
from gsa.experiments import embeddings
from gsa.export.export import export
from gsa.recipes.loader import resolve
from gsa.training import run as training
from tickets import tickets

DATASETS = ("tweeteval-emotion", "tweeteval-irony", "tweeteval-hate")
LEVELS = {"tweeteval-irony": 3, "tweeteval-hate": 3}
"""The last level of GSA-135M that was not tuned on a dataset's training set, where that is not its last."""
PEER = Path(__file__).parent / "peers" / "setfit_peer.py"

Texts = list[str]
Result = tuple[Sequence[str], float, float]
"""Predicted labels, seconds of tuning, seconds of prediction."""


def timed(fit: Callable[[], Any], predict: Callable[[Any], Sequence[str]]) -> Result:
    """Return what `predict` answers with what `fit` returns, and how long each took."""
    started = time.process_time()
    model = fit()
    fitted = time.process_time()
    labels = predict(model)
    return labels, fitted - started, time.process_time() - fitted


def tuned(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Tune a model by `gsa.tune` with its defaults."""
    return timed(
        lambda: gsa.tune(train, labels, task="label", model=options.model, seed=options.seed, progress=False),
        lambda model: [prediction.label for prediction in model.classify("label", test)],
    )


def recipe(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Tune the README's recipe for files of one's own, which names only the data."""
    with tempfile.TemporaryDirectory() as folder:
        data, run = Path(folder) / "data", Path(folder) / "run"
        data.mkdir()
        rows = [json.dumps({"text": text, "label": label}) for text, label in zip(train, labels, strict=True)]
        (data / "train.jsonl").write_text("\n".join(rows))
        dataset = {
            "name": "own", "path": str(data), "task": "label", "labels": sorted(set(labels)),
            "instruction": "Consider the semantic information of sentence to determine its label.",
        }  # fmt: skip
        document = {
            "name": "own", "seed": options.seed, "backbone": {"name": options.model},
            "levels": [{"name": "own", "datasets": [dataset]}],
        }  # fmt: skip

        def fit() -> Any:
            training.tune(resolve(document, "recipe"), run)
            return gsa.load(run)

        return timed(fit, lambda model: [answer.label for answer in model.classify("label", test)])


def tfidf(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Fit a logistic regression on TF-IDF."""
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    return timed(lambda: model.fit(train, labels), lambda fitted: list(fitted.predict(test)))


def minilm(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Fit a logistic regression on embeddings; the cache of vectors is left out, so that all are computed."""
    tokenizer, encoder = embeddings.load_model(embeddings.model_folder())

    def embed(texts: Texts) -> np.ndarray:
        return embeddings.embed_texts(tokenizer, encoder, texts)

    model = LogisticRegression(max_iter=1000)
    return timed(lambda: model.fit(embed(train), labels), lambda fitted: list(fitted.predict(embed(test))))


def setfit(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Tune SetFit in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        content = {"train": train, "labels": labels, "test": test, "seed": options.seed}
        task.write_text(json.dumps({**content, "model": str(embeddings.model_folder())}))
        subprocess.run([options.setfit, PEER, task, answer], check=True)
        found = json.loads(answer.read_text())
    return found["labels"], found["fit_s"], found["predict_s"]


SYSTEMS = {"gsa.tune": tuned, "recipe": recipe, "tfidf": tfidf, "minilm": minilm, "setfit": setfit}


def read(name: str, per_class: int, limit: int, seed: int) -> tuple[Texts, Texts, Texts, Texts]:
    """Return training texts, their labels, test texts, their labels."""
    if name == "tickets":
        rows = tickets(per_class * 4 + limit, seed)
        train, test = rows[: per_class * 4], rows[per_class * 4 :]
    else:
        task = get(name).task
        # TweetEval keeps tweets whose words were all removed, and gsa.tune refuses texts without any.
        splits = {split: [e for e in part if e.utterance.text] for split, part in load(name).items()}
        chosen = sample_per_class(splits["train"], task, per_class, seed)
        examples = (chosen, sample_dialogues(splits["test"], limit, seed=0))
        train, test = ([(one.utterance.text, str(one.label)) for one in part] for part in examples)
    return (
        [t for t, _ in train],
        [label for _, label in train],
        [t for t, _ in test],
        [label for _, label in test],
    )


def main() -> None:
    """Measure every system on every dataset and number of examples; print and store a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--per-class", nargs="+", type=int, default=(8, 32, 150))
    parser.add_argument(
        "--systems", nargs="+", default=["gsa.tune", "tfidf", "minilm", "setfit"], choices=SYSTEMS
    )
    parser.add_argument("--model", default=SHIPPED_NAME, help="what gsa.tune tunes a link on")
    parser.add_argument("--setfit", default="", help="Python of an environment with setfit")
    parser.add_argument("--test", type=int, default=300, help="test texts of each dataset; 0 is all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.datasets:
        for count in options.per_class:
            for system in options.systems:
                if system != "setfit" or options.setfit:
                    row = measure(name, count, system, options)
                    print(json.dumps(row), flush=True)
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")


def measure(name: str, count: int, system: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one system with `count` examples a class of a dataset."""
    train, labels, test, gold = read(name, count, options.test, options.seed)
    row: dict[str, Any] = {
        "system": system, "dataset": name, "per_class": count, "seed": options.seed,
        "n_train": len(train), "n_test": len(test),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if system in ("gsa.tune", "recipe"):
            row["model"] = options.model
            row["level"] = ModelSource.find(options.model).last_level
            if options.model == SHIPPED_NAME and name in LEVELS:
                row["level"] = LEVELS[name]
                export(Path(SHIPPED_NAME), "chain", Path(folder) / SHIPPED_NAME, LEVELS[name])
                options = argparse.Namespace(**{**vars(options), "model": f"{folder}/{SHIPPED_NAME}"})
        answers, fit_s, predict_s = SYSTEMS[system](train, labels, test, options)
    scores = {
        "macro_f1": 100 * f1_score(gold, answers, average="macro"),
        "weighted_f1": 100 * f1_score(gold, answers, average="weighted"),
        "accuracy": 100 * accuracy_score(gold, answers),
        "fit_s": fit_s, "predict_s": predict_s,
    }  # fmt: skip
    return row | {key: round(value, 2) for key, value in scores.items()}


if __name__ == "__main__":
    main()
