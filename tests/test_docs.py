"""Each command of README and docs runs, each recipe in them is valid, each link leads somewhere."""

import contextlib
import json
import logging
import re
import shlex
import shutil
import statistics
import sys
import threading
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest
from gradient_similarity import rows as similarity
from outcomes import read_outcomes
from tiny import tiny_bert

from gsa.chain import run_folder
from gsa.cli import main as cli
from gsa.cli.probe import table as probe_table
from gsa.datasets.catalogue import get
from gsa.evaluation.behaviour import failure_rates, read_cases
from gsa.evaluation.results import read as read_results
from gsa.experiments import embeddings
from gsa.model import smollm2
from gsa.recipes.loader import load_recipe, resolve
from gsa.recipes.schema import Recipe
from gsa.serving.limits import Limits
from gsa.serving.shutdown import Server
from serving import until

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def files() -> dict[str, str]:
    """Return the files that pages show, by the name beside the block's kind."""
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    return dict(pair for page in pages for pair in re.findall(r"```\w+ (\S+)\n(.*?)```", page, re.S))


def steps() -> tuple[list[str], dict[str, list[str]]]:
    """Return the commands and the Python blocks of all pages in their order, and servers with their requests.

    What several pages show is run once: a server has the requests of all pages that start it.
    """
    commands: list[str] = []
    requests: dict[str, list[str]] = {}
    for page in PAGES:
        server = ""
        for kind, block in re.findall(r"```(bash|python)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            lines = [
                line.split("  #")[0].strip() for line in block.splitlines() if re.match("gsa |curl ", line)
            ]
            for step in lines if kind == "bash" else [block]:
                if step.startswith("gsa serve"):
                    server = step
                    requests.setdefault(server, [])
                else:
                    (requests[server] if step.startswith("curl ") else commands).append(step)
    return list(dict.fromkeys(commands)), {step: list(dict.fromkeys(of)) for step, of in requests.items()}


