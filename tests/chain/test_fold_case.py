"""Levels that read texts in lower case: which texts, at which level, and whatever reads the chain."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import byte_tokenizer

import gsa
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.checksums import sha256
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout, is_in_capitals
from gsa.data.task import ASPECT, EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets.catalogue import load
from gsa.evaluation.evaluate import Evaluator
from gsa.export.export import export
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Recipe
from gsa.training.plan import make_plan
from gsa.training.run import tune
from gsa.training.training_data import build_training_data
from gsa.web.levels import Levels

SHOUTED, QUIET = "IT WAS Fine, Anna.", "it was fine, anna."


@pytest.fixture(scope="module")
def folding(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three levels whose last one reads texts in lower case."""
    run = RunFolder(Path(shutil.copytree(tuned, tmp_path_factory.mktemp("folding") / "run")))
    recipe, chain = run.read()
    *levels, last = recipe.levels
    recipe = recipe.model_copy(update={"levels": (*levels, last.model_copy(update={"fold_case": "all"}))})
    run.recipe_file.write_text(recipe.toml())
    replace(chain, recipe=sha256(run.recipe_file)).write()
    return run.root


def on(recipe: Recipe, root: Path, revision: str) -> Recipe:
    """The first level of a recipe, to be tuned on a run."""
    backbone = recipe.backbone.model_copy(update={"name": str(root), "revision": revision})
    return recipe.model_copy(update={"backbone": backbone, "levels": recipe.levels[:1]})


def text_of(prompt: Any) -> str:
    return str(byte_tokenizer().decode(list(prompt.ids)))


def test_speakers_texts_and_aspects_are_read_in_lower_case() -> None:
    said = Dialogue("d", (Utterance("HELLO, You.", "Ana"), Utterance("Good FOOD, slow staff.", "B")))
    layout = Layout(fold_case="all")
    asks = f"{EMOTION.instruction}\nLabels: neutral, joy, surprise, anger, sadness, disgust, fear"
    shown = layout.prompt(EMOTION, said, 1, range(2))
    assert shown == f"{asks}\nana: hello, you.\nb: good food, slow staff. =>"
    assert layout.prompt(ASPECT, said, 1, range(2), "The STAFF").endswith("\nAspect: the staff =>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TERRIBLE CUSTOMER SERVICE!!", True),
        ("NO", True),
        ("@united WORST flight", False),
        ("@united WORST FLIGHT https://t.co/aB", True),
        ("Great Product", True),
        ("Don\u2019t Buy This", True),
        ("The Worst Phone I Ever Bought", True),
        ("A Guide to the Worst Phones Ever", True),
        ("STRASSE UND MÜLL", True),
        ("Terrible.", False),
        ("I", False),
        ("3 OF 5", True),
        ("It was TERRIBLE", False),
        ("Tom is in Rome", False),
        ("Anna likes Rome, Paris and Berlin", False),
        ("fine", False),
        ("", False),
        ("\U0001f621 !!", False),
        ("素晴らしい", False),
    ],
)
def test_texts_in_capitals_and_in_title_case_are_known(text: str, expected: bool) -> None:
    assert is_in_capitals(text) is expected
    said = Dialogue("d", (Utterance(text, "Ana"), Utterance("It is my FOOD.", "BO")))
    layout = Layout(fold_case="capitals")
    first, second = layout.prompt(EMOTION, said, 1, range(2)).removesuffix(" =>").splitlines()[-2:]
    assert first.rstrip() == f"Ana: {text.lower() if expected else text}".rstrip()
    assert second == "BO: It is my FOOD."
    aspect = layout.prompt(ASPECT, said, 0, range(1), "The STAFF").removesuffix(" =>").splitlines()[-1]
    assert aspect == ("Aspect: the staff" if expected else "Aspect: The STAFF")


def test_what_fits_is_counted_on_the_text_that_is_read() -> None:
    """A capital I with a dot is one character, in lower case two: such turns fill the prompt sooner."""
    turns = tuple(Utterance("İ" * 30, "A") for _ in range(40))
    example = Example("1", "d", Dialogue("d", turns), 39)
    for folded in (None, "all"):
        layout = Layout(max_tokens=700, fold_case=folded)
        (prompt,) = Encoder(byte_tokenizer(), layout, EMOTION).encode([example])
        (known,) = Encoder(byte_tokenizer(), Layout(max_tokens=700), EMOTION).encode(
            [replace(example, dialogue=Dialogue("d", tuple(Utterance(layout.line(t)) for t in turns)))]
        )
        assert prompt.ids == known.ids
        assert len(prompt.ids) + max(map(len, prompt.answers)) <= 700


def test_a_level_without_the_key_reads_as_the_one_before(folding: Path) -> None:
    recipe = load_recipe(folding / "recipe.toml")
    assert [recipe.layout_at(level).fold_case for level in (0, 1, 2, 3, None)] == [
        None,
        None,
        None,
        "all",
        "all",
    ]
    first = [
        level.model_copy(update={"fold_case": value})
        for level, value in zip(recipe.levels, ("all", None, "none"), strict=True)
    ]
    changed = recipe.model_copy(update={"levels": tuple(first)})
    assert [changed.layout_at(level).fold_case for level in range(4)] == [None, "all", "all", None]
    assert [changed.layout_of(level).fold_case for level in changed.levels] == ["all", "all", None]
    lower = recipe.model_copy(update={"layout": Layout(fold_case="all")})
    assert [lower.layout_at(level).fold_case for level in range(4)] == ["all"] * 4


