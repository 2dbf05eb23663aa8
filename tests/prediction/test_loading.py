"""Where a predictor comes from, and which labels it then asks for."""

from pathlib import Path

import pytest

import gsa
from gsa.chain import run_folder
from gsa.chain.source import ModelSource
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT
from gsa.errors import InputError
from gsa.model.precision import PRECISIONS
from gsa.recipes.loader import load_recipe, validate

ROOT = Path(__file__).parents[2]


def test_a_run_is_loaded_level_by_level(tuned: Path) -> None:
    models = {level: gsa.load(tuned, level) for level in (0, 1, 3, None)}
    found = {level: model.sentiment("It was fine.").probabilities for level, model in models.items()}
    assert found[3] == found[None]
    assert found[0] != found[1] != found[3]
    assert models[1].identity["links"] == models[3].identity["links"][:1]
    assert models[3].identity == models[None].identity
    assert models[0].layout == load_recipe(tuned / "recipe.toml").layout


def test_an_untuned_backbone_has_the_default_layout(tuned: Path, tiny_folder: Path) -> None:
    model = gsa.load(tiny_folder)
    assert model.layout == Layout()
    assert model.sentiment("It was fine.") == gsa.load(tuned, 0).sentiment("It was fine.")


@pytest.mark.usefixtures("native_bfloat16")
@pytest.mark.parametrize("source", ["run", "model"])
def test_precisions(tuned: Path, tiny_folder: Path, source: str) -> None:
    root = tuned if source == "run" else tiny_folder
    models = {precision: gsa.load(root, precision=precision) for precision in ("", *PRECISIONS)}
    taken = {precision: model.identity["precision"] for precision, model in models.items()}
    assert taken == {"": "float32", "float32": "float32", "bfloat16": "bfloat16", "auto": "bfloat16"}
    assert taken == {precision: model.precision for precision, model in models.items()}
    exact, *others = (model.sentiment("It was fine.").probabilities for model in models.values())
    assert models[""].sentiment("It was fine.") == models["float32"].sentiment("It was fine.")
    assert models["auto"].sentiment("It was fine.") == models["bfloat16"].sentiment("It was fine.")
    for probabilities in others:
        assert probabilities == pytest.approx(exact, abs=0.02)


def test_precisions_that_are_none(tuned: Path, tiny_folder: Path) -> None:
    for root in (tuned, tiny_folder):
        assert gsa.load(root, precision="auto").precision == "float32", "the processor has no bfloat16"
        with pytest.raises(InputError, match="precision 'bfloat16': cpu has no bfloat16 products"):
            gsa.load(root, precision="bfloat16")
        with pytest.raises(InputError, match="precision 'int8': expected one of auto, float32, bfloat16"):
            gsa.load(root, precision="int8")


def test_arguments_of_another_type_are_refused(tuned: Path) -> None:
    with pytest.raises(InputError, match="level: expected a number of links, found '2'"):
        gsa.load(tuned, "2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="source: expected a folder or a Hugging Face id, found 5"):
        gsa.load(5)  # type: ignore[arg-type]


def test_the_shipped_model_is_the_default(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "SHIPPED", tuned)
    assert gsa.load().identity == gsa.load("gsa-135m").identity == gsa.load(tuned).identity
    monkeypatch.setattr(run_folder, "SHIPPED", tmp_path)
    with pytest.raises(
        InputError, match="the shipped model GSA-135M is not in this installation: expected a run"
    ):
        gsa.load()


def test_sources_that_are_none(tmp_path: Path, tiny_folder: Path, tuned: Path) -> None:
    with pytest.raises(InputError, match=r"holds neither chain\.json nor config\.json"):
        gsa.load(tmp_path)
    with pytest.raises(InputError, match="has no links: expected level 0 or none"):
        gsa.load(tiny_folder, 1)
    with pytest.raises(InputError, match=r"level 4: expected 0 \(untuned\) to 3"):
        gsa.load(tuned, 4)
    with pytest.raises(InputError, match="does not exist"):
        gsa.load(tmp_path / "nowhere")


def tasks(*datasets: str) -> dict[str, tuple[str, ...]]:
    levels = [{"name": "one", "datasets": list(datasets), "learning_rate": 1e-3}]
    recipe = validate({"name": "x", "levels": levels}, "x")
    found = ModelSource("x", recipe.backbone, recipe).tasks()
    return {name: task.labels for name, task in found.items()}


def test_label_lists_are_those_that_were_tuned() -> None:
    assert tasks("sst2", "mosi")["sentiment"] == ("negative", "positive")
    assert tasks("sst2", "tweeteval-sentiment")["sentiment"] == SENTIMENT.labels
    assert tasks("emorynlp", "meld")["emotion"] == EMOTION.labels
    assert tasks("emorynlp")["emotion"][1] == "joyful"
    assert tasks("meld")["sentiment"] == SENTIMENT.labels
    assert "hate" in tasks("tweeteval-hate")
    assert set(tasks("meld")) == {"sentiment", "emotion", "sarcasm"}
