"""Exports are uploaded with their card; what stands in the way is one sentence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import Hub, hub
from huggingface_hub import constants, hf_api

from gsa.errors import InputError
from gsa.export.push import push


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub() as standing_in:
        for module in (constants, hf_api):
            for name in ("ENDPOINT", "HF_HUB_OFFLINE"):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, standing_in.url if name == "ENDPOINT" else False)
        monkeypatch.setenv("HF_ENDPOINT", standing_in.url)
        monkeypatch.setenv("HF_TOKEN", "secret")
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield standing_in


def test_an_export_is_uploaded_with_its_card(
    server: Hub, folders: dict[str, Path], run: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = run("push", folders["adapter"], "ada/polarity", "--private")
    assert (code, out) == (0, f"{server.url}/ada/polarity\n"), err
    assert server.files["ada/polarity"] == {
        file.name: file.read_bytes() for file in folders["adapter"].iterdir()
    }
    assert server.private["ada/polarity"]
    assert "the card says `license: unknown`" in err
    assert run("push", folders["adapter"], "ada/polarity")[0] == 0, "once more"


def test_what_stands_in_the_way_is_one_sentence(
    server: Hub, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"has no model card \(README\.md\): expected a folder that gsa exp"):
        push(tmp_path, "ada/polarity")
    for name in ("polarity", "a/b/c", "ada/pol arity", "ada/..", ""):
        with pytest.raises(InputError, match="expected the repository as OWNER/NAME"):
            push(folders["adapter"], name)
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(InputError, match=r"refused 'ada/polarity' \(status 401\): expected a token"):
        push(folders["adapter"], "ada/polarity")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot be reached \(Connect"):
        push(folders["adapter"], "ada/polarity")
    assert server.files == {}
