"""A file through the line: labels and rejects as the command line writes them, room for others, stops."""

import asyncio
import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gsa.errors import InputError
from gsa.prediction.inputs import dialogue
from gsa.prediction.job import Job, Labelling, label_file
from gsa.prediction.meter import Meter
from gsa.prediction.rows import Columns
from gsa.serving import scheduler as line
from gsa.serving.limits import Limits
from gsa.serving.scheduler import ClosedError, Worker
from gsa.web.files import Order, Progress, labelled, said
from gsa.web.scheduler_client import FilePredict, GivenUpError
from serving import Held, until

ROWS = "id,text\n1,It was fine.\n2,\n3,Dreadful!\n4,too,many\n5,The lamp is on the table.\n"


@pytest.fixture
def worker(predictor: Held, limits: Limits) -> Iterator[Worker]:
    worker = Worker(predictor.predict, limits)
    worker.start()
    yield worker
    predictor.go.set()
    worker.close()
    assert worker.join(10)


def run(order: Order, worker: Worker, folder: Path, look: Any = lambda progress: None) -> list[Progress]:
    """Label a file, and look at each Progress while its files are there."""

    async def collect() -> list[Progress]:
        found = []
        async for progress in labelled(order, worker, Limits(), "me", folder):
            look(progress)
            found.append(progress)
        return found

    return asyncio.run(collect())


def test_the_rows_are_those_of_the_command_line(worker: Worker, predictor: Held, tmp_path: Path) -> None:
    source = tmp_path / "reviews.csv"
    source.write_text(ROWS)
    task = predictor.task("sentiment")
    (tmp_path / "page").mkdir()
    shown: dict[str, str] = {}

    def look(progress: Progress) -> None:
        if progress.count:
            shown["output"] = progress.output.read_text()
            shown["rejects"] = progress.rejects.read_text()
            assert progress.output.name == "reviews.labelled.csv"

    end = run(Order(source, task), worker, tmp_path / "page", look)[-1]
    expected = tmp_path / "expected.csv"
    work = Labelling(Job(source, "csv", task), predictor._predictor.predict, Meter("", print), "csv")
    label_file(work, expected)
    assert shown["output"].splitlines()[0] == expected.read_text().splitlines()[0]
    assert [row["predicted"] for row in csv.DictReader(shown["output"].splitlines())] == [
        row["predicted"] for row in csv.DictReader(expected.read_text().splitlines())
    ]
    assert [json.loads(row)["row"] for row in shown["rejects"].splitlines()] == [3, 5]
    assert end.said.startswith(
        "3 rows labelled, 2 rejected. The first of them: row 3: 'text': expected a text"
    )
    assert list((tmp_path / "page").iterdir()) == [], "nothing is left"


def test_none_rejected_has_no_file_of_rejects(worker: Worker, predictor: Held, tmp_path: Path) -> None:
    source = tmp_path / "talk.jsonl"
    source.write_text(json.dumps({"turns": [{"text": "Oh no."}, {"text": "Yes."}]}))
    end = run(Order(source, predictor.task("emotion"), kind="parquet"), worker, tmp_path)[-1]
    assert end.output.suffix == ".parquet"
    assert end.rejects is None
    assert end.said == "2 rows labelled, none rejected."


