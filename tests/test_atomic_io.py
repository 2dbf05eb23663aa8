"""Files are whole or not there, what is read back is checked, and a failing disk is named."""

import errno
import json
from pathlib import Path

import pytest

from gsa import atomic_io as files


def test_sealed_json_comes_back_and_any_other_bit_is_refused() -> None:
    text = files.to_checked_json({"a": 1.1, "b": ["ü", None]})
    assert files.from_checked_json(text) == {"a": 1.1, "b": ["ü", None]}
    assert files.from_checked_json('{"a": 1}') == {"a": 1}, "older files have no checksum"
    refused = 0
    for i in range(len(text)):
        for bit in range(7):
            other = text[:i] + chr(ord(text[i]) ^ (1 << bit)) + text[i + 1 :]
            try:
                found = files.from_checked_json(other)
            except ValueError:
                refused += 1
            else:
                # white space is free; a seal called otherwise is an unknown key, which readers refuse
                assert (found["a"], found["b"]) == (1.1, ["ü", None])
    assert refused > 6 * len(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_what_is_no_object_is_no_sealed_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        files.from_checked_json(text)


def test_signed_text_comes_back_and_a_shorter_one_is_refused() -> None:
    text = files.with_checksum_line('name = "x"\nseed = 0\n')
    assert files.without_checksum_line(text) == 'name = "x"\nseed = 0\n'
    for end in range(len(text) - 1):
        with pytest.raises(ValueError, match="checksum"):
            files.without_checksum_line(text[:end])
    with pytest.raises(ValueError, match="its checksum differs"):
        files.without_checksum_line(text.replace("seed = 0", "seed = 1"))


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_atomic(path, "whole")

    def fill() -> None:
        with files.atomic_path(path) as draft:
            draft.write_text("ha")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(path)
    assert path.read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_folders_are_made_and_replaced_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        with files.atomic_path(tmp_path / "deep" / "er" / "folder") as draft:
            draft.mkdir()
            (draft / f"{number}.json").write_text(json.dumps(number))
    assert [path.name for path in (tmp_path / "deep" / "er" / "folder").iterdir()] == ["2.json"]


def test_removing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    files.remove_tree(tmp_path / "gone")
    files.remove_tree(tmp_path / "nothing")
    assert (tmp_path / "kept" / "file").read_text() == "x"
    assert not (tmp_path / "gone").exists()
