"""The command as a user meets it: each command, its help, and what it says of bad input."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from study import write_run

import gsa
from gsa.cli import main as cli

DEMO = Path(__file__).parents[2] / "recipes" / "demo.toml"
COMMANDS = (
    ["tune"],
    ["eval"],
    ["baselines"],
    ["study"],
    ["report"],
    ["cases"],
    ["probe"],
    ["calibrate"],
    ["predict"],
    ["serve"],
    ["export"],
    ["push"],
    ["threshold"],
    ["show"],
    ["data", "list"],
    ["data", "fetch"],
    ["data", "stats"],
    ["data", "overlaps"],
)

pytestmark = pytest.mark.usefixtures("fixtures")


def test_the_face() -> None:
    assert gsa.__all__ == [
        "Dialogue", "Example", "GsaClassifier", "InputError", "Prediction", "Task", "Utterance",
        "__version__", "choose_threshold", "frame", "load", "tune",
    ]  # fmt: skip
    assert all(hasattr(gsa, name) for name in gsa.__all__)
    assert gsa.__version__ == "0.1.0"


def test_import_and_help_load_no_torch() -> None:
    code = (
        "import sys\nfrom gsa.cli import main as cli\n"
        "sys.argv = ['gsa', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'polars', 'sklearn', 'peft'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_has_help(run, words: list[str]) -> None:
    code, out, _ = run(*words, "--help")
    assert code == 0
    assert len(out.splitlines()) > 5
    assert not re.search(r"\w \.\s", out), "rich swallowed [brackets] as markup"


def test_the_listed_commands_are_all_there_is(run) -> None:
    names = {command.name for command in cli.app.registered_commands}
    assert names == {words[0] for words in COMMANDS} - {"data"}
    below = {command.callback.__name__ for command in cli.data.registered_commands}
    assert below == {"data_list", "fetch", "stats", "overlaps"}


def test_the_version_says_what_precision_auto_is(run, monkeypatch: pytest.MonkeyPatch) -> None:
    for supported, name in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("gsa.model.precision.supports_bfloat16", lambda _, answer=supported: answer)
        monkeypatch.setenv("GSA_DEVICE", "cpu")
        expected = f"gsa {gsa.__version__}\n--precision auto: {name} on cpu\n"
        assert run("--version") == (0, expected, "")


def test_tune_and_eval_from_the_shell(run, recipe_file: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    short = ("--set", "levels.0.datasets.0.limit=4", "--set", "levels.1.datasets.0.limit=4",
             "--set", "levels.2.datasets.0.limit=2")  # fmt: skip
    code, out, err = run("tune", recipe_file, "--out", root, "--seed", 7, *short)
    assert code == 0
    assert "seed 7" in out
    assert "level 2 ERC: sampler-emotion; learning rate 0.01, epochs 1" in out
    assert "schedule" not in out + err, "the resolved recipe is in the run folder"
    assert "level 3 SD: sampler-sarcasm 2;" in err
    assert f"gsa eval {root}" in out
    code, out, err = run("eval", root, "--limit", 5, "--examples", 1)
    assert code == 0
    assert "after SD" in out
    assert "sampler-emotion" in out
    assert "Predictions of the last level" in out
    assert "greedy decoding agrees" in err
    code, out, _ = run("eval", root, "--level", 3, "--dataset", "sampler-emotion", "--limit", 5, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert {"run", "seed", "level", "dataset", "split", "metric", "value", "n", "precision"} == set(rows[0])
    out_folder = tmp_path / "out"
    code, out, _ = run(
        "eval", root, "--dataset", "robustness-sarcasm", "--limit", 3, "--examples", 1, "--out", out_folder
    )
    assert code == 0
    assert "robustness-sarcasm" in out
    assert f"results and predictions are in {out_folder}" in out


def test_report_from_the_shell(run, tmp_path: Path) -> None:
    write_run(tmp_path / "run", "run", 0, {"SA": ["sst2"], "ERC": ["meld"]})
    code, out, _ = run(
        "report", tmp_path / "run", "--out", tmp_path / "report", "--resamples", 100, "--cases"
    )
    assert code == 0
    assert "absent: IEMOCAP: no rows" in out
    assert "sst2 sst2_" in out
    assert (tmp_path / "report" / "report.md").is_file()
    code, _, err = run("report", tmp_path / "report")
    assert (code, err.count("\n")) == (2, 1)
    assert "no results.jsonl" in err


def test_cases_from_the_shell(run, tuned: Path, tmp_path: Path) -> None:
    code, out, _ = run("cases", tuned, "--out", tmp_path)
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines() if "mustard own" in line][-1] == [
        "level",
        "3",
        "mustard",
    ]
    assert (tmp_path / "cases.jsonl").is_file()


def test_predict_from_the_shell(run, tuned: Path, tmp_path: Path) -> None:
    code, out, _ = run("predict", "sentiment", "It was fine.", "--model", tuned)
    assert code == 0
    assert sorted(out.split()[::2]) == ["negative", "neutral", "positive"]
    code, out, _ = run("predict", "sentiment", "It was fine.", "--model", tuned, "--json",
                       "--labels", "bad, good")  # fmt: skip
    assert set(json.loads(out)["probabilities"]) == {"bad", "good"}
    code, out, _ = run("predict", "urgency", "Now!", "--model", tuned, "--labels", "urgent,can wait",
                       "--instruction", "How urgent is it?", "--context", "--json")  # fmt: skip
    assert set(json.loads(out)["probabilities"]) == {"urgent", "can wait"}
    (tmp_path / "tweets.tsv").write_text('text\n"oh no\nfine\n12"\n')
    code, out, _ = run("predict", "sentiment", tmp_path / "tweets.tsv", "--no-quotes", "--model", tuned,
                       "--output", tmp_path / "tweets.csv")  # fmt: skip
    assert "3 rows labelled" in out
    (tmp_path / "reviews.csv").write_text("review,id\nfine,1\n,2\n")
    code, out, _ = run("predict", "sentiment", tmp_path / "reviews.csv", "--text", "review",
                       "--model", tuned, "--output", tmp_path / "out.parquet")  # fmt: skip
    assert code == 0
    assert "1 row labelled" in out
    assert "1 rejected (row 3: 'review': expected a text, found an empty one; see" in out
    assert (tmp_path / "out.parquet").is_file()


def test_nothing_labelled_is_exit_code_1(run, tuned: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\n \n")
    code, out, _ = run("predict", "sentiment", path, "--model", tuned, "--output", tmp_path / "out.csv")
    assert code == 1
    assert "0 rows labelled in 0 s, 1 rejected" in out
    code, _, err = run("predict", "sentiment", path, "--model", tuned)
    assert code == 1
    assert "1 rejected (row 2:" in err


def test_the_options_of_a_file_from_the_shell(run, tuned: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        "said~who~at~talk~about~ask~list\ncaf\xe9~1~2~x~food~How?~a,b\nfine~2~1~x~bar~~\n".encode("cp1252")
    )
    code, out, err = run(
        "predict", "emotion", path, "--model", tuned, "--text", "said", "--speaker", "who", "--order", "at",
        "--dialogue-id", "talk", "--aspect-column", "about", "--instruction-column", "ask", "--labels-column",
        "list", "--delimiter", "~", "--encoding", "cp1252", "--label", "well, good", "--label", " bad",
        "--min", "0.1", "--only", "a", "--only", "b", "--only", "bad", "--only", "well, good",
        "--output", tmp_path / "out.jsonl",
    )  # fmt: skip
    assert (code, err.count("Traceback")) == (0, 0), err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [set(row["probabilities"]) for row in rows] == [{"a", "b"}, {"well, good", "bad"}]
    assert rows[0]["said"] == "café"
    assert "2 rows labelled" in out
    code, _, err = run("predict", "sentiment", path, "--delimiter", "~~")
    assert (code, "--delimiter '~~': expected one character" in err) == (2, True)


QUIET = (
    ["tune"], ["eval"], ["predict"], ["baselines"], ["study"], ["data", "fetch"], ["report"], ["export"],
    ["serve"],
)  # fmt: skip


@pytest.mark.parametrize("words", QUIET, ids=" ".join)
def test_quiet_is_an_option_of_the_command(run, words: list[str]) -> None:
    code, out, _ = run(*words, "--help")
    assert code == 0
    assert "--quiet" in out
    assert "-q" in out


def test_a_quiet_command_prints_its_result_alone(run, tuned: Path, tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("text\nfine\n")
    words = ("predict", "sentiment", table, "--model", tuned)
    code, out, err = run(*words)
    assert (code, out.count("\n")) == (0, 2)
    assert "in.csv: 1/1 rows" in err
    assert "1 row labelled" in err
    assert run(*words, "--quiet") == (0, out, "")
    assert run(*words, "-q") == (0, out, "")


def test_predict_loads_no_peft(tuned: Path) -> None:
    code = (
        "import sys\n"
        "from gsa.cli import main as cli\n"
        f"sys.argv = ['gsa', 'predict', 'sentiment', 'It was fine.', '--model', {str(tuned)!r}]\n"
        "try: cli.main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "assert 'torch' in sys.modules\n"
        "assert 'peft' not in sys.modules, 'slow to import, and for tuning and export alone'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_export_from_the_shell(run, tuned: Path, tmp_path: Path) -> None:
    code, out, _ = run("export", tuned, "--format", "adapter", "--out", tmp_path / "adapter", "--level", 2)
    assert code == 0
    assert "adapter_model.safetensors" in out
    assert run("export", tuned, "--format", "zip", "--out", tmp_path / "zip")[0] == 2


def test_a_reader_that_has_enough_is_no_error() -> None:
    """As in `gsa predict ... | head`."""
    code = (
        "import sys\n"
        "from gsa.cli import main as cli\n"
        "@cli.app.command()\n"
        "def flood():\n"
        "    sys.stdout.buffer.write(b'x' * 100_000)\n"
        "    sys.stdout.buffer.flush()\n"
        "sys.argv = ['gsa', 'flood']\n"
        "cli.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr is not None
    with process.stderr as err:
        assert err.read() == b""


def test_plan_needs_no_weights(run, recipe_file: Path) -> None:
    code, out, _ = run("tune", recipe_file, "--plan")
    assert code == 0
    assert "tokens shared" in out


def test_a_gpu_is_planned_for_and_not_tuned_on(run, recipe_file: Path, tmp_path: Path) -> None:
    code, _, err = run("tune", recipe_file, "--for", "h200", "--out", tmp_path / "run")
    assert (code, err) == (2, "gsa: --for 'h200': expected only with --plan\n")
    assert not (tmp_path / "run").exists()


def test_show_prints_what_the_model_reads(run, tiny_folder: Path) -> None:
    code, out, _ = run("show", "meld", "--index", 1, "--backbone", tiny_folder, "--layout", "paper",
                       "--context", "dialogue", "--max-tokens", 4000)  # fmt: skip
    assert code == 0
    assert "Consider both the semantic information of the target utterance itself" in out
    assert "Labels: neutral, joy, surprise, anger, sadness, disgust, fear" in out
    assert "tokens before the answer, 3 to 8 in it" in out
    code, out, _ = run("show", "goemotions", "--backbone", tiny_folder)
    assert code == 0
    assert "Emotion: admiration =>" in out
    code, out, _ = run("show", "meld", "--index", 1, "--backbone", tiny_folder, "--max-tokens", 275)
    assert "1 turn left out for length" in out


def test_a_disk_that_fails_is_one_sentence(run, recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    code, _, err = run("tune", recipe_file, "--out", tmp_path / "file" / "run", "--quiet")
    assert code == 2
    assert err.count("\n") == 1
    assert "file" in err
    code, _, err = run("tune", tmp_path / "file" / "recipe.toml")
    assert code == 2
    assert "cannot be read" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tune", "nowhere.toml"], "recipe 'nowhere.toml' does not exist"),
        (["eval", "nowhere"], "run 'nowhere' does not exist"),
        (["eval", "gsa-135m", "--dataset", "mled"], "dataset 'mled' (did you mean 'meld'?): expected a name"),
        (["eval", "nowhere", "--split", "trian"], "run 'nowhere' does not exist"),
        (["show", "meldd"], "did you mean 'meld'"),
        (["show", "meld", "--split", "tset"], "--split 'tset': expected one of"),
        (["show", "meld", "--index", "999999"], "--index 999999: meld has"),
        (["show", "meld", "--layout", "inlin"], "name: input should be 'paper' or 'inline'"),
        (["show", "meld", "--context", "dialogue"], "layout 'inline' ends the prompt at the target"),
        (["data", "stats", "nothing"], "'nothing'"),
        (["predict", "sentiment", "nowhere.csv"], "'nowhere.csv': expected a file, found none"),
        (["predict", "sentiment", "text", "--precision", "bfloat61"], "'bfloat61': expected one of auto"),
        (["serve", "--port", "0", "--precision", "bfloat16"], "cpu has no bfloat16 products"),
        (["tune", str(DEMO), "--precision", "int4"], "backbone.precision: input should be 'float32', 'bfl"),
        (["predict", "sentiment", "text", "--model", "nowhere"], "backbone 'nowhere' cannot be loaded"),
        (["export", "nowhere", "--format", "merged", "--out", "x"], "run 'nowhere' does not exist"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(run, words: list[str], says: str) -> None:
    code, out, err = run(*words)
    assert code == 2
    assert says in err
    assert err.startswith("gsa: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err + out


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_any_command_with_a_sentence(
    run, monkeypatch: pytest.MonkeyPatch, signum: int, code: int
) -> None:
    monkeypatch.setattr(cli, "app", lambda: signal.raise_signal(signum))
    found, _, err = run("eval", "x")
    assert found == code
    assert err == f"gsa: stopped by {signal.Signals(signum).name}\n"


@pytest.mark.parametrize(
    "words",
    [("predict", "sentiment", "Fine."), ("eval",), ("serve", "--port", "0")],
    ids=lambda each: each[0],
)
def test_a_device_that_is_not_there_is_one_sentence(
    run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DEVICE", "")
    code, _, err = run(*words, "--device", "gpu")
    assert code == 2
    assert err.endswith("gsa: device 'gpu': expected cpu, cuda or cuda:N\n")