@pytest.mark.parametrize(
    ("name", "content", "columns", "says"),
    [
        ("a.csv", "words\nhello\n", Columns(), "a.csv: found no column 'text': expected 'Text column' to be"),
        ("a.csv", "text\nhello\n", Columns(speaker="who"), "expected 'Speaker column' to be one of text"),
        ("a.csv", "text\nhello\n", Columns(dialogue="d"), "expected 'Conversation column' to be one of text"),
        ("a.csv", "", Columns(), "a.csv: expected a header and rows, found an empty file"),
        ("a.csv", "text,predicted\na,b\n", Columns(), "a column 'predicted' already: expected it under"),
        ("a.parquet", "no", Columns(), "a.parquet: expected a Parquet file, found an error"),
        ("a.xlsx", "no", Columns(), "'a.xlsx': expected one of csv, tsv, jsonl, parquet, found 'xlsx'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_without_the_servers_paths(
    worker: Worker, predictor: Held, tmp_path: Path, name: str, content: str, columns: Columns, says: str
) -> None:
    source = tmp_path / name
    source.write_text(content)
    with pytest.raises(InputError) as caught:
        run(Order(source, predictor.task("sentiment"), columns), worker, tmp_path)
    assert says in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def asked(predictor: Held, count: int) -> list[Query]:
    task = predictor.task("sentiment")
    return [Query(task, dialogue(f"Text {i}.")) for i in range(count)]


def test_a_file_waits_for_room_and_leaves_some(worker: Worker, predictor: Held, limits: Limits) -> None:
    queries, progress = asked(predictor, 60), []
    predict = FilePredict(worker, limits, "me", threading.Event())
    found = predict(queries, progress.append)
    assert [each.label for each in found] == [each.label for each in predictor._predictor.predict(queries)]
    assert progress == [16, 32, 48, 60], "half a batch at a time"
    assert max(map(len, predictor.calls)) <= 16


def test_a_full_line_is_waited_for(worker: Worker, predictor: Held, limits: Limits) -> None:
    predictor.go.clear()
    worker.submit(line.Job([[query] for query in asked(predictor, 3)], "a"))
    until(lambda: predictor.calls)
    worker.submit(line.Job([[query] for query in asked(predictor, 40)], "b"))
    predict = FilePredict(worker, limits, "me", threading.Event())
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(predict(asked(predictor, 5))))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    predictor.go.set()
    thread.join(20)
    assert len(found) == 5


def test_a_text_beyond_all_limits_needs_no_empty_line(predictor: Held) -> None:
    worker = Worker(predictor.predict, limits := Limits(waiting_bytes=20_000))
    worker.start()
    predictor.go.clear()
    for number, query in enumerate(asked(predictor, 2)):
        worker.submit(line.Job([[query]], "other"))
        until(lambda: predictor.calls)
        assert worker.waiting == number
    query = Query(predictor.task("sentiment"), dialogue("It was fine. " * 5000))
    found: list[Any] = []
    predict = FilePredict(worker, limits, "me", threading.Event())
    thread = threading.Thread(target=lambda: found.extend(predict([query])))
    thread.start()
    until(lambda: worker.waiting == 2)
    predictor.go.set()
    thread.join(20)
    assert len(found) == 1
    worker.close()
    assert worker.join(10)


def test_a_stop_drops_what_waits_and_leaves_nothing(worker: Worker, predictor: Held, tmp_path: Path) -> None:
    source = tmp_path / "many.csv"
    source.write_text("text\n" + "It was fine.\n" * 200)
    page = tmp_path / "page"
    page.mkdir()
    predictor.go.clear()

    async def begin_and_stop() -> None:
        doing = labelled(Order(source, predictor.task("sentiment")), worker, Limits(batch=8), "me", page)
        assert (await anext(doing)).count is None
        assert len(list(page.iterdir())) == 1
        await doing.aclose()

    asyncio.run(begin_and_stop())
    assert list(page.iterdir()) == []
    predictor.go.set()
    until(lambda: worker.waiting == 0)
    assert sum(map(len, predictor.calls)) <= 4


def test_a_stop_while_it_waits_for_room(worker: Worker, predictor: Held, limits: Limits) -> None:
    predictor.go.clear()
    worker.submit(line.Job([[query] for query in asked(predictor, 3)], "a"))
    until(lambda: predictor.calls)
    worker.submit(line.Job([[query] for query in asked(predictor, 40)], "b"))
    gone = threading.Event()
    gone.set()
    with pytest.raises(GivenUpError):
        FilePredict(worker, limits, "me", gone)(asked(predictor, 5))


def test_the_end_of_the_server_ends_it(predictor: Held, tmp_path: Path) -> None:
    worker = Worker(predictor.predict, Limits())
    worker.start()
    worker.close()
    source = tmp_path / "a.csv"
    source.write_text(ROWS)
    with pytest.raises(ClosedError):
        run(Order(source, predictor.task("sentiment")), worker, tmp_path)


def test_a_failure_of_the_model_is_passed_on(worker: Worker, predictor: Held, limits: Limits) -> None:
    def fail(queries: Any) -> None:
        raise TimeoutError("the model's own")

    predictor.before = fail
    with pytest.raises(TimeoutError, match="the model's own"):
        FilePredict(worker, limits, "me", threading.Event())(asked(predictor, 2))


def test_one_row_is_one_row() -> None:
    from gsa.prediction.job import Count

    assert said(Count(1)) == "1 row labelled, none rejected."
    assert said(Count(0, 1, "row 2: odd")) == "0 rows labelled, 1 rejected. The first of them: row 2: odd."
