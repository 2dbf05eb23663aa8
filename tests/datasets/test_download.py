import dataclasses
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gsa.checksums import sha256
from gsa.datasets import catalogue, sst2
from gsa.datasets.catalogue import CATALOGUE, load
from gsa.datasets.dataset import DataFile
from gsa.datasets.download import fetch
from gsa.errors import InputError
from gsa.progress import Progress

REQUESTS: list[str] = []


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        REQUESTS.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, tiny, monkeypatch):
    """The owner of sst2: a server of invented files, where train.txt goes on after its first five lines."""
    site = tmp_path / "site"
    shutil.copytree(tiny / "sst2", site)
    sums = {path.name: sha256(path) for path in site.iterdir()}
    with (site / "train.txt").open("a") as file:
        file.write("(2 (2 Not) (2 ours))\n")
    REQUESTS.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    files = tuple(
        DataFile(name, sums[name], f"{address}/{name}", 5 if name == "train.txt" else 0)
        for name in ("train.txt", "dev.txt", "test.txt")
    )
    changed = dataclasses.replace(sst2.DATASET, files=files)
    monkeypatch.setattr(catalogue, "CATALOGUE", {**CATALOGUE, "sst2": changed})
    yield site
    server.shutdown()
    server.server_close()


def states(fetched):
    return {file.path.name: file.state for file in fetched}


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_checked_and_the_next_downloads_nothing(served, tmp_path, tiny):
    root = tmp_path / "root"
    assert set(states(fetch("sst2", root)).values()) == {"downloaded"}
    assert REQUESTS == ["/train.txt", "/dev.txt", "/test.txt"]
    assert names(root) == ["dev.txt", "test.txt", "train.txt"]
    assert load("sst2", root=root) == load("sst2", root=tiny)

    assert set(states(fetch("sst2", root)).values()) == {"kept"}
    assert len(REQUESTS) == 3

    (root / "sst2" / "dev.txt").write_text("half")
    assert states(fetch("sst2", root)) == {"train.txt": "kept", "dev.txt": "downloaded", "test.txt": "kept"}
    assert len(REQUESTS) == 4


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(served, tmp_path):
    root = tmp_path / "root"
    (served / "dev.txt").write_text("(4 (4 Changed) (2 .))\n")
    with pytest.raises(
        InputError, match=r"dev.txt: expected a file with sha256 \w{64}, found \w{64}; not kept"
    ):
        fetch("sst2", root)
    assert names(root) == ["train.txt"]
    (served / "test.txt").unlink()
    shutil.copy(served / "train.txt", served / "dev.txt")
    with pytest.raises(InputError, match=r"dev.txt: expected a file"):
        fetch("sst2", root)


def test_a_failed_download_leaves_what_was_there(served, tmp_path):
    root = tmp_path / "root"
    (root / "sst2").mkdir(parents=True)
    (root / "sst2" / "train.txt").write_text("mine")
    (served / "train.txt").unlink()
    with pytest.raises(InputError, match=r"train.txt: expected a download, found an error \(404"):
        fetch("sst2", root)
    assert names(root) == ["train.txt"]
    assert (root / "sst2" / "train.txt").read_text() == "mine"


def test_progress_counts_the_bytes_of_each_file(served, tmp_path, monkeypatch):
    done = {}

    class Recorder(Progress):
        def update(self, completed, detail=""):
            super().update(completed, detail)
            done[self.description] = (completed, self.total)

    monkeypatch.setattr("gsa.datasets.download.Progress", Recorder)
    monkeypatch.setattr("gsa.datasets.download.CHUNK", 7)
    fetch("sst2", tmp_path / "root")
    sizes = {path.name: path.stat().st_size for path in served.iterdir()}
    assert done == {name: (size, size) for name, size in sizes.items()}


def test_what_a_dataset_needs_of_another_is_downloaded_with_it(tmp_path, tiny, monkeypatch):
    for name in ("mustard", "mustardpp"):
        folder = tiny / name
        files = tuple(
            DataFile(file.path, sha256(folder / file.path), str(folder / file.path))
            for file in CATALOGUE[name].files
        )
        monkeypatch.setitem(CATALOGUE, name, dataclasses.replace(CATALOGUE[name], files=files))
    monkeypatch.setattr("gsa.datasets.download._download", shutil.copy)
    fetched = fetch("mustardpp", tmp_path)
    assert list(states(fetched)) == ["sarcasm_data.json", "derived_split_indices.json", "mustard++_text.csv"]
    assert load("mustardpp", root=tmp_path) == load("mustardpp", root=tiny)


@pytest.mark.parametrize("inside", ["", "sst2"])
def test_files_are_copied_from_a_folder_and_a_differing_one_is_noted(tmp_path, tiny, inside):
    root = tmp_path / "root"
    source = tmp_path / "mine"
    shutil.copytree(tiny / "sst2", source / inside)
    fetched = fetch("sst2", root, source)
    assert states(fetched) == {"train.txt": "copied", "dev.txt": "copied", "test.txt": "copied"}
    assert all("differs from the file that this package knows" in file.note for file in fetched)
    assert load("sst2", root=root) == load("sst2", root=tiny)


def test_a_right_copy_has_no_note(served, tmp_path, tiny):
    fetched = fetch("sst2", tmp_path / "root", tiny)
    assert [file.note for file in fetched] == ["", "", ""]
    assert REQUESTS == []


def test_a_folder_that_is_the_datasets_own_is_left_alone(root):
    before = {path: path.read_bytes() for path in (root / "sst2").iterdir()}
    assert set(states(fetch("sst2", root, root)).values()) == {"copied"}
    assert {path: path.read_bytes() for path in (root / "sst2").iterdir()} == before


