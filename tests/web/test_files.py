"""A file through the queue: labels and rejects as the command line writes them, room for others, stops."""

import asyncio
import csv
import gzip
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gsa.data.task import EMOTIONS, SENTIMENT
from gsa.data.types import Example
from gsa.datasets.records import Columns, ReadOptions
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue, example
from gsa.prediction.job import JobConfig, LabelJob, label_file
from gsa.prediction.parts import RowCounts
from gsa.progress import Progress
from gsa.serving.limits import Limits
from gsa.serving.scheduler import QueryGroup, Request, Scheduler, SchedulerClosedError, predict_groups
from gsa.web import files
from gsa.web.files import FileProgress, FileRequest, label_upload, summary
from gsa.web.scheduler_client import CancelledLabellingError, FilePredictor
from serving import ControlledPredictor, until

ROWS = "id,text\n1,It was fine.\n2,\n3,Dreadful!\n4,too,many\n5,The lamp is on the table.\n"


def scheduler_of(predictor: ControlledPredictor, limits: Limits) -> Scheduler:
    return Scheduler(lambda groups: predict_groups(predictor, groups), limits)


@pytest.fixture
def scheduler(predictor: ControlledPredictor, limits: Limits) -> Iterator[Scheduler]:
    scheduler = scheduler_of(predictor, limits)
    scheduler.start()
    yield scheduler
    predictor.go.set()
    scheduler.close()
    assert scheduler.join(10)


def run(
    request: FileRequest, scheduler: Scheduler, folder: Path, look: Any = lambda progress: None
) -> list[FileProgress]:
    """Label a file, and look at each FileProgress while its files are there."""

    async def collect() -> list[FileProgress]:
        found = []
        async for progress in label_upload(request, scheduler, Limits(), "me", folder):
            look(progress)
            found.append(progress)
        return found

    return asyncio.run(collect())


def test_the_rows_are_those_of_the_command_line(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path
) -> None:
    source = tmp_path / "reviews.csv"
    source.write_text(ROWS)
    task = predictor.task("sentiment")
    (tmp_path / "page").mkdir()
    shown: dict[str, str] = {}

    def look(progress: FileProgress) -> None:
        if progress.count:
            shown["output"] = progress.output.read_text()
            shown["rejects"] = progress.rejects.read_text()
            assert progress.output.name == "reviews.labelled.csv"

    end = run(FileRequest(source, task), scheduler, tmp_path / "page", look)[-1]
    expected = tmp_path / "expected.csv"
    config = JobConfig(source, ReadOptions("csv"), task, "csv")
    work = LabelJob(config, predictor._predictor.predict, Progress("", disable=True))
    label_file(work, expected)
    assert shown["output"].splitlines()[0] == expected.read_text().splitlines()[0]
    assert [row["predicted"] for row in csv.DictReader(shown["output"].splitlines())] == [
        row["predicted"] for row in csv.DictReader(expected.read_text().splitlines())
    ]
    assert [json.loads(row)["row"] for row in shown["rejects"].splitlines()] == [3, 5]
    assert end.message.startswith(
        "3 rows labelled, 2 rejected. The first of them: row 3: 'text': expected a text"
    )
    assert list((tmp_path / "page").iterdir()) == [], "nothing is left"


def test_none_rejected_has_no_file_of_rejects(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path
) -> None:
    source = tmp_path / "talk.jsonl"
    source.write_text(json.dumps({"turns": [{"text": "Oh no."}, {"text": "Yes."}]}))
    end = run(FileRequest(source, predictor.task("emotion"), output_format="parquet"), scheduler, tmp_path)[
        -1
    ]
    assert end.output.suffix == ".parquet"
    assert end.rejects is None
    assert re.fullmatch(r"2 rows labelled, none rejected\. Labels: \w+ \d(, \w+ \d)?\.", end.message)


def test_files_that_are_only_read_come_back_as_csv(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path
) -> None:
    (tmp_path / "b.txt").write_text("fine\nbad\n")
    (tmp_path / "page").mkdir()
    end = run(FileRequest(tmp_path / "b.txt", predictor.task("sentiment")), scheduler, tmp_path / "page")[-1]
    assert end.output.suffix == ".csv"
    assert end.message.startswith("2 rows labelled, none rejected.")


