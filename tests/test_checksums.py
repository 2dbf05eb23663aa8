"""Checksums of folders and of JSON files: what was written comes back, any other content is refused."""

import subprocess
from pathlib import Path

import pytest

from gsa.checksums import (
    SUMS,
    checksums,
    format_sums,
    from_checked_json,
    read_sums,
    to_checked_json,
    verify,
)


def test_json_comes_back_and_any_other_bit_is_refused() -> None:
    text = to_checked_json({"a": 1.1, "b": ["ü", None]})
    assert from_checked_json(text) == {"a": 1.1, "b": ["ü", None]}
    assert to_checked_json({"a": 1}, indent=None).count("\n") == 1
    with pytest.raises(ValueError, match="its checksum differs"):
        from_checked_json('{"a": 1}')
    refused = 0
    for i in range(len(text)):
        for bit in range(7):
            damaged = text[:i] + chr(ord(text[i]) ^ (1 << bit)) + text[i + 1 :]
            try:
                content = from_checked_json(damaged)
            except ValueError:
                refused += 1
            else:
                assert content == {"a": 1.1, "b": ["ü", None]}, "only white space is free"
    assert refused > 6 * len(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_checked_json(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("two")
    (tmp_path / SUMS).write_text(format_sums(checksums(tmp_path, ["b/c.txt", "a.txt"])))
    return tmp_path


def test_a_folders_checksums_are_those_of_sha256sum(folder: Path) -> None:
    verify(folder, read_sums(folder))
    assert list(read_sums(folder)) == ["a.txt", "b/c.txt"]
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)


def test_a_damaged_missing_or_linked_file_is_named(folder: Path, tmp_path: Path) -> None:
    sums = read_sums(folder)
    (folder / "a.txt").write_text("One")
    with pytest.raises(ValueError, match=r"a\.txt' is damaged"):
        verify(folder, sums)
    (folder / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"a\.txt' is missing"):
        verify(folder, sums)
    (tmp_path / "elsewhere").write_text("one")
    (folder / "a.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"a\.txt' is missing"):
        verify(folder, sums)


def test_lines_that_are_no_checksums_are_left_out(folder: Path) -> None:
    (folder / SUMS).write_bytes(b"nonsense\n\xff\n" + (folder / SUMS).read_bytes())
    assert list(read_sums(folder)) == ["a.txt", "b/c.txt"]
    assert read_sums(folder / "b") == {}
