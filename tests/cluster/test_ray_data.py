"""Ray Data: each row in the output once, though the driver is killed; what is refused before it starts."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.cluster import ray_data, session
from gsa.cluster.blocks import open_files
from gsa.data.task import EMOTION
from gsa.datasets.records import ReadOptions
from gsa.errors import InputError
from gsa.prediction.job import JobConfig
from gsa.prediction.parts import PartStore, RowCounts
from gsa.prediction.writers import Writer

Run = Any
ROWS = 60
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="needs Ray Data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty conversations of three turns, shuffled over two files."""
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [(f"{i}", f"d{i * 7 % 20}", i, f"A text of {i} words.") for i in range(ROWS)]
    for number in range(2):
        lines = [",".join(map(str, row)) for row in rows[number::2]]
        (folder / f"{number}.csv").write_text("\n".join(["id,dialogue_id,n,text", *lines]) + "\n")
    return folder


@pytest.mark.slow
@needs_ray
def test_each_row_is_in_the_output_once_though_the_driver_is_killed(
    tuned: Path, folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DEVICE", "cuda")  # GPUs are not used
    output = tmp_path / "out.parquet"
    options = ["--order", "n", "--model", tuned, "--precision", "float32"]
    words = ["predict", "emotion", folder, "--output", output, *options]
    words += ["--ray", "--workers", 1, "--block-rows", 5, "--id"]
    command = [sys.executable, "-m", "gsa", *map(str, words), "id"]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    parts = output.with_name("out.parquet.parts")
    end = time.monotonic() + 120
    while not list(parts.glob("*.json")) or not list(parts.glob("*.parquet")):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert not output.exists()
    code, _, error = run(*words, "n")
    assert (code, "holds the parts of another job (its ids differs)" in error) == (2, True)
    resumed = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "60 rows labelled" in resumed.stdout
    assert not parts.exists()
    table = pl.concat([pl.read_csv(file, infer_schema=False) for file in sorted(folder.iterdir())])
    rows = table.sort(pl.col("dialogue_id"), pl.col("n").cast(pl.Int64))
    rows.write_csv(tmp_path / "in.csv")
    monkeypatch.setenv("GSA_DEVICE", "cpu")
    assert (
        run("predict", "emotion", tmp_path / "in.csv", "--output", tmp_path / "known.parquet", *options)[0]
        == 0
    )
    ours, known = (pl.read_parquet(path).sort("id") for path in (output, tmp_path / "known.parquet"))
    assert ours.columns == known.columns
    assert ours.drop(pl.col(pl.Float64)).equals(known.drop(pl.col(pl.Float64)))
    for name in ours.select(pl.col(pl.Float64)).columns:
        assert float((ours[name] - known[name]).abs().max()) < 1e-5  # rounding: batches differ


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("ray"), reason="needs Ray Data")
def test_the_sentence_of_a_worker_is_that_of_the_command(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from gsa.cluster.session import ray_session\n"
        "from gsa.errors import InputError\n"
        "class Worker:\n"
        "    def __call__(self, batch):\n"
        "        raise InputError('the model of a worker is another one')\n"
        "try:\n"
        "    with ray_session(1):\n"
        "        import ray\n"
        "        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=1)\n"
        "        rows = ray.data.from_items([1]).materialize()\n"
        "        rows = rows.map_batches(Worker, compute=pool, num_cpus=1)\n"
        "        list(rows.iter_batches())\n"
        "except InputError as error:\n"
        "    print(repr(error))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=150)
    assert done.stdout.splitlines()[-1:] == ["InputError('the model of a worker is another one')"], (
        done.stderr
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output", "out.csv"], "--output 'out.csv': expected a name that ends in .parquet with --ray"),
        ([], "--ray: expected an --output"),
        (
            ["--output", "out.parquet", "--rejects", "IN/bad.jsonl"],
            "folder of the input: expected another --rejects",
        ),
        (["--output", "IN/out.parquet"], "is in the folder of the input: expected another --output"),
        (["--output", "out.parquet", "--id", "key"], "--id 'key': expected one of id, dialogue_id, n, text"),
    ],
)
def test_what_is_refused_before_ray_starts(
    words: list[str], says: str, tuned: Path, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: True)
    words = [word.replace("IN", str(folder)) for word in words]
    code, _, error = run("predict", "emotion", folder, "--ray", "--model", tuned, *words)
    assert (code, says in error) == (2, True), error