def take(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command, its input from a file if it says so, or a Python block."""
    if not step.startswith("gsa "):
        exec(compile(step, "page", "exec"), {})
        return
    command, _, source = step.partition(" < ")
    monkeypatch.setattr("sys.argv", shlex.split(command))
    with contextlib.ExitStack() as stack, contextlib.suppress(SystemExit):
        if source:
            monkeypatch.setattr("sys.stdin", stack.enter_context(open(source)))
        cli.main()


@contextlib.contextmanager
def served(step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """Run a `gsa serve` at a free port, in a thread; yields its address."""
    servers: list[Server] = []
    run = Server.run
    monkeypatch.setattr(Server, "run", lambda self, sockets: (servers.append(self), run(self, sockets)))
    thread = threading.Thread(target=take, args=(f"{step} --port 0", monkeypatch))
    thread.start()
    said = ""

    def listens() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return " at http" in said

    until(listens, 60)
    try:
        yield said.split(" at ")[1].split()[0]
    finally:
        servers[0].should_exit = True
        thread.join(30)
        monkeypatch.setattr(Server, "run", run)
        for name in ("gsa.serving", "uvicorn"):
            logging.getLogger(name).handlers = []


def fetch(step: str, address: str) -> httpx2.Response:
    """Do what a curl command does, at another address."""
    words = shlex.split(step)
    url = words[-1].replace("http://127.0.0.1:8000", address)
    if "--json" not in words:
        return httpx2.get(url, timeout=60)
    kind = {"content-type": "application/json"}
    return httpx2.post(url, content=words[words.index("--json") + 1], headers=kind, timeout=60)


def test_the_commands_of_the_pages_run_in_their_order(
    tiny_folder: Path,
    tuned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With tiny models in the default backbone's and the shipped one's place, and invented files of data."""
    shipped = Path(shutil.copytree(tuned, tmp_path / "shipped"))
    (shipped / "README.md").write_text("its card")
    monkeypatch.setattr(run_folder, "SHIPPED", shipped)
    monkeypatch.setattr(smollm2, "folder", lambda weights=True: tiny_folder)
    monkeypatch.setattr(embeddings, "model_folder", lambda: tiny_bert(tmp_path / "bert"))
    monkeypatch.setenv("GSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GSA_DATA", str(ROOT / "tests" / "datasets" / "fixtures"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    for name, content in files().items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    commands, servers = steps()
    assert len(commands) >= 18
    assert sum(not step.startswith("gsa ") for step in commands) >= 2
    assert sum(map(len, servers.values())) >= 4
    for step in commands:
        with monkeypatch.context() as patch:
            if step.startswith("gsa report results/"):  # figures take seconds, and those of a run were drawn
                patch.setitem(sys.modules, "matplotlib.figure", None)
            take(step, patch)
        said = capsys.readouterr()
        assert said.out.strip(), f"{step}: {said.err}"
        assert "gsa: " not in said.err
    for step, requests in servers.items():
        with served(step, monkeypatch, capsys) as address:
            page = httpx2.get(f"{address}/", timeout=60)
            assert (page.status_code, "gsa" in page.text) == (200 if find_spec("gradio") else 404, True)
            for request in requests:
                answer = fetch(request, address)
                assert answer.status_code in (200, 422), f"{request}: {answer.text}"
                assert answer.json()


def test_make_has_the_targets_that_pages_name() -> None:
    rules = (ROOT / "Makefile").read_text()
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    named = {word for page in pages for word in re.findall(r"(?:^|`)make ([a-z]+)\b", page, re.M)}
    assert {"demo", "test", "check"} <= named
    for name in named:
        assert re.search(rf"^{name}:", rules, re.M), f"make {name}"
    assert "make check" in (ROOT / ".ci" / "run").read_text()


def test_recipes_in_the_pages_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they name a folder of the user's own, it has a text of each label."""
    monkeypatch.chdir(tmp_path)
    found = [tomllib.loads(block) for page in PAGES for block in blocks(page, "toml")]
    assert len(found) >= 2
    for document in found:
        for dataset in (dataset for level in document["levels"] for dataset in level["datasets"]):
            if "path" in dataset:
                Path(dataset["path"]).mkdir(parents=True, exist_ok=True)
                rows = [json.dumps({"text": label, "label": label}) for label in dataset["labels"]]
                (Path(dataset["path"]) / "train.jsonl").write_text("\n".join(rows))
        resolve(document, "page")


def test_json_in_the_pages_is_json() -> None:
    lines = [line for page in PAGES for block in blocks(page, "json") for line in block.splitlines()]
    assert len(lines) >= 2
    assert all(json.loads(line) for line in lines)


def test_links_in_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_recipe_key_is_documented() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for name, field in Recipe.model_fields.items():
        part = field.annotation
        keys = getattr(part, "model_fields", {})
        assert f"`{name}" in text
        for key in keys:
            assert f"{name}.{key}`" in text or f"`{key}`" in text, f"{name}.{key}"


def test_the_readmes_scores_are_those_of_the_rows_on_disk() -> None:
    folder = ROOT / "results" / "quick"
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    found = {(row["dataset"], row["level"]): row for row in rows if row["metric"] == "weighted_f1"}
    names = {"SST-2": "sst2", "MOSI": "mosi", "MELD": "meld", "EmoryNLP": "emorynlp", "MUStARD": "mustard"}
    names["MUStARD++"] = "mustardpp"
    table = re.findall(r"^\| ([\w+-]+)[^|]*\| ([\d,]+) \|(.*)\|$", (ROOT / "README.md").read_text(), re.M)
    assert [name for name, _, _ in table] == list(names)
    for name, n, cells in table:
        said = [float(cell.strip(" *")) for cell in cells.split("|")]
        mine = [found[names[name], level] for level in (-1, 0, 3)]
        assert said == [round(row["value"], 1) for row in mine], name
        assert {row["n"] for row in mine} == {int(n.replace(",", ""))}
        assert max(said) == said[2], "the final model beats majority and the untuned model"


def test_the_cosines_of_the_report_are_those_of_the_rows_on_disk() -> None:
    rows = similarity.read(ROOT / "results" / "gsa-135m")
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    levels = {"SA": ("sst2", "mosi", "mosei"), "ERC": ("meld", "emorynlp"), "SD": ("mustard", "mustardpp")}
    level_of = {dataset: level for level, datasets in levels.items() for dataset in datasets}
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if (row.kind, row.level, row.measure) == ("gradient", 0, "corrected") and row.value is not None:
            pair = " with ".join(dict.fromkeys((level_of[row.first], level_of[row.second])))
            found.setdefault((pair, row.loss, row.part), []).append(row.value)
    columns = [
        ("recipe", "gold"),
        *((loss, part) for loss in ("answer", "labels") for part in ("gold", "shuffled")),
    ]
    table = re.findall(r"^\| ((?:SA|ERC|SD)(?: with \w+)?) \|(.*)\|$", page, re.M)
    assert len(table) == 6
    for pair, cells in table:
        for (loss, part), cell in zip(columns, cells.split("|"), strict=True):
            values = sorted(found[pair, loss, part])
            ends = dict.fromkeys(f"{value:.2f}" for value in (values[0], values[-1]))
            assert cell.strip() == " to ".join(ends), (pair, loss, part)


def test_the_failure_rates_of_the_report_are_those_of_the_outcomes_on_disk() -> None:
    cases = read_cases()
    tables = []
    for run in ("gsa-135m", "gsa-135m-generic"):
        outcomes = read_outcomes(ROOT / "results" / run / "behaviour.jsonl", cases)
        header, *rows = probe_table(failure_rates(outcomes))
        columns = [header.index(name) for name in ("development", "held-out", "all")]
        tables.append({row[0]: [row[1], *(row[column] for column in columns)] for row in rows})
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    section = page.split("## Behavioural tests")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"
    ]
    before, after = tables
    assert rows[2:] == [[kind, *before[kind], *after[kind][1:]] for kind in before]


def test_the_counts_of_reliability_are_those_on_disk() -> None:
    rows = json.loads((ROOT / "results" / "torture.json").read_text())
    assert not [row for row in rows if row["outcome"] == "FAILED"]
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|]+?) \| ([\d,]+) \| (?:[^|]+?) \|$", page, re.M)
    assert len(table) >= 8
    for name, count in table:
        mine = [row["count"] for row in rows if row["case"].endswith(name.removeprefix("a file damaged"))]
        assert sum(mine) == int(count.replace(",", "")), name
    assert sum(int(count.replace(",", "")) for _, count in table) == sum(row["count"] for row in rows)


