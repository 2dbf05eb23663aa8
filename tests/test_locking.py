"""One process at a time in a folder, and nothing left behind."""

import os
import threading
from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.locking import folder_lock


def test_the_second_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with folder_lock(tmp_path, "tune"):
        with (
            pytest.raises(InputError, match="another process is working in this folder"),
            folder_lock(tmp_path, "tune"),
        ):
            pass
        with folder_lock(tmp_path, "eval"):
            assert (tmp_path / ".tune.lock").is_file()
    with folder_lock(tmp_path, "tune"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_waiter_that_opened_a_removed_lock_file_does_not_hold_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its opening and its locking of the file the holder removes it, and a third makes a new one."""
    (tmp_path / "kept").write_text("x")
    opened, released = threading.Event(), threading.Event()
    honest = os.open

    def slow(path: str, *args: int, **kwargs: int) -> int:
        handle = honest(path, *args, **kwargs)
        if (
            threading.current_thread().name == "waiter"
            and str(path).endswith(".lock")
            and not opened.is_set()
        ):
            opened.set()
            assert released.wait(60)
        return handle

    inside: list[str] = []
    both: list[bool] = []

    def wait() -> None:
        with folder_lock(tmp_path, "tune", wait=True):
            inside.append("waiter")
            both.append("third" in inside)
            inside.remove("waiter")

    monkeypatch.setattr(os, "open", slow)
    waiter = threading.Thread(target=wait, name="waiter")
    with folder_lock(tmp_path, "tune"):
        waiter.start()
        assert opened.wait(60)
    with folder_lock(tmp_path, "tune"):
        inside.append("third")
        released.set()
        waiter.join(0.5)
        inside.remove("third")
    waiter.join(60)
    assert both == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_file_of_a_dead_process_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / ".tune.lock").write_text("")
    with folder_lock(tmp_path, "tune"):
        pass
    assert not tmp_path.exists(), "a folder that stays empty goes"


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is not a folder"), folder_lock(tmp_path / "file", "tune"):
        pass