class Rows:
    """Stands for Ray's rows."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def select_columns(self, names: list[str]) -> "Rows":
        return Rows(self.table.select(names))

    def iter_batches(self, batch_size: int | None) -> list[dict[str, Any]]:
        return [{name: self.table[name].to_numpy() for name in self.table.column_names}]

    def map_batches(self, function: Any, batch_format: str, fn_kwargs: dict[str, Any]) -> "Rows":
        return Rows(function(self.table, **fn_kwargs))

    def iter_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


@needs_ray
def test_ids_that_repeat_are_refused(folder: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    inputs, first = open_files(folder, ReadOptions(""), True, "dialogue_id")
    store = PartStore(tmp_path / "out.parquet", None, Writer.for_task("parquet", first, EMOTION, ""))
    config = JobConfig(None, ReadOptions(""), EMOTION, "parquet")
    rows = Rows(pa.concat_tables(pa.table(columns) for file in range(2) for columns in inputs.read(file)))
    with store.lock():
        store.claim({}, True)
        with pytest.raises(
            InputError,
            match=r"the id 'd0' is that of 0\.csv row 12 and of 0\.csv row 2: expected ids that do not",
        ):
            ray_data._Run(inputs, config, ray_data.RayOptions(), store)._check_ids(rows)


@needs_ray
def test_what_ray_loses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray import exceptions

    lost = exceptions.OutOfMemoryError("too much memory.\nA list of processes")
    sentence = str(session._readable(exceptions.RayTaskError("f", "", lost)))
    assert sentence == str(session._readable(lost))
    assert sentence == "Ray: OutOfMemoryError: too much memory; the same command resumes"
    bug = exceptions.RayTaskError("f", "", ValueError("x"))
    assert session._readable(bug) is bug
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with (
        pytest.raises(InputError, match="did not start on RAY_ADDRESS 'nonsense': Invalid address"),
        session.ray_session(1),
    ):
        pass


def test_workers_get_absolute_paths(
    tuned: Path, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def label_files(*arguments: Any) -> RowCounts:
        given.extend(arguments)
        return RowCounts(1)

    monkeypatch.setattr(session, "find_spec", lambda name: True)
    monkeypatch.setattr(ray_data, "label_files", label_files)
    monkeypatch.setenv("GSA_DEVICE", "cuda")  # GPUs are not used
    monkeypatch.chdir(tuned.parent)
    words = ["--ray", "--model", tuned.name, "--output", "out.parquet", "--rejects", "bad.jsonl"]
    source = os.path.relpath(folder)
    code, stdout, error = run("predict", "emotion", source, *words)
    assert (code, stdout[:13]) == (0, "out.parquet: "), error
    assert given[0].is_absolute()
    assert given[0].samefile(folder)
    assert given[2].model == str(Path.cwd() / tuned.name)
    assert given[3:5] == [Path.cwd() / "out.parquet", Path.cwd() / "bad.jsonl"]


def test_without_the_extra_it_is_one_sentence(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    code, _, error = run("predict", "emotion", folder, "--ray", "--output", "out.parquet")
    assert (code, error) == (
        2,
        "gsa: --ray needs Ray Data, the extra 'ray': pip install '.[ray]' in a clone\n",
    )


def test_options_of_ray_are_for_ray(folder: Path, run: Run) -> None:
    code, _, error = run("predict", "emotion", folder / "0.csv", "--workers", 2)
    assert (code, error) == (2, "gsa: --workers, --block-rows, --id: expected only with --ray\n")
