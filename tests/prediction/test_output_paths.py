"""What a job writes over: its own files, and nothing else."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from jobs import Fake, csv, make_job, read

from gsa.errors import InputError
from gsa.prediction.job import label_file
from gsa.prediction.parts import RowCounts


def test_a_folder_of_the_users_own_is_not_taken_for_parts(tmp_path: Path) -> None:
    source, out, folder = csv(tmp_path, 9), tmp_path / "out.csv", tmp_path / "out.csv.parts"
    folder.mkdir()
    (folder / "000000.csv").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"out\.csv\.parts' holds files that are not gsa's"):
            label_file(make_job(source, "csv"), out, overwrite=overwrite)
    (folder / "job.json").write_text('{"title": "mine"}')
    with pytest.raises(InputError, match="holds the parts of another job"):
        label_file(make_job(source, "csv"), out)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "000000.csv": "mine", "job.json": '{"title": "mine"}',
    }  # fmt: skip
    assert not out.exists()


def test_what_is_put_into_the_folder_of_parts_is_kept(tmp_path: Path) -> None:
    source, out, folder = csv(tmp_path, 9), tmp_path / "out.csv", tmp_path / "out.csv.parts"
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, "csv", Fake(most=5)), out, size=4)
    (folder / "notes.txt").write_text("mine")
    assert label_file(make_job(source, "csv"), out, size=4).labelled == 9
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_file_or_a_link_where_the_parts_would_be_is_refused(tmp_path: Path) -> None:
    source, out, parts = csv(tmp_path, 3), tmp_path / "out.csv", tmp_path / "out.csv.parts"
    parts.write_text("mine")
    with pytest.raises(InputError, match="is not a folder of gsa's own: expected another --output"):
        label_file(make_job(source, "csv"), out)
    assert parts.read_text() == "mine"
    parts.unlink()
    (tmp_path / "elsewhere").mkdir()
    parts.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is not a folder of gsa's own"):
        label_file(make_job(source, "csv"), out)


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    begun, go = threading.Event(), threading.Event()

    class Waiting(Fake):
        def __call__(self, *given: Any, **more: Any) -> Any:
            begun.set()
            assert go.wait(30)
            return super().__call__(*given, **more)

    first = threading.Thread(target=lambda: label_file(make_job(source, "csv", Waiting()), out, size=4))
    first.start()
    assert begun.wait(30)
    with pytest.raises(InputError, match=r"out\.csv': another process is writing it: wait for it"):
        label_file(make_job(source, "csv"), out, size=4)
    go.set()
    first.join(30)
    assert read(out).height == 9
    with pytest.raises(InputError, match="exists already"):
        label_file(make_job(source, "csv"), out, size=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    source, pipe = csv(tmp_path, 3), tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    (tmp_path / "null.csv").symlink_to("/dev/null")
    for path in (pipe, tmp_path / "null.csv"):
        with pytest.raises(
            InputError, match="is a device or a pipe: expected the name of a file for --output"
        ):
            label_file(make_job(source, "csv"), path, overwrite=True)
        with pytest.raises(
            InputError, match="is a device or a pipe: expected the name of a file for --rejects"
        ):
            label_file(make_job(source, "csv"), tmp_path / "out.csv", path, overwrite=True)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()


def test_a_link_is_followed(tmp_path: Path) -> None:
    source, link, target = csv(tmp_path, 3), tmp_path / "link.csv", tmp_path / "folder" / "real.csv"
    target.parent.mkdir()
    link.symlink_to(target)
    label_file(make_job(source, "csv"), link)
    assert link.is_symlink()
    assert read(target).height == 3
    with pytest.raises(InputError, match=r"real\.csv' exists already"):
        label_file(make_job(source, "csv"), link)


@pytest.mark.parametrize("kind", ["name", "symbolic link", "hard link", "link to a link"])
def test_the_input_is_never_written(kind: str, tmp_path: Path) -> None:
    source, other = csv(tmp_path, 3), tmp_path / "other.csv"
    content = source.read_text()
    if kind == "hard link":
        other.hardlink_to(source)
    elif kind == "name":
        (tmp_path / "folder").mkdir()
        other = tmp_path / "folder" / ".." / source.name
    else:
        first = source if kind == "symbolic link" else tmp_path / "first.csv"
        if first != source:
            first.symlink_to(source)
        other.symlink_to(first)
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is the input" if overwrite else "exists already"):
            label_file(make_job(source, "csv"), other, overwrite=overwrite)
        with pytest.raises(InputError, match="is the input" if overwrite else "exists already"):
            label_file(make_job(source, "csv"), tmp_path / "out.csv", other, overwrite=overwrite)
    assert source.read_text() == content
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.parametrize("rows", [8, 10])
def test_an_input_that_grew_or_shrank_before_a_resume_is_refused(rows: int, tmp_path: Path) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, "csv", Fake(most=5)), out, size=4)
    csv(tmp_path, rows)
    with pytest.raises(InputError, match=r"parts of another job \(its input differs\)"):
        label_file(make_job(source, "csv"), out, size=4)
    assert not out.exists()
    assert label_file(make_job(source, "csv"), out, overwrite=True, size=4).labelled == rows


@pytest.mark.parametrize("change", ["grown", "shrunk", "replaced"])
def test_an_input_that_changes_while_it_is_read_is_reported(change: str, tmp_path: Path) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    content = source.read_text()

    class Changing(Fake):
        def __call__(self, *given: Any, **more: Any) -> Any:
            if change == "grown":
                source.write_text(content + "x,one more\n")
            elif change == "shrunk":
                os.truncate(source, 30)
            else:
                source.unlink()
                source.write_text(content)
            return super().__call__(*given, **more)

    with pytest.raises(InputError, match=r"in\.csv' changed while it was read: run the same command again"):
        label_file(make_job(source, "csv", Changing()), out, size=4)
    assert not out.exists()
    source.write_text(content)
    assert label_file(make_job(source, "csv"), out, size=4) == RowCounts(9, 0, "")


def test_overwrite_starts_anew_where_another_job_stopped(tmp_path: Path) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, "csv", Fake(most=5)), out, size=4)
    other = Fake()
    with pytest.raises(InputError, match="another job"):
        label_file(make_job(source, "csv", other, prefix="x_"), out, size=4)
    assert label_file(make_job(source, "csv", other, prefix="x_"), out, overwrite=True, size=4).labelled == 9
    assert other.seen == 9, "no part of the other job"