def test_a_folder_without_the_files_is_refused(tmp_path, tiny):
    source = tmp_path / "mine"
    source.mkdir()
    shutil.copy(tiny / "sst2" / "dev.txt", source)
    with pytest.raises(InputError) as error:
        fetch("sst2", tmp_path / "root", source)
    said = "expected the files of dataset 'sst2' here or in 'sst2', found no train.txt, test.txt"
    assert str(error.value) == f"{source}: {said}"
    assert not (tmp_path / "root").exists()


def test_optional_files_and_the_owners_own_are_copied_too(tmp_path, root, tiny):
    (root / "tweeteval" / "sentiment" / "train_text.txt").write_text("a\nb\n")
    fetch("tweeteval-sentiment", tmp_path / "root", root)
    assert len(load("tweeteval-sentiment", root=tmp_path / "root")["train"]) == 2

    for name in ("trn", "dev", "tst"):
        (root / "emorynlp" / f"emotion-detection-{name}.json").write_text('{"episodes": []}')
    for path in (root / "emorynlp").glob("*.csv"):
        path.unlink()
    fetched = fetch("emorynlp", tmp_path / "root", root / "emorynlp")
    assert len(fetched) == 3
    assert load("emorynlp", root=tmp_path / "root") == {"train": [], "dev": [], "test": []}


def test_a_tree_is_copied_without_what_is_not_read(tmp_path, tiny):
    fetched = fetch("iemocap", tmp_path / "root", tiny)
    assert len(fetched) == 28
    assert not list((tmp_path / "root").rglob("._*"))
    assert load("iemocap", root=tmp_path / "root") == load("iemocap", root=tiny)


def test_mustards_folds_are_generated_where_they_are_missing(tmp_path, tiny):
    source = tmp_path / "mine"
    source.mkdir()
    shutil.copy(tiny / "mustard" / "sarcasm_data.json", source)
    fetched = fetch("mustard", tmp_path / "root", source)
    assert states(fetched) == {"sarcasm_data.json": "copied", "derived_split_indices.json": "generated"}
    # Folds of 690 items fit no other number of them.
    with pytest.raises(InputError, match=r"fold 0: expected each of the items 0 to 9 once"):
        load("mustard", root=tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "said"), [("iemocap", "sign the release form"), ("mosi", "CMU-MultimodalSDK")]
)
def test_what_cannot_be_downloaded_says_how_to_get_it(tmp_path, name, said):
    with pytest.raises(InputError, match=said) as error:
        fetch(name, tmp_path)
    assert f"put it into '{tmp_path / name}'" in str(error.value)
    assert f"gsa data fetch {name} --from FOLDER" in str(error.value)


def test_samplers_come_with_the_package(tmp_path):
    assert set(states(fetch("sampler-emotion", tmp_path)).values()) == {"kept"}


def test_the_root_is_where_the_environment_says(monkeypatch, tmp_path, tiny):
    monkeypatch.setenv("GSA_DATA", str(tmp_path / "root"))
    fetch("meld", source=tiny)
    assert load("meld") == load("meld", root=tiny)


@pytest.mark.parametrize("present", [(), ("dev.txt",), ("train.txt", "dev.txt")])
def test_a_dataset_of_which_only_some_files_can_be_downloaded_is_refused(
    served, tmp_path, monkeypatch, present
):
    """Whatever files have an address, one required file without is enough."""
    dataset = catalogue.CATALOGUE["sst2"]
    files = tuple(
        file if file.path in present else dataclasses.replace(file, url="") for file in dataset.files
    )
    extra = DataFile("notes.txt", url="http://127.0.0.1/notes.txt", required=False)
    partial_dataset = dataclasses.replace(
        dataset, files=(*files, extra), manual_download="ask its owner for the trees"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "sst2", partial_dataset)
    assert not partial_dataset.downloadable
    with pytest.raises(InputError, match="'sst2' cannot be downloaded: ask its owner for the trees"):
        fetch("sst2", tmp_path)
    with pytest.raises(
        InputError, match=r"ask its owner for the trees; then run 'gsa data fetch sst2 --from"
    ):
        load("sst2", root=tmp_path)
    assert REQUESTS == []
    assert names(tmp_path / "sst2") == []


def test_a_dataset_is_downloadable_if_every_required_file_is_fetchable():
    files = (DataFile("a", "0", "http://127.0.0.1/a"), DataFile("b", "0", generate=bytes))
    optional = DataFile("c", required=False)
    for chosen in (files, (*files, optional)):
        assert dataclasses.replace(sst2.DATASET, files=chosen).downloadable
    assert not dataclasses.replace(sst2.DATASET, files=(*files, DataFile("d", "0"))).downloadable


def test_every_dataset_has_pinned_files_or_instructions():
    for dataset in CATALOGUE.values():
        assert dataset.package_folder or dataset.downloadable != bool(dataset.manual_download), dataset.name
        for file in dataset.files:
            if file.fetchable:
                assert len(file.sha256) == 64
            assert file.url.startswith("https://raw.githubusercontent.com/") or not file.url


def test_which_datasets_are_downloadable():
    by_hand = {name for name, dataset in CATALOGUE.items() if not dataset.downloadable}
    tasks = ("sentiment", "emotion", "sarcasm")
    shipped = {f"{kind}-{task}" for kind in ("sampler", "robustness") for task in tasks}
    shipped |= {"robustness-implied", "robustness-plain"}
    assert by_hand == {"mosi", "mosi3", "iemocap", *shipped}
