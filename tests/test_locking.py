"""One process at a time on a run, and nothing left behind."""

from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.locking import folder_lock


def test_the_second_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with folder_lock(tmp_path, "tune"):
        with (
            pytest.raises(InputError, match="another process is at work on this run"),
            folder_lock(tmp_path, "tune"),
        ):
            pass
        with folder_lock(tmp_path, "eval"):
            assert (tmp_path / ".tune.lock").is_file()
    with folder_lock(tmp_path, "tune"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_file_of_a_dead_process_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / ".tune.lock").write_text("")
    with folder_lock(tmp_path, "tune"):
        pass
    assert not tmp_path.exists(), "a folder that stays empty goes"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is no folder"), folder_lock(tmp_path / "file", "tune"):
        pass
