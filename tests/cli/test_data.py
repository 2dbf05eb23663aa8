"""`gsa data` from the shell."""

import json
from pathlib import Path

import pytest

from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"

pytestmark = pytest.mark.usefixtures("fixtures")


def test_data_commands(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("data", "list")
    assert code == 0
    assert out.count("yes") == len(CATALOGUE)
    code, out, _ = run("data", "stats", "--json")
    assert {row["name"] for row in json.loads(out)} == set(CATALOGUE)
    code, out, _ = run("data", "stats", "meld", "sst2")
    assert "average words" in out
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    code, out, _ = run("data", "stats")
    assert "run 'gsa data fetch" in out
    code, out, _ = run("data", "fetch", "sst2", "--from", FIXTURES)
    assert code == 0
    assert out.count("copied") == 3
    assert (tmp_path / "sst2" / "train.txt").is_file()


def test_fetching_all_goes_on_where_one_cannot_be_downloaded(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    code, _, err = run("data", "fetch", "iemocap")
    assert code == 2
    assert "sign the release form" in err
    code, out, _ = run("data", "fetch", "all", "--from", FIXTURES)
    assert code == 0
    assert out.count("copied") > 15
    monkeypatch.setattr("gsa.datasets.download._fetch", lambda *_: pytest.fail("nothing is to be downloaded"))
    code, out, _ = run("data", "fetch", "iemocap")
    assert code == 0
    assert "kept" in out


def test_fetching_all_fails_where_one_that_can_be_downloaded_was_not(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object) -> None:
        raise InputError("no network")

    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    monkeypatch.setattr("gsa.datasets.download._fetch", offline)
    code, out, err = run("data", "fetch", "all")
    assert code == 2
    assert out.count("kept") > 3, "the samplers"
    assert "skipped    dataset 'mosi' cannot be downloaded" in err
    assert "gsa: not downloaded: sst2, mosei, meld, emorynlp, mustard, mustardpp, " in err
