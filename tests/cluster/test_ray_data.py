"""Ray Data: each row in the output once, though the driver is killed; what is refused before it starts."""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.cluster import session

Run = Any
ROWS = 60


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
@pytest.mark.skipif(not find_spec("ray"), reason="needs Ray Data")
def test_each_row_is_in_the_output_once_though_the_driver_is_killed(
    tuned: Path, folder: Path, tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "out.parquet"
    options = ["--order", "n", "--model", tuned, "--precision", "float32"]
    ray = ["--ray", "--workers", 1, "--block-rows", 5, "--id"]

    def start(id_column: str) -> subprocess.Popen[str]:
        words = ["predict", "emotion", folder, "--output", output, *options, *ray, id_column]
        return subprocess.Popen(
            [sys.executable, "-m", "gsa", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    refused = start("dialogue_id")
    _, stderr = refused.communicate(timeout=120)
    assert refused.returncode == 2
    expected = "the id 'd0' is that of 0.csv row 2 and of 0.csv row 12: expected ids that do not repeat"
    assert stderr.splitlines()[-1].startswith("gsa: the id 'd"), stderr
    assert expected.split(":")[1] in stderr
    killed = start("id")
    parts = output.with_name("out.parquet.parts")
    end = time.monotonic() + 120
    while len(list(parts.glob("*.parquet"))) < 2:
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    finished = sorted(parts.glob("*.json"))
    assert not output.exists()
    code, _, error = run("predict", "emotion", folder, "--output", output, *options, *ray, "n")
    assert (code, "holds the parts of another job (its ids differs)" in error) == (2, True)
    resumed = start("id")
    stdout, stderr = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, stderr
    assert "60 rows labelled" in stdout
    assert len(finished) >= 2
    assert not parts.exists()
    table = pl.concat([pl.read_csv(file, infer_schema=False) for file in sorted(folder.iterdir())])
    rows = table.sort(pl.col("dialogue_id"), pl.col("n").cast(pl.Int64))
    rows.write_csv(tmp_path / "in.csv")
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


def test_without_the_extra_it_is_one_sentence(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    code, _, error = run("predict", "emotion", folder, "--ray", "--output", "out.parquet")
    assert (code, error) == (
        2,
        "gsa: --ray needs Ray Data, the extra 'ray': pip install 'gsa-llm[ray]'\n",
    )


def test_options_of_ray_are_for_ray(folder: Path, run: Run) -> None:
    code, _, error = run("predict", "emotion", folder / "0.csv", "--workers", 2)
    assert (code, error) == (2, "gsa: --workers, --block-rows, --id: expected only with --ray\n")