def test_no_page_is_unfinished() -> None:
    for page in PAGES:
        assert not re.search(
            r"\b[A-Z]+_(?:TEXT|OUTPUT|TIME|FLAT|TOKENS)\b|TODO", page.read_text(encoding="utf-8")
        )


def test_every_limit_of_the_server_is_documented() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.M))
    assert table == {name: str(int(value)) for name, value in vars(Limits()).items()}


def test_the_counts_of_overlaps_are_those_on_disk() -> None:
    found = json.loads((ROOT / "results" / "overlaps.json").read_text())
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\w+) \| (\w+) \| (\d+) of [\d,]+ \|$", page, re.M)
    assert len(table) == 6
    for tested, trained, count in table:
        assert len(found[tested][trained]) == int(count)


def table_rows(head: str) -> list[list[str]]:
    """Return the cells of each row of the table of docs/experiments.md whose first line begins so."""
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    lines = page.split(head)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_figures_of_small_arms_are_those_of_the_rows() -> None:
    """The table of appended and widened levels in docs/experiments.md, and its means."""
    table = table_rows("| dev set | n | metric | appended | widened |")
    arms, rows = ("appended", "widened", "appended-mlp"), {}
    for arm in arms:
        results = read_results(ROOT / "results" / "widened" / f"{arm}-s0")
        last = max(row.level for row in results)
        rows |= {(arm, row.dataset, row.metric): row for row in results if row.level == last}
    said: dict[str, list[float]] = {arm: [] for arm in arms}
    for dataset, n, _, *values in table:
        for arm, value in zip(arms, values, strict=True):
            row = rows[arm, dataset, get(dataset).metrics[0]]
            assert (f"{row.value:.1f}", f"{row.n:,}") == (value, n), (dataset, arm)
            said[arm].append(float(value))
    means = [[f"{sum(said[arm][:n]) / n:.1f}" for arm in arms] for n in (18, 16)]
    assert means == [["62.4", "64.2", "63.0"], ["64.0", "64.1", "64.8"]]
    assert len(said["appended"]) == len({dataset for _, dataset, _ in rows}) == 18