@pytest.mark.parametrize("name", ["c.csv.gz", "c.csv"])
def test_a_compressed_file_is_refused_whatever_its_suffix(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"text\nfine\n" + b"\n" * 100_000))
    with pytest.raises(InputError, match=rf"^{name}: expected a file that is not compressed, found gzip"):
        run(FileRequest(tmp_path / name, predictor.task("sentiment")), scheduler, tmp_path)


def test_a_small_file_does_not_become_a_large_one(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.jsonl"
    wide = {"text": "a", **{f"k{i}": 1 for i in range(1000)}}
    source.write_text(json.dumps(wide) + "\n" + '{"text": "b"}\n' * 300)
    monkeypatch.setattr(files, "STORAGE_PART", Limits().storage // 100_000)
    (tmp_path / "page").mkdir()
    closed, close = [], LabelJob.close
    monkeypatch.setattr(LabelJob, "close", lambda job: closed.append(close(job)))
    request = FileRequest(source, predictor.task("sentiment"), output_format="csv")
    with pytest.raises(InputError, match=r"the output is larger than 100,0\d\d bytes: expected a small"):
        run(request, scheduler, tmp_path / "page")
    assert list((tmp_path / "page").iterdir()) == []
    assert closed == [None], "the input, which was not read to its end"


def test_rejected_rows_alone_can_be_stopped(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(CancelledLabellingError):
        FilePredictor(scheduler, limits, "me", stopped).predict([], SENTIMENT)


@pytest.mark.parametrize(
    ("name", "content", "columns", "says"),
    [
        ("a.csv", "words\nhello\n", Columns(), "a.csv: found no column 'text': expected 'Text column' to be"),
        ("a.csv", "text\nhello\n", Columns(speaker="who"), "expected 'Speaker column' to be one of text"),
        ("a.csv", "text\nhello\n", Columns(dialogue="d"), "expected 'Conversation column' to be one of text"),
        ("a.csv", "", Columns(), "a.csv: expected a header and rows, found an empty file"),
        ("a.csv", "text,predicted\na,b\n", Columns(), "a column 'predicted' already: expected it under"),
        ("a.parquet", "no", Columns(), "a.parquet: expected a Parquet file, found an error"),
        ("a.xlsx", "no", Columns(), "a.xlsx: expected a file that is not of Excel: save the sheet as CSV"),
        ("a.md", "no", Columns(), "'a.md': expected one of csv, tsv, jsonl, parquet, xlsx, txt, chat, found"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_without_the_servers_paths(
    scheduler: Scheduler,
    predictor: ControlledPredictor,
    tmp_path: Path,
    name: str,
    content: str,
    columns: Columns,
    says: str,
) -> None:
    source = tmp_path / name
    source.write_text(content)
    with pytest.raises(InputError) as caught:
        run(FileRequest(source, predictor.task("sentiment"), columns), scheduler, tmp_path)
    assert says in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def examples(count: int) -> list[Example]:
    return [example(SENTIMENT, dialogue(f"Text {i}.")) for i in range(count)]


def request_of(count: int, client: str) -> Request:
    return Request([QueryGroup(SENTIMENT, [one]) for one in examples(count)], client)


def file_predictor(scheduler: Scheduler, limits: Limits) -> FilePredictor:
    return FilePredictor(scheduler, limits, "me", threading.Event())


def test_a_file_waits_for_room_and_leaves_some(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    rows, progress = examples(60), []
    predictions = file_predictor(scheduler, limits).predict(rows, SENTIMENT, progress.append)
    expected = predictor._predictor.predict(rows, SENTIMENT)
    assert [prediction.label for prediction in predictions] == [prediction.label for prediction in expected]
    assert progress == [16, 32, 48, 60], "half a batch at a time"
    assert max(map(len, predictor.calls)) <= 16


def test_a_file_of_several_labels_a_row_leaves_as_much_room(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    task = replace(EMOTIONS, labels=EMOTIONS.labels[:4])
    file_predictor(scheduler, limits).predict(examples(10), task)
    assert [len(call) for call in predictor.calls] == [4, 4, 2], "16 queries, half a batch, at a time"


def test_a_file_waits_while_the_queue_is_full(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    predictor.go.clear()
    scheduler.submit(request_of(3, "a"))
    until(lambda: predictor.calls)
    scheduler.submit(request_of(40, "b"))
    with ThreadPoolExecutor(1) as pool:
        predictions = pool.submit(file_predictor(scheduler, limits).predict, examples(5), SENTIMENT)
        assert not wait([predictions], 0.5).done
        predictor.go.set()
        assert len(predictions.result(20)) == 5


def test_a_text_beyond_all_limits_needs_no_empty_queue(predictor: ControlledPredictor) -> None:
    scheduler = scheduler_of(predictor, limits := Limits(waiting_bytes=20_000))
    scheduler.start()
    predictor.go.clear()
    for number in range(2):
        scheduler.submit(request_of(1, "other"))
        until(lambda: predictor.calls)
        assert scheduler.waiting == number
    long = example(SENTIMENT, dialogue("It was fine. " * 5000))
    with ThreadPoolExecutor(1) as pool:
        predictions = pool.submit(file_predictor(scheduler, limits).predict, [long], SENTIMENT)
        until(lambda: scheduler.waiting == 2)
        predictor.go.set()
        assert len(predictions.result(20)) == 1
    scheduler.close()
    assert scheduler.join(10)


def test_a_stop_drops_what_waits_and_leaves_nothing(
    scheduler: Scheduler, predictor: ControlledPredictor, tmp_path: Path
) -> None:
    source = tmp_path / "many.csv"
    source.write_text("text\n" + "It was fine.\n" * 200)
    page = tmp_path / "page"
    page.mkdir()
    predictor.go.clear()

    async def begin_and_stop() -> None:
        request = FileRequest(source, SENTIMENT)
        labelling = label_upload(request, scheduler, Limits(batch=8), "me", page)
        assert (await anext(labelling)).count is None
        assert len(list(page.iterdir())) == 1
        await labelling.aclose()

    asyncio.run(begin_and_stop())
    assert list(page.iterdir()) == []
    predictor.go.set()
    until(lambda: scheduler.waiting == 0)
    assert sum(map(len, predictor.calls)) <= 4


def test_a_stop_while_it_waits_for_room(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    predictor.go.clear()
    scheduler.submit(request_of(3, "a"))
    until(lambda: predictor.calls)
    scheduler.submit(request_of(40, "b"))
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CancelledLabellingError):
        FilePredictor(scheduler, limits, "me", cancelled).predict(examples(5), SENTIMENT)


def test_the_end_of_the_server_ends_it(predictor: ControlledPredictor, tmp_path: Path) -> None:
    scheduler = scheduler_of(predictor, Limits())
    scheduler.start()
    scheduler.close()
    source = tmp_path / "a.csv"
    source.write_text(ROWS)
    with pytest.raises(SchedulerClosedError):
        run(FileRequest(source, predictor.task("sentiment")), scheduler, tmp_path)


def test_a_failure_of_the_model_is_passed_on(
    scheduler: Scheduler, predictor: ControlledPredictor, limits: Limits
) -> None:
    def fail(examples: Any) -> None:
        raise TimeoutError("the model's own")

    predictor.before = fail
    with pytest.raises(TimeoutError, match="the model's own"):
        file_predictor(scheduler, limits).predict(examples(2), SENTIMENT)


def test_one_row_is_one_row() -> None:
    counts = RowCounts(3, labels={"negative": 1, "positive": 2})
    assert summary(counts) == "3 rows labelled, none rejected. Labels: positive 2, negative 1."
    assert summary(RowCounts(1)) == "1 row labelled, none rejected."
    assert summary(RowCounts(1, blank_lines=2)) == "1 row labelled, 2 blank lines skipped, none rejected."
    assert (
        summary(RowCounts(0, 1, "row 2: odd"))
        == "0 rows labelled, 1 rejected. The first of them: row 2: odd."
    )
