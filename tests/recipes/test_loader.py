"""Sixty and more wrong recipes: exit code 2 and one sentence with the key's path, before anything loads."""

import sys
from pathlib import Path
from typing import Any

import pytest

from gsa.cli import main as cli
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe, resolve

GOOD = """
name = "x"
seed = 1
[backbone]
name = "{backbone}"
[layout]
name = "inline"
[lora]
rank = 2
[training]
max_row_tokens = 256
[[levels]]
name = "SA"
datasets = ["sampler-sentiment"]
learning_rate = 1e-3
[[levels]]
name = "ERC"
datasets = [{{ name = "sampler-emotion", limit = 10 }}]
learning_rate = 2e-3
[evaluation]
split = "test"
"""
OWN = '{ name = "own", path = "PATH", task = "sentiment", labels = ["good", "bad"] }'
SA = '["sampler-sentiment"]'

# What is replaced, by what, and what the sentence must hold.
WRONG = [
    # unknown keys, at each level
    ("seed = 1", "sed = 1", "sed: unknown key (did you mean 'seed'?)"),
    ('name = "x"', 'nmae = "x"', "nmae: unknown key (did you mean 'name'?)"),
    ("[lora]", "[lore]", "lore: unknown key (did you mean 'lora'?)"),
    ("[[levels]]", "[[level]]", "level: unknown key (did you mean 'levels'?)"),
    ("[backbone]", "[backbone]\nrevison = 'a'", "backbone.revison: unknown key (did you mean 'revision'?)"),
    ("[layout]", "[layout]\nmax_token = 99", "layout.max_token: unknown key (did you mean 'max_tokens'?)"),
    ("rank = 2", "rnk = 2", "lora.rnk: unknown key (did you mean 'rank'?)"),
    ("max_row_tokens = 256", "max_row_token = 256", "training.max_row_token: unknown key (did you mean"),
    ("learning_rate = 1e-3", "learning_rte = 1", "levels.SA.learning_rte: unknown key (did you mean 'learn"),
    ("limit = 10", "limt = 10", "levels.ERC.datasets.sampler-emotion.limt: unknown key (did you mean"),
    ('split = "test"', 'splitt = "dev"', "evaluation.splitt: unknown key (did you mean 'split'?)"),
    ("[lora]", "[lora]\nqlora = true", "lora.qlora: unknown key"),
    # what does not go together
    ("learning_rate = 1e-3", "learning_rate = 1e-3\nanswer_weight = 0.1",
     "answer_weight: found 0.1 with loss = 'answer': expected loss = 'labels'"),
    ('datasets = ["sampler-sentiment"]', 'datasets = [{{ name = "sampler-sentiment", balance = 0.5 }}]',
     "balance of 'sampler-sentiment': found 0.5 with loss = 'answer': expected loss = 'labels'"),
    ("learning_rate = 1e-3", "learning_rate = 1e-3\nbalance = 0.5",
     "balance: found 0.5 with loss = 'answer': expected loss = 'labels'"),
    # missing
    ('name = "x"', "", "name: missing"),
    ('name = "SA"', "", "levels.0.name: missing"),
    ("learning_rate = 2e-3", "", "levels.ERC.learning_rate: missing"),
    (f"datasets = {SA}", "", "levels.SA.datasets: missing"),
    (SA, "[{ limit = 3 }]", "levels.SA.datasets.0.name: missing"),
    # wrong type
    ('name = "x"', "name = 3", "name: input should be a valid string, found 3"),
    ("seed = 1", 'seed = "one"', "seed: input should be a valid integer"),
    ("seed = 1", "seed = 1.5", "seed: input should be a valid integer"),
    ("seed = 1", "seed = true", "seed: input should be a valid integer"),
    ("seed = 1", 'seed = "1"', "seed: input should be a valid integer"),
    ("rank = 2", "rank = [2]", "lora.rank: input should be a valid integer"),
    ("rank = 2", 'targets = "q_proj"', "lora.targets: input should be a valid tuple"),
    ("rank = 2", "targets = [1]", "lora.targets.0: input should be a valid string"),
    ("1e-3", '"fast"', "levels.SA.learning_rate: input should be a valid number"),
    ("1e-3", "true", "levels.SA.learning_rate: input should be a valid number"),
    (SA, '"sampler-sentiment"', "levels.SA.datasets: input should be a valid tuple"),
    (SA, "[3]", "levels.SA.datasets.0: input should be"),
    ("limit = 10", "limit = 1.5", "levels.ERC.datasets.sampler-emotion.limit: input should be a valid"),
    ("[training]\n", "[training]\nreport_to = 1\n", "training.report_to: input should be a valid tuple"),
    ("[layout]", '[layout]\nend = "maybe"', "layout.end: input should be a valid boolean"),
    ('split = "test"', "split = 1", "evaluation.split: input should be 'dev' or 'test', found 1"),
    # out of range
    ("seed = 1", "seed = -1", "seed: input should be greater than or equal to 0"),
    ("seed = 1", "seed = 2147483648", "seed: input should be less than 2147483648"),
    ("rank = 2", "rank = 0", "lora.rank: input should be greater than or equal to 1"),
    ("rank = 2", "rank = 1000000000", "lora.rank: input should be less than or equal to 1024"),
    ("rank = 2", "alpha = 0", "lora.alpha: input should be greater than 0"),
    ("rank = 2", "alpha = inf", "lora.alpha: input should be a finite number"),
    ("rank = 2", "dropout = 1.0", "lora.dropout: input should be less than 1"),
    ("rank = 2", "targets = []", "lora.targets: tuple should have at least 1 item"),
    ("max_row_tokens = 256", "max_row_tokens = 8", "training.max_row_tokens: input should be greater"),
    ("max_row_tokens = 256", "examples_per_step = 0", "training.examples_per_step: input should be greater"),
    ("max_row_tokens = 256", "warmup = 1.0", "training.warmup: input should be less than 1"),
    ("max_row_tokens = 256", "warmup = nan", "training.warmup: input should be"),
    ("max_row_tokens = 256", "clip = 0", "training.clip: input should be greater than 0"),
    ("max_row_tokens = 256", "checkpoint_steps = 0", "training.checkpoint_steps: input should be greater"),
    ("max_row_tokens = 256", 'schedule = "lineer"', "training.schedule: input should be 'linear', 'cosine'"),
    ("1e-3", "-1e-3", "levels.SA.learning_rate: input should be greater than 0"),
    ("1e-3", "nan", "levels.SA.learning_rate: input should be"),
    ("2e-3", "2.0", "levels.ERC.learning_rate: input should be less than or equal to 1"),
    ("1e-3", "1e-3\nepochs = 0", "levels.SA.epochs: input should be greater than 0"),
    ("1e-3", "1e-3\nepochs = 1e9", "levels.SA.epochs: input should be less than or equal to 1000"),
    ("1e-3", '1e-3\nloss = "label"', "levels.SA.loss: input should be 'answer' or 'labels'"),
    ("limit = 10", "limit = -1", "levels.ERC.datasets.sampler-emotion.limit: input should be greater"),
    ("limit = 10", "augment = 2.0", "levels.ERC.datasets.sampler-emotion.augment: input should be less than"),
    ("limit = 10", "augment = {{ no = true }}", "levels.ERC.datasets.sampler-emotion.augment: input should"),
    ("limit = 10", "fold = -1", "levels.ERC.datasets.sampler-emotion.fold: input should be greater"),
    ("[layout]", "[layout]\nmax_tokens = 1", "layout.max_tokens: input should be greater than or equal"),
    ("[layout]", "[layout]\nmax_token = 512", "layout.max_token: unknown key (did you mean 'max_tokens'?)"),
    ('"inline"', '"inlin"', "layout.name: input should be 'paper' or 'inline'"),
    ("[backbone]", '[backbone]\nprecision = "int4"', "backbone.precision: input should be 'float32', 'bfl"),
    ('split = "test"', 'split = "train"', "evaluation.split: input should be 'dev' or 'test'"),
    ('split = "test"', "limit = -5", "evaluation.limit: input should be greater than or equal to 0"),
    # empty, twice, contradictory
    (f"datasets = {SA}", "datasets = []", "levels.SA.datasets: tuple should have at least 1 item"),
    ('name = "SA"', 'name = ""', "levels.0.name: string should have at least 1 character"),
    ('name = "SA"', 'name = "../SA"', "levels.0.name: string should match pattern"),
    ('name = "x"', 'name = "a/b"', "name: string should match pattern"),
    ('name = "ERC"', 'name = "SA"', "levels: two levels are named 'SA'"),
    (SA, '["sampler-emotion", "sampler-emotion"]', "level 'SA' lists a dataset twice"),
    ('"inline"', '"inline"\ncontext = "dialogue"', "layout: layout 'inline' ends the prompt at the target"),
    ("limit = 10", "limit = 10, per_class = 2", "levels.ERC.datasets.sampler-emotion: limit and per_class"),
    ("limit = 10", 'labels = ["a", "b"]', "levels.ERC.datasets.sampler-emotion: labels: is for your own"),
    (SA, '[{ name = "sampler-emotion", fold = 1 }]', "dataset 'sampler-emotion' appears with"),
    # datasets that are not there or not as said
    (SA, '["sampler-sentimnt"]', "levels.SA.datasets.sampler-sentimnt.name: dataset: expected one of"),
    (SA, '["sampler-sentimnt"]', "found 'sampler-sentimnt' (did you mean 'sampler-sentiment'?)"),
    (SA, '["mosi"]', "dataset 'mosi': expected"),
    (SA, '[{ name = "mustard", fold = 9 }]', "levels.SA.datasets.mustard.fold: dataset 'mustard': expe"),
    (SA, '[{ name = "sst2", protocol = "binry" }]', "levels.SA.datasets.sst2.protocol: dataset 'sst2'"),
    (SA, f'[{OWN.replace("PATH", "nowhere")}]', "dataset 'own': expected the folder"),
    (SA, f"""[{OWN.replace(', labels', ', instruction = " ", labels')}]""",
     "levels.SA.datasets.own.instruction: expected a text, found ' '"),
    (SA, f'[{OWN.replace("bad", "worse")}]', "expected a label out of good, worse, found 'bad'"),
    (SA, f'[{OWN.replace(", labels", ", labls")}]', "levels.SA.datasets.own.labls: unknown key (did you"),
    (SA, f'[{OWN.replace("sentiment", "sentimnt")}]', "task: found 'sentimnt' (did you mean 'sentiment'?)"),
    (SA, f"""[{OWN.replace('["good", "bad"]', '["good"]')}]""", "two or more distinct, non-empty labels"),
    (SA, f"""[{OWN.replace('["good", "bad"]', '["good", "bad", "bad"]')}]""", "two or more distinct"),
    # what a backbone lacks
    ("rank = 2", 'targets = ["q_prj"]', "lora.targets: this model has no layer 'q_prj' (did you"),
    ("{backbone}", "./nowhere", "backbone folder './nowhere' does not exist"),
    ("[layout]", "[layout]\nmax_tokens = 64", "layout.max_tokens: 64 leaves no room"),
    # no TOML
    ('name = "x"', 'name = "x', "is not valid TOML"),
    ("seed = 1", "seed = 1\nseed = 2", "is not valid TOML"),
    ("seed = 1", "seed = " + "[" * 100000, "is not valid TOML"),
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len(WRONG) >= 60
    assert len({(old, new) for old, new, _ in WRONG}) >= len(WRONG) - 1


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_a_wrong_recipe_is_one_sentence_and_exit_code_2(
    old: str,
    new: str,
    says: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert old in GOOD
    own = tmp_path / "own"
    own.mkdir()
    (own / "train.jsonl").write_text('{"text": "a", "label": "good"}\n{"text": "b", "label": "bad"}\n')
    text = GOOD.replace(old, new, 1).replace("{backbone}", tiny_folder.as_posix())
    text = text.replace("{{", "{").replace("}}", "}").replace("PATH", own.as_posix())
    (tmp_path / "recipe.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GSA_DATA", str(tmp_path / "no-data"))
    monkeypatch.setattr(sys, "argv", ["gsa", "tune", "recipe.toml", "--out", "run", "--quiet"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert says in err
    assert err.startswith("gsa: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert len(err) < 700, "one sentence"
    assert not (tmp_path / "run" / "chain.json").exists() or "targets" in new


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("levels.urgency.datasets.tickets.text_colum=b",
         "levels.urgency.datasets.tickets.text_colum: unknown key (did you mean 'text_column'?)"),
        ("levels.urgency.epochs=-1", "levels.urgency.epochs: input should be greater than 0, found -1"),
        ('levels.urgency.datasets=["tickets", "a b"]',
         "levels.urgency.datasets.1: string should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$', found "
         "'a b'"),
        ("levels.urgency.datasets.tickets.augment.upper_case=true",
         "levels.urgency.datasets.tickets.augment: input should be a valid number, found "
         "{'upper_case': True}"),
        ("seed", "--set 'seed': expected key=value, such as levels.SA.epochs=2"),
    ],
)  # fmt: skip
def test_a_message_names_the_key_as_it_was_typed(tmp_path: Path, override: str, says: str) -> None:
    (tmp_path / "tickets.toml").write_text(
        'name = "x"\n[[levels]]\nname = "urgency"\ndatasets = [{ name = "tickets", path = "data", task = '
        '"sentiment", labels = ["a", "b"] }]\n'
    )
    with pytest.raises(InputError) as error:
        load_recipe(tmp_path / "tickets.toml", [override])
    assert str(error.value).removeprefix(f"{tmp_path}/tickets.toml: ") == says


def test_a_name_may_have_another_protocol_if_the_test_examples_are_the_same() -> None:
    def document(protocol: str) -> dict[str, Any]:
        names = [{"name": "sst2"}, {"name": "sst2", "protocol": protocol}]
        levels = [
            {"name": f"L{i}", "datasets": [name], "learning_rate": 1e-3} for i, name in enumerate(names)
        ]
        return {"name": "x", "levels": levels}

    recipe = resolve(document("phrases"), "recipe")
    assert [level.datasets[0].protocol for level in recipe.levels] == ["", "phrases"]
    assert [config.protocol for config in recipe.datasets] == [""]
    with pytest.raises(InputError) as error:
        resolve(document("three-class"), "recipe")
    assert str(error.value) == (
        "recipe: levels.L1.datasets.sst2.protocol: dataset 'sst2': expected 'binary' again, the protocol of "
        "its first use, found 'three-class', which has other test examples"
    )
