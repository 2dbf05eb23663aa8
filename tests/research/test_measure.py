"""A run's similarities: rows on disk, and what they must be for constructed data and links."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gradient_similarity import measure
from gradient_similarity import rows as stored
from gradient_similarity.measure import Options, compare_links, level_of, measure_run, split_dialogues
from gradient_similarity.report import gradient_matrix
from gradient_similarity.rows import Condition

from gsa.chain.link import LinkWeights
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune

UNTUNED = Condition(0, "recipe", "gold")


@pytest.fixture(scope="module")
def probed(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probed")
    measure_run(tuned, Options(examples=8, shuffled=True), out)
    return out


def test_rows_of_every_pair_at_the_untuned_and_the_last_model(probed: Path, tuned: Path) -> None:
    rows = stored.read(probed)
    assert stored.conditions(rows) == [
        Condition(level, "recipe", part) for level in (0, 3) for part in ("gold", "shuffled")
    ]
    for at in stored.conditions(rows):
        names, values = gradient_matrix(rows, at)
        assert names == ["sampler-sentiment", "sampler-emotion", "sampler-sarcasm"]
        below = values[np.tril_indices(3)]
        assert (np.abs(below) <= 1 + 1e-6).all()
        assert len(set(below)) == 6
    gold, shuffled = (gradient_matrix(rows, Condition(3, "recipe", part))[1] for part in ("gold", "shuffled"))
    assert not np.allclose(gold, shuffled)
    assert {row.n for row in rows if row.kind == "gradient"} == {8}
    links = [row for row in rows if row.kind == "link"]
    assert len(links) == 3 * 4 * 5
    assert {row.n for row in links} == {2}
    assert {row.part for row in links} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert not (tuned / stored.FILE).exists()


def test_the_same_run_gives_the_same_bytes(probed: Path, tuned: Path, tmp_path: Path) -> None:
    measure_run(tuned, Options(examples=8, shuffled=True), tmp_path)
    assert (tmp_path / stored.FILE).read_bytes() == (probed / stored.FILE).read_bytes()


def test_what_is_there_is_not_computed_again(
    probed: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = (probed / stored.FILE).read_bytes()
    calls: list[int] = []
    original = measure.mean_gradient

    def counting(*args: object) -> torch.Tensor:
        calls.append(1)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "mean_gradient", counting)
    with caplog.at_level("INFO"):
        measure_run(tuned, Options(examples=8), probed)
    assert not calls
    assert caplog.messages == ["level 0, the recipe's losses: kept", "level 3, the recipe's losses: kept"]
    pair = ["sampler-sentiment", "sampler-emotion"]
    measure_run(tuned, Options([3], pair, 8), probed, overwrite=True)
    assert calls
    assert (probed / stored.FILE).read_bytes() == before


TWICE = """
name = "twice"
[backbone]
name = "{backbone}"
[lora]
rank = 2
[[levels]]
name = "one"
learning_rate = 1e-2
loss = "answer"
datasets = [{sources}]
[[levels]]
name = "two"
learning_rate = 1e-2
loss = "labels"
datasets = [{first}]
"""


def invented(folder: Path, name: str, word: str, of_x: int) -> str:
    """Write twelve texts, the first `of_x` of them x; returns the dataset for a recipe."""
    folder.mkdir(exist_ok=True)
    labels = ["x" if i < of_x else "y" for i in range(12)]
    lines = [f'{{"text": "{word} {i}", "label": "{label}"}}\n' for i, label in enumerate(labels)]
    (folder / "train.jsonl").write_text("".join(lines))
    return (f'{{ name = "{name}", path = "{folder.as_posix()}", task = "odd", instruction = "Say x or y.", '
            'labels = ["x", "y"] }')  # fmt: skip


def test_the_same_dataset_twice_has_one_direction(tiny_folder: Path, tmp_path: Path) -> None:
    kinds = [invented(tmp_path / "own", name, "text", 6) for name in ("a", "b")]
    text = TWICE.format(backbone=tiny_folder.as_posix(), sources=", ".join(kinds), first=kinds[0])
    (tmp_path / "twice.toml").write_text(text)
    recipe = load_recipe(tmp_path / "twice.toml")
    assert level_of(recipe, recipe.datasets[0]).loss == "answer", "of the level that learns it first"
    tune(recipe, tmp_path / "run")
    rows = measure_run(tmp_path / "run", Options([0]))
    assert stored.mean(rows, first="a", second="b", measure="cosine") == pytest.approx(1, abs=1e-5)
    _, labels = gradient_matrix(
        measure_run(tmp_path / "run", Options([0], loss="labels")), Condition(0, "labels", "gold")
    )
    assert labels[1, 0] == pytest.approx(1, abs=1e-5)
    assert labels[0, 0] != gradient_matrix(rows, UNTUNED)[1][0, 0]


WEIGHTED = """
name = "weighted"
[backbone]
name = "{backbone}"
[lora]
rank = 2
[[levels]]
name = "one"
learning_rate = 1e-2
loss = "labels"
balance = {balance}
datasets = [{sources}]
"""


@pytest.mark.parametrize(("of_x", "same"), [(6, True), (3, False)])
def test_gradients_are_weighted_as_tuning_weighs(
    of_x: int, same: bool, tiny_folder: Path, tmp_path: Path
) -> None:
    """Of twelve texts, `of_x` are of one label: halves weigh alike, a rare label does not."""
    kinds = [invented(tmp_path / name, name, word, of_x) for name, word in (("a", "text"), ("b", "word"))]
    found = []
    for balance in (0.0, 1.0):
        text = WEIGHTED.format(backbone=tiny_folder.as_posix(), balance=balance, sources=", ".join(kinds))
        (tmp_path / "weighted.toml").write_text(text)
        run = tmp_path / f"run-{balance}"
        tune(load_recipe(tmp_path / "weighted.toml"), run)
        found.append(gradient_matrix(measure_run(run, Options([0])), UNTUNED)[1][np.tril_indices(2)])
    assert np.array_equal(*found) == same


def test_parts_are_whole_dialogues_of_like_sizes() -> None:
    examples = load("sampler-emotion")["train"][:60]
    parts = split_dialogues(examples, 5)
    assert len(parts) == 5
    assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in examples)
    dialogues = [{example.dialogue.id for example in part} for part in parts]
    assert sum(map(len, dialogues)) == len(set.union(*dialogues))
    assert max(map(len, parts)) - min(map(len, parts)) <= 12
    assert len(split_dialogues(examples[:1], 5)) == 1


def link(a: np.ndarray, b: np.ndarray) -> LinkWeights:
    return LinkWeights({"layers.0.q_proj": (torch.tensor(a), torch.tensor(b))}, 1.0, False, {})


def test_links_that_write_and_read_elsewhere_share_nothing() -> None:
    unit = np.eye(12)
    one, other = link(unit[:2], unit[:, 4:6]), link(unit[6:8], unit[:, 8:10])
    found = {kind: (value, chance) for _, kind, value, _, chance, _ in compare_links(one, other)}
    assert found["columns"] == found["rows"] == (0.0, pytest.approx(2 / 12, abs=1e-6))
    assert found["column angle"][0] == found["row angle"][0] == 90
    assert found["update"] == (0.0, 0.0)
    found = {kind: (value, chance) for _, kind, value, _, chance, _ in compare_links(one, one)}
    assert [found[kind][0] for kind in ("columns", "rows", "update")] == [1, 1, 1]
    assert found["column angle"][0] == pytest.approx(0, abs=1e-5)
    assert compare_links(one, link(unit[:2], 0 * unit[:, :2])) == []


def test_what_cannot_be_compared_is_said_in_one_sentence(
    tuned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match=r"level 4: expected 0 \(untuned\) to 3"):
        measure_run(tuned, Options([4]), tmp_path)
    with pytest.raises(InputError, match=r"dataset 'sampler-emotoin' is not in this run \(did you mean"):
        measure_run(tuned, Options([0], ["sampler-emotoin"]), tmp_path)
    with pytest.raises(InputError, match=r"loss 'label' \(did you mean 'labels'"):
        measure_run(tuned, Options([0], loss="label"), tmp_path)
    pair = ["sampler-sentiment", "sampler-emotion"]
    with pytest.raises(InputError, match="gradients of sampler-sentiment: expected two datasets or more"):
        measure_run(tuned, Options([0], pair, 2), tmp_path)
    assert caplog.messages == [
        "sampler-emotion: its training examples are one dialogue, which has no halves: left out"
    ]