def test_the_figures_of_folded_case_are_those_of_the_rows() -> None:
    """The table of dev sets in docs/experiments.md, column by column, and the mean over natural texts."""
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    table = table_rows("| dev set | n | metric | without folding |")
    folders = ("shipped", "folded", "untrained", "seed-0", "seed-1", "mean")
    folded = load_recipe(ROOT / "results" / "uncased" / "test-seed-0" / "recipe.toml").layout_at().fold_case
    assert folded == "all", "the recipes beside the rows can be tuned"
    rows = {}
    for folder in folders:
        for row in read_results(ROOT / "results" / "uncased" / f"dev-{folder}"):
            if row.level == 5:
                rows[folder, row.dataset, row.metric] = row
    said: dict[str, list[float]] = {folder: [] for folder in folders}
    for dataset, n, _, *values in table:
        metric = get(dataset).metrics[0]
        for folder, value in zip(folders, values, strict=True):
            row = rows[folder, dataset, metric]
            assert (f"{row.value:.1f}", f"{row.n:,}") == (value, n), (dataset, folder)
            said[folder].append(float(value))
    means = [f"{sum(said[folder][:14]) / 14:.1f}" for folder in folders if folder != "untrained"]
    assert means == ["68.3", "68.6", "67.6", "67.6", "67.8"]
    assert "first 14 rows is 68.6, of the shipped link as it was 68.3, of lower case 67.6" in page


def test_the_figures_of_the_second_seed_are_those_of_the_rows() -> None:
    """The table of seeds in docs/experiments.md, column by column, and its means."""
    table = table_rows("| dev set | n | metric | seed 0 (shipped) | seed 1 |")
    folders = ("uncased/dev-folded", "seeds/dev-seed-1", "seeds/dev-mean")
    rows = {
        (folder, row.dataset, row.metric): row
        for folder in folders
        for row in read_results(ROOT / "results" / folder)
        if row.level == 5
    }
    said: dict[str, list[float]] = {folder: [] for folder in folders}
    for dataset, n, _, *values in table:
        for folder, value in zip(folders, values, strict=True):
            row = rows[folder, dataset, get(dataset).metrics[0]]
            assert (f"{row.value:.1f}", f"{row.n:,}") == (value, n), (dataset, folder)
            said[folder].append(float(value))
    means = [[f"{sum(said[folder][:n]) / n:.1f}" for folder in folders] for n in (14, 21)]
    assert means == [["68.6", "67.9", "67.8"], ["74.8", "74.9", "74.3"]]
    tests = table_rows("| test set | n | metric | seed 0 (shipped) | seed 1 |")
    tested = {
        (folder, row.dataset, row.metric): f"{row.value:.1f}"
        for folder in ("gsa-135m-generic", "seeds/test-seed-1")
        for row in read_results(ROOT / "results" / folder)
        if (row.level, row.split) == (5, "test")
    }
    for dataset, _, _, *values in tests:
        metric = get(dataset).metrics[0]
        assert values == [
            tested["gsa-135m-generic", dataset, metric],
            tested["seeds/test-seed-1", dataset, metric],
        ]


def test_the_figures_of_few_examples_with_the_label_loss_are_those_of_the_rows() -> None:
    """The means and standard deviations over three seeds in docs/study.md."""
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    scores: dict[str, list[float]] = {"hate": [], "emoji": []}
    for folder in sorted((ROOT / "results" / "few-shot-labels").iterdir()):
        (score,) = [
            row.value
            for row in read_results(folder)
            if (row.level, row.metric, row.n) == (1, "macro_f1", 1000)
        ]
        scores[folder.name.split("-")[3]].append(score)
    assert [len(values) for values in scores.values()] == [3, 3]
    said = [f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}" for values in scores.values()]
    assert f"| the same, loss over the label list | {' | '.join(said)} |" in page
