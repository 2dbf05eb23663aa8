"""What was proven once is not proven again, as long as it is the same thing."""

import os
from pathlib import Path

import pytest

from gsa import cache
from gsa.cache import file_checksum, recall, remember
from gsa.checksums import sha256


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "verified.json"
    path.parent.mkdir()
    monkeypatch.setattr(cache, "_file", lambda: path)
    return path


def test_a_file_is_hashed_once_and_again_when_it_was_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(cache, "sha256", lambda path: (hashed.append(path), sha256(path))[1])
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert file_checksum(path) == file_checksum(path) == sha256(path)
    assert len(hashed) == 1
    path.write_bytes(b"two")
    assert file_checksum(path) == sha256(path)
    os.utime(path, ns=(1, 1))
    assert file_checksum(path) == sha256(path)
    assert len(hashed) == 3


def test_a_proof_is_kept_under_its_key_alone(file: Path) -> None:
    assert recall("a") == ""
    assert remember("a", lambda: "exact") == "exact"
    assert remember("a", lambda: pytest.fail("proven again")) == "exact"
    assert recall("b") == ""


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    for key in "abcd":
        remember(key, lambda: "x")
    assert [recall(key) for key in "abcd"] == ["", "x", "x", "x"]


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_a_damaged_cache_proves_anew(file: Path, content: str) -> None:
    file.write_text(content)
    assert remember("a", lambda: "exact") == "exact"
    assert recall("a") == "exact"


def test_without_a_writable_cache_everything_is_proven_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_file", lambda: Path("/dev/null/verified.json"))
    assert remember("a", lambda: "one") == "one"
    assert remember("a", lambda: "two") == "two"
