"""Levels side by side: each is the chain at that level to the last bit, and the rest is shared."""

import shutil
from pathlib import Path

import pytest

from gsa.chain.calibration import Calibration, key
from gsa.chain.chain import Chain
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue, example
from gsa.prediction.loading import load
from gsa.serving.scheduler import QueryGroup
from gsa.web.levels import Levels

CONVERSATION = dialogue(["They lost my luggage.", {"speaker": "Desk", "text": "Oh no, I am so sorry!"}])


@pytest.mark.parametrize("served", [None, 1])
def test_each_level_is_the_chain_at_that_level_to_the_last_bit(tuned: Path, served: int | None) -> None:
    predictor = load(tuned, served)
    levels = Levels(predictor, tuned, served)
    assert levels.names == ["untuned", "after SA", "after ERC", "after SD"]
    assert not levels.loaded
    task = predictor.task("emotion")
    last = example(task, CONVERSATION, 1)
    answers = levels.predict([QueryGroup(task, [last], level) for level in range(4)])
    assert levels.loaded
    alone = [load(tuned, level).predict([last], task) for level in range(4)]
    assert answers == alone
    assert len({prediction.probabilities["joy"] for (prediction,) in answers}) == 4, "each is another one"
    assert predictor.predict([last], task) == alone[3 if served is None else served], "unchanged"


def test_a_level_has_the_calibration_that_was_fitted_for_it(tuned: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tuned, tmp_path / "run"))
    predictor = load(run, 1)
    task = predictor.task("emotion")
    Calibration(Chain.read(run).identity(), {key(task): 3.0}).write(run)
    last = example(task, CONVERSATION, 1)
    answers = Levels(predictor, run, 1).predict([QueryGroup(task, [last], level) for level in (2, 3)])
    assert answers == [load(run, level).predict([last], task) for level in (2, 3)]
    assert answers[1] != load(tuned).predict([last], task)


@pytest.mark.usefixtures("native_bfloat16")
@pytest.mark.parametrize("served", [None, 1])
def test_levels_in_bfloat16_share_every_weight(tuned: Path, served: int | None) -> None:
    predictor = load(tuned, served, precision="bfloat16")
    levels = Levels(predictor, tuned, served)
    task = predictor.task("emotion")
    last = example(task, CONVERSATION, 1)
    answers = levels.predict([QueryGroup(task, [last], level) for level in range(4)])
    assert answers == [load(tuned, level, precision="bfloat16").predict([last], task) for level in range(4)]
    weights = [dict(predictor.model.named_parameters()) for predictor in levels._predictors]
    for name, weight in weights[0].items():
        assert {weights[level][name].data_ptr() for level in range(4)} == {weight.data_ptr()}


def test_levels_share_every_weight_that_no_link_changes(tuned: Path) -> None:
    levels = Levels(load(tuned), tuned)
    levels.load()
    layers = {name for link in Chain.read(tuned).link_weights() for name in link.pairs}
    models = [predictor.model for predictor in levels._predictors]
    shared = copied = 0
    for name, _ in models[0].named_parameters():
        places = {dict(model.named_parameters())[name].data_ptr() for model in models}
        changed = name.removesuffix(".weight") in layers
        assert len(places) == (4 if changed else 1), name
        shared, copied = shared + (not changed), copied + changed
    assert copied == len(layers)
    assert shared > 5


def test_groups_with_and_without_a_level_are_answered_in_their_order(tuned: Path) -> None:
    predictor = load(tuned)
    levels = Levels(predictor, tuned)
    task = predictor.task("sarcasm")
    last = [example(task, CONVERSATION, 1)]
    plain, old = QueryGroup(task, last), QueryGroup(task, last, 0)
    mixed = levels.predict([plain, old, plain])
    assert mixed[0] == mixed[2] == predictor.predict(last, task)
    assert mixed[1] == load(tuned, 0).predict(last, task)
    assert levels.predict([plain]) == [mixed[0]]


def test_a_model_without_links_has_no_levels(tiny_folder: Path) -> None:
    levels = Levels(load(tiny_folder), tiny_folder)
    assert levels.names == []
    with pytest.raises(InputError, match="this model is not a run: expected one made by `gsa tune`"):
        levels.load()


def test_a_damaged_link_is_reported(tuned: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tuned, run)
    levels = Levels(load(run), run)
    weights = next((run / "links").glob("2-*/adapter_model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"link 'ERC': .* is damaged"):
        levels.load()


def test_too_little_memory_is_reported(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    levels = Levels(load(tuned), tuned)
    monkeypatch.setattr(Chain, "link_weights", short)
    with pytest.raises(InputError, match="there is not enough memory to compare levels"):
        levels.load()
    monkeypatch.setattr(Chain, "link_weights", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        levels.load()