def test_a_level_is_tuned_on_what_is_read_later(folding: Path) -> None:
    recipe = load_recipe(folding / "recipe.toml")
    for level, is_lower in zip(recipe.levels, (False, False, True), strict=True):
        data = build_training_data(recipe, level, byte_tokenizer())
        for prompts in data.prompts.values():
            for prompt in prompts:
                line = prompt.example.utterance.line()
                assert (line.lower() if is_lower else line) in text_of(prompt)


def test_capitals_make_no_difference_from_that_level_on(folding: Path) -> None:
    for level in (None, 3):
        model = gsa.load(folding, level=level)
        assert model.sentiment(SHOUTED).probabilities == model.sentiment(QUIET).probabilities
        assert model.identity["layout"]["fold_case"] == "all"
    before = gsa.load(folding, level=2)
    assert before.sentiment(SHOUTED).probabilities != before.sentiment(QUIET).probabilities
    assert "fold_case" not in before.identity["layout"]
    model = gsa.load(folding)
    assert model.sentiment(SHOUTED).probabilities != gsa.load(folding, level=2).sentiment(QUIET).probabilities
    conversation = [("ANA", "Hi!"), ("Bo", "GO AWAY")]
    small = [(speaker.lower(), text.lower()) for speaker, text in conversation]
    assert [p.probabilities for p in model.emotions(conversation)] == [
        p.probabilities for p in model.emotions(small)
    ]


def test_the_page_compares_levels_as_each_reads(folding: Path) -> None:
    served = gsa.load(folding)
    levels = Levels(served, folding)
    levels.load()
    for level in range(4):
        predictor = levels._predictors[level]
        assert predictor.layout == gsa.load(folding, level=level).layout
        assert predictor.layout.fold_case == ("all" if level == 3 else None)


def test_an_evaluation_reads_as_a_prediction_does(folding: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(folding, tmp_path / "run"))
    for level in (2, 3):
        evaluator = Evaluator(root)
        evaluator.evaluate([level], ["sampler-emotion"], limit=20)
        table = evaluator.predictions.load(level, "sampler-emotion", "test")
        assert table is not None
        examples = [e for e in load("sampler-emotion")["test"] if e.id in set(table["id"])]
        model = gsa.load(root, level=level)
        predictions = model.predict(examples, EMOTION)
        expected = {e.id: p.likeliest for e, p in zip(examples, predictions, strict=True)}
        assert dict(zip(table["id"], table["predicted"], strict=True)) == expected


@pytest.mark.parametrize("level", [2, 3])
def test_exports_read_as_the_level_that_they_hold(folding: Path, tmp_path: Path, level: int) -> None:
    known = gsa.load(folding, level=level)
    for kind in ("merged", "chain"):
        out = export(folding, kind, tmp_path / kind, level)
        model = gsa.load(out)
        assert model.layout == known.layout
        for text in (SHOUTED, QUIET):
            assert model.sentiment(text).probabilities == pytest.approx(
                known.sentiment(text).probabilities, abs=1e-3
            )
        card = (out / "README.md").read_text()
        assert ("\nthe soup was cold and nobody cared. =>" in card) is (level == 3)
        assert ("in lower case" in card) is (level == 3)


def test_a_run_on_it_reads_as_it_does_unless_it_says_otherwise(folding: Path, tmp_path: Path) -> None:
    recipe = load_recipe(folding / "recipe.toml")
    for revision, expected in (("main", "all"), ("3", "all"), ("2", None)):
        root = tmp_path / revision
        tune(on(recipe, folding, revision), root)
        assert load_recipe(root / "recipe.toml").layout.fold_case == expected
        tune(on(recipe, folding, revision), root)  # the same command again finds its own run
        assert gsa.load(root).layout.fold_case == expected
        assert len(Chain.read(root).links) == 1
    cased = on(recipe, folding, "main").model_copy(
        update={"layout": Layout(max_tokens=recipe.layout.max_tokens, fold_case="none")}
    )
    tune(cased, tmp_path / "cased")
    assert gsa.load(tmp_path / "cased").layout.fold_case is None
    plans = [make_plan(on(recipe, folding, revision)).levels[0].trie_tokens for revision in ("2", "3")]
    assert plans[0] >= plans[1]


def test_a_merged_export_as_a_backbone_too(folding: Path, tmp_path: Path) -> None:
    recipe = load_recipe(folding / "recipe.toml")
    merged = export(folding, "merged", tmp_path / "merged")
    tune(on(recipe, merged, "main"), tmp_path / "run")
    assert load_recipe(tmp_path / "run" / "recipe.toml").layout.fold_case == "all"


def test_gsa_tune_reads_as_its_model(folding: Path) -> None:
    texts = ["Good DAY", "BAD day", "A good One", "a BAD one"] * 3
    model = gsa.tune(texts, ["good", "bad"] * 6, model=str(folding), epochs=1)
    assert model.layout.fold_case == "all"
    (name,) = [name for name in model.tasks if set(model.tasks[name].labels) == {"good", "bad"}]
    answers = [model.classify(name, text).probabilities for text in ("GOOD Day", "good day")]
    assert answers[0] == answers[1]
