"""SetFit with its defaults on texts of a JSON file: `python setfit_peer.py TASK.json ANSWER.json`.

Runs in an environment with setfit, without gsa.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Tune on the task's texts, label its test texts, and store labels and seconds."""
    from setfit import SetFitModel, Trainer, TrainingArguments

    from datasets import Dataset

    task = json.loads(Path(sys.argv[1]).read_text())
    names = sorted(set(task["labels"]))
    train = Dataset.from_dict({"text": task["train"], "label": [names.index(x) for x in task["labels"]]})
    model = SetFitModel.from_pretrained(task["model"])
    started = time.process_time()
    Trainer(model=model, args=TrainingArguments(seed=task["seed"]), train_dataset=train).train()
    fitted = time.process_time()
    predicted = [names[int(i)] for i in model.predict(task["test"])]
    seconds = {"fit_s": fitted - started, "predict_s": time.process_time() - fitted}
    Path(sys.argv[2]).write_text(json.dumps({"labels": predicted, **seconds}))


if __name__ == "__main__":
    main()
