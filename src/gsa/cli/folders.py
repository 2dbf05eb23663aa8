"""What `gsa predict --ray` does: a folder of files in, one labelled Parquet file out."""

import time
from dataclasses import replace
from pathlib import Path

from gsa.chain.run_folder import SHIPPED_NAME
from gsa.cli.labelling import summary
from gsa.cli.predict_options import PredictOptions
from gsa.cluster import ray_data
from gsa.cluster.blocks import find_files
from gsa.cluster.session import check_installed
from gsa.datasets.record_files import output_format_of
from gsa.errors import InputError
from gsa.prediction.job import JobConfig
from gsa.prediction.output_paths import link_target, rejects_path


def label_folder(
    task: str, source: Path, options: PredictOptions, workers: int, block_rows: int, id_column: str
) -> tuple[str, bool]:
    """Label the files of a folder by Ray Data; returns what to print, and whether that is a success.

    It is none if every row was rejected. Raises InputError for anything unexpected, before the model is
    loaded where that is possible.
    """
    if options.output is None:
        raise InputError("--ray: expected an --output, a name that ends in .parquet")
    if options.explain:
        raise InputError("--explain: expected a text as the input, found --ray")
    check_installed()
    output_format = output_format_of(options.output)
    find_files(source)
    name, model = options.output, options.model
    # Absolute, as workers may run in other folders.
    if model and model != SHIPPED_NAME and (folder := Path(model).expanduser()).is_dir():
        model = str(folder.absolute())
    source, output = source.absolute(), options.output.absolute()
    rejects = options.rejects.absolute() if options.rejects else None
    options = replace(options, model=model, device=ray_data.DEVICE)
    predictor, chosen = options.load(task)
    config = JobConfig(
        None, options.read, chosen, output_format, options.prefix, predictor.identity, options.only,
        options.min_probability, options.min_confidence, options.document,
        tuned_labels=predictor.tuned_labels,
    )  # fmt: skip
    ray_options = ray_data.RayOptions(
        options.model, options.level, predictor.precision,
        sum(weights.nbytes for weights in predictor.model.parameters()),
        workers, block_rows or ray_data.BLOCK_ROWS, id_column,
    )  # fmt: skip
    del predictor  # the workers load their own
    started = time.monotonic()
    counts = ray_data.label_files(source, config, ray_options, output, rejects, options.overwrite)
    rejects = rejects_path(link_target(name), options.rejects)
    line = summary(counts, time.monotonic() - started, rejects)
    return f"{name}: {line}", bool(counts.labelled) or not counts.rejected
