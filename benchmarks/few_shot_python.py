"""Few-shot tuning from Python: scores and seconds of `gsa.tune` beside logistic regressions and SetFit.

    python benchmarks/few_shot_python.py --out results/bench/few_shot.jsonl --setfit .venv-setfit/bin/python

8, 32 and 150 examples a class of three public sets are drawn with a seed; all systems read the same texts and
are scored on the same test texts. gsa.tune and SetFit have their defaults. The logistic regressions are on
TF-IDF and on embeddings of all-MiniLM-L6-v2, the model that SetFit tunes as well. SetFit runs in an
environment of its own (`pip install setfit`), and is left out without --setfit.
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
from gsa.data.selection import sample_dialogues, sample_per_class
from gsa.datasets.catalogue import get, load
from gsa.experiments import embeddings

DATASETS = ("tweeteval-emotion", "tweeteval-irony", "tweeteval-hate")
"""GSA-135M was not tuned on them."""
PEER = Path(__file__).parent / "peers" / "setfit_peer.py"

Texts = list[str]
Result = tuple[Sequence[str], float, float]
"""Predicted labels, seconds of tuning, seconds of prediction."""


def timed(fit: Callable[[], Any], predict: Callable[[Any], Sequence[str]]) -> Result:
    """Return what `predict` answers with what `fit` returns, and how long each took."""
    started = time.perf_counter()
    model = fit()
    fitted = time.perf_counter()
    labels = predict(model)
    return labels, fitted - started, time.perf_counter() - fitted


def tuned(train: Texts, labels: Texts, test: Texts, options: argparse.Namespace) -> Result:
    """Tune a model by `gsa.tune` with its defaults."""
    return timed(
        lambda: gsa.tune(train, labels, task="label", model=options.model, seed=options.seed, progress=False),
        lambda model: [prediction.label for prediction in model.classify("label", test)],
    )


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


SYSTEMS = {"gsa.tune": tuned, "tfidf": tfidf, "minilm": minilm, "setfit": setfit}


def main() -> None:
    """Measure every system on every dataset and number of examples; print and store a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--per-class", nargs="+", type=int, default=(8, 32, 150))
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--model", default="gsa-135m", help="what gsa.tune tunes a link on")
    parser.add_argument("--setfit", default="", help="Python of an environment with setfit")
    parser.add_argument("--test", type=int, default=500, help="test texts of each dataset; 0 is all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.datasets:
        splits, task = load(name), get(name).task
        test = sample_dialogues(splits["test"], options.test, seed=0)
        gold = [str(example.label) for example in test]
        for count in options.per_class:
            train = sample_per_class(splits["train"], task, count, options.seed)
            for system in options.systems:
                if system == "setfit" and not options.setfit:
                    continue
                labels, fit_s, predict_s = SYSTEMS[system](
                    [example.utterance.text for example in train],
                    [str(example.label) for example in train],
                    [example.utterance.text for example in test],
                    options,
                )
                row = {
                    "system": system, "dataset": name, "per_class": count, "seed": options.seed,
                    "n_train": len(train), "n_test": len(test),
                    "macro_f1": round(100 * f1_score(gold, labels, average="macro"), 2),
                    "accuracy": round(100 * accuracy_score(gold, labels), 2),
                    "fit_s": round(fit_s, 2), "predict_s": round(predict_s, 2),
                }  # fmt: skip
                if system == "gsa.tune":
                    row["model"] = options.model
                print(json.dumps(row), flush=True)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
