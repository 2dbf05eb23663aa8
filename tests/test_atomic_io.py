"""Files are complete or absent, writers do not disturb each other, and a failing disk is named."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gsa.atomic_io import atomic_path, is_temporary, remove_tree, write_atomic
from gsa.errors import InputError


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "complete")

    def fill() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("comp")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(path)
    assert path.read_text() == "complete"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_folders_are_made_and_replaced_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        with atomic_path(tmp_path / "deep" / "er" / "folder") as draft:
            draft.mkdir()
            (draft / f"{number}.json").write_text(json.dumps(number))
    assert [path.name for path in (tmp_path / "deep" / "er" / "folder").iterdir()] == ["2.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_of_a_folder_have_the_modes_that_the_umask_gives(tmp_path: Path, umask: int, mode: int) -> None:
    (tmp_path / "private").touch(0o600)
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "out") as draft:
            (draft / "deep").mkdir(parents=True)
            (draft / "deep" / "weights").touch(0o600)
            (draft / "config").touch()
            (draft / "link").symlink_to(tmp_path / "private")
    finally:
        os.umask(before)
    files = [tmp_path / "out" / "deep" / "weights", tmp_path / "out" / "config"]
    assert [file.stat().st_mode & 0o777 for file in files] == [mode, mode]
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_two_writers_of_one_file_do_not_collide(tmp_path: Path) -> None:
    """The second begins and ends while the first is writing; later, eight threads at once."""
    path = tmp_path / "a"
    other = f"import gsa.atomic_io as io, pathlib; io.write_atomic(pathlib.Path({str(path)!r}), 'b')"
    with atomic_path(path) as first:
        first.write_text("first")
        with atomic_path(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        subprocess.run([sys.executable, "-c", other], check=True)
        assert path.read_text() == "b"
    assert path.read_text() == "first"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: write_atomic(path, str(i) * 1000), range(64)))
    assert len(set(path.read_text())) <= 2
    assert len(path.read_text()) in (1000, 2000)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_what_a_dead_process_left_is_removed_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f".a.{dead.pid}-0.part", f".a.b.{dead.pid}-0.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
    running = tmp_path / f".a.{os.getppid()}-5.part"
    running.write_text("x")
    write_atomic(tmp_path / "a", "complete")
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"a", running.name, f".a.b.{dead.pid}-0.part"}, "those of another file stay"
    assert all(is_temporary(tmp_path / name) == (name != "a") for name in left)


@pytest.mark.parametrize("name", [".", "..", "../.."])
def test_the_current_directory_is_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    with (
        pytest.raises(InputError, match=r"is or contains the current directory: expected a new"),
        atomic_path(Path(name)),
    ):
        pass
    assert Path.cwd().is_dir()


def test_removing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "gone")
    remove_tree(tmp_path / "nothing")
    assert (tmp_path / "kept" / "file").read_text() == "x"
    assert not (tmp_path / "gone").exists()
