"""How well a run's continuous sentiment score follows MOSI's and MOSEI's own scores.

    python benchmarks/intensity.py results/gsa-135m-generic [--model gsa-135m] [--out FILE]

Reads the run's stored test predictions and the datasets in GSA_DATA, of three labels, or those
of `--datasets mosi mosei`. With `--model` it labels `--limit` dev clips too and fits a line on them, which
changes the mean absolute error and no correlation. Prints one JSON line a dataset.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import gsa
from gsa.datasets.catalogue import data_root, get, load
from gsa.datasets.mosi import intensities
from gsa.evaluation.intensity import Line, fit_line, intensity_fit
from gsa.evaluation.predictions import PredictionStore
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import task_of
from gsa.recipes.schema import DatasetConfig

DATASETS = ("mosi3", "mosei3")


def gold_scores(name: str) -> dict[str, float]:
    """Return the owner's score of each clip."""
    return intensities(get(name.removesuffix("3")).locate(data_root()) / "label.csv")


def dev_line(model: Predictor, name: str, limit: int) -> Line:
    """Return the line that maps a model's scores to the owner's on the first dev clips."""
    dev, gold = load(name)["dev"][:limit], gold_scores(name)
    labels = task_of(DatasetConfig(name=name)).labels
    predictions = model.sentiment([example.utterance.text for example in dev], labels)
    return fit_line([p.score or 0.0 for p in predictions], [gold[example.id] for example in dev])


def row(run: Path, level: int, name: str, line: Line | None) -> dict[str, object]:
    """Return a dataset's row; raises SystemExit where its predictions are missing."""
    table = PredictionStore(run).load(level, name, "test")
    if table is None:
        raise SystemExit(f"{run} has no intact predictions of {name} at level {level}")
    scores, owners = (table["p_positive"] - table["p_negative"]).to_list(), gold_scores(name)
    gold = [owners[id] for id in table["id"]]
    numbers: dict[str, float] = asdict(intensity_fit(scores, gold))
    if line:
        numbers |= {"fitted_mae": intensity_fit(scores, gold, line).mae, **asdict(line)}
    rounded = {key: round(value, 4) for key, value in numbers.items()}
    return {"dataset": name, "level": level, "split": "test", **rounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--model")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = gsa.load(options.model, precision="float32") if options.model else None
    lines = ""
    for name in options.datasets:
        line = dev_line(model, name, options.limit) if model else None
        lines += json.dumps(row(options.run, options.level, name, line)) + "\n"
    print(lines, end="")
    if options.out:
        options.out.write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
