"""Who is served when: turns between clients and requests, one call for many, and nobody harmed by another."""

import threading
import time
from collections.abc import Sequence

import pytest

from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Prediction, Utterance
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue
from gsa.serving.limits import Limits
from gsa.serving.scheduler import READ, ClosedError, FullError, Job, Line, Worker, size_of


def job(*texts: str, client: str = "a") -> Job:
    return Job([[Query(SENTIMENT, dialogue(text))] for text in texts], client)


def said(batch: Sequence[tuple[Job, Sequence[Query]]]) -> str:
    return " ".join(portion[0].dialogue.turns[0].text for _, portion in batch)


class Model:
    """Answers with the text itself; may be held up, and fails on texts that say so."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go, self.busy = threading.Event(), threading.Event()

    def __call__(self, queries: Sequence[Query]) -> list[Prediction]:
        self.calls.append(len(queries))
        self.busy.set()
        assert self.go.wait(10)
        texts = [query.dialogue.turns[query.target].text for query in queries]
        if "input" in texts:
            raise InputError("this input")
        if "fail" in texts:
            raise RuntimeError("broken")
        return [Prediction(text, {text: 1.0}) for text in texts]


@pytest.fixture
def model() -> Model:
    return Model()


def working(model: Model, **limits: int) -> Worker:
    worker = Worker(model, Limits(**limits))
    worker.start()
    return worker


def test_clients_take_turns_and_so_do_their_jobs() -> None:
    line = Line()
    for each in (job("a1", "a2", "a3"), job("A1"), job("b1", "b2", client="b"), job("c1", client="c")):
        line.add(each)
    assert (line.queries, len(line)) == (7, 4)
    assert said(line.take(5, 9999)) == "a1 b1 c1 A1 b2"
    assert said(line.take(5, 9999)) == "a2 a3"
    assert (line.queries, line.size, len(line)) == (0, 0, 0)


def test_a_batch_is_bounded_but_never_empty() -> None:
    talk = dialogue(["one", "two", "three"])
    long = Job([[Query(EMOTION, talk, turn) for turn in range(3)]], "a")
    line = Line()
    line.add(long)
    line.add(job("x", client="b"))
    assert [len(portion) for _, portion in line.take(2, 9999)] == [3]
    line.add(long := job("y" * 50, "z"))
    assert said(line.take(99, 10)) == "x"
    assert said(line.take(99, 10)) == "y" * 50
    assert line.size == size_of(long.portions[1]) == 1 + sum(len(label) + 1 for label in SENTIMENT.labels)
    assert size_of([]) == 0


def test_who_has_gone_is_left_out() -> None:
    line = Line()
    line.add(gone := job("a1", "a2"))
    line.add(job("b1", client="b"))
    gone.future.cancel()
    assert said(line.take(9, 9999)) == "b1"
    assert (line.queries, line.size, len(line)) == (0, 0, 0)


def test_what_waits_is_answered_in_one_call(model: Model) -> None:
    worker = working(model)
    first = job("first")
    worker.submit(first)
    assert model.busy.wait(5)
    others = [job(f"text {i}", f"more {i}", client=str(i)) for i in range(20)]
    for each in others:
        worker.submit(each)
    assert worker.waiting == 40
    model.go.set()
    for i, each in enumerate(others):
        found = each.future.result(5)
        assert [portion[0].label for portion in found] == [f"text {i}", f"more {i}"]
    assert model.calls == [1, 40]
    assert worker.waiting == 0


def test_a_failure_harms_nobody_else(model: Model) -> None:
    worker = working(model)
    worker.submit(job("first"))
    assert model.busy.wait(5)
    good, bad, broken = job("good", "fine"), job("input", client="b"), job("fail", "well", client="c")
    for each in (good, bad, broken):
        worker.submit(each)
    model.go.set()
    assert [portion[0].label for portion in good.future.result(5)] == ["good", "fine"]
    with pytest.raises(InputError, match="this input"):
        bad.future.result(5)
    with pytest.raises(RuntimeError, match="broken"):
        broken.future.result(5)
    worker.submit(after := job("after"))
    assert after.future.result(5)[0][0].label == "after"
    assert worker.alive


def test_a_job_that_failed_in_part_is_not_asked_again(model: Model) -> None:
    worker = working(model, batch=1)
    model.go.set()
    worker.submit(bad := job("fail", "never", "never"))
    with pytest.raises(RuntimeError):
        bad.future.result(5)
    worker.submit(after := job("after"))
    after.future.result(5)
    assert len(model.calls) == 2


def test_a_full_line_says_when_to_come_again(model: Model) -> None:
    worker = working(model, waiting=4)
    worker.submit(job("first"))
    assert model.busy.wait(5)
    worker.submit(job("1", "2", "3", client="b"))
    worker.submit(job("4", client="c"))
    with pytest.raises(FullError, match="another try in 1 s") as full:
        worker.submit(job("5", client="d"))
    assert full.value.seconds == 1
    model.go.set()
    worker.close()
    assert worker.join(5)


def test_one_client_leaves_room_for_others(model: Model) -> None:
    for limits, text in (({"waiting": 8}, "y"), ({"waiting_bytes": 8 * 60}, "y" * 30)):
        worker = working(model, **limits)
        model.busy.clear()
        worker.submit(job("first"))
        assert model.busy.wait(5)
        worker.submit(job(*[text] * 4))
        with pytest.raises(FullError):
            worker.submit(job(text))
        worker.submit(job(text, client="b"))
        model.go.set()
        worker.close()
        assert worker.join(5)
        model.go.clear()


def test_a_job_of_more_than_half_the_room_is_taken_where_its_client_has_none(model: Model) -> None:
    worker = working(model, waiting=8)
    worker.submit(job("first", client="b"))
    assert model.busy.wait(5)
    worker.submit(job("second", client="b"))
    worker.submit(large := job(*"123456"))
    model.go.set()
    assert len(large.future.result(5)) == 6


def test_what_a_client_has_waiting_is_forgotten_with_it() -> None:
    line = Line()
    line.add(job("a1", "a2"))
    line.add(gone := job("b1", client="b"))
    assert (line.of("a")[0], line.of("b")) == (2, (1, size_of(gone.portions[0])))
    gone.future.cancel()
    line.take(9, 9999)
    assert line.of("a") == line.of("b") == (0, 0)
    assert line._waits == {}


def test_sizes_are_bytes_that_the_model_may_read() -> None:
    labels = sum(len(label) + 1 for label in SENTIMENT.labels)
    for text, size in {"ab": 2, "字" * 10: 30, "\ud800": 3, "x" * 99_999: READ}.items():
        assert size_of([Query(SENTIMENT, dialogue("a"))]) == 1 + labels
        said = Dialogue("", (Utterance(text),))
        assert size_of([Query(SENTIMENT, said)]) == size + labels


def test_giving_up_ends_what_waits_and_what_the_model_has(model: Model) -> None:
    worker = working(model)
    worker.submit(has := job("first"))
    assert model.busy.wait(5)
    worker.submit(waits := job("second", "third", client="b"))
    worker.give_up()
    for each in (has, waits):
        with pytest.raises(ClosedError):
            each.future.result(0)
    with pytest.raises(ClosedError):
        worker.submit(job("late"))
    model.go.set()
    assert worker.join(5)
    assert model.calls == [1]


def test_closing_answers_what_waits(model: Model) -> None:
    worker = working(model)
    waiting = [job(f"{i}", client=str(i)) for i in range(5)]
    for each in waiting:
        worker.submit(each)
    assert model.busy.wait(5)
    worker.close()
    assert not worker.alive
    with pytest.raises(ClosedError):
        worker.submit(job("late"))
    assert not worker.join(0.01), "it still works"
    model.go.set()
    assert [each.future.result(5)[0][0].label for each in waiting] == ["0", "1", "2", "3", "4"]
    assert worker.join(5)


def test_a_client_that_leaves_blocks_nobody(model: Model) -> None:
    worker = working(model, batch=1)
    worker.submit(leaving := job(*"abcdefgh"))
    worker.submit(staying := job("stays", client="b"))
    assert model.busy.wait(5)
    leaving.future.cancel()
    model.go.set()
    assert staying.future.result(5)[0][0].label == "stays"
    worker.close()
    assert worker.join(5)
    assert len(model.calls) <= 2


def test_an_empty_job_is_done_at_once() -> None:
    worker = Worker(lambda queries: [], Limits())
    worker.submit(empty := Job([]))
    assert empty.future.result(0) == []
    assert worker.join(0.1), "it never started"


def test_the_pace_follows_the_model() -> None:
    told: list[tuple[int, float]] = []

    def slow(queries: Sequence[Query]) -> list[Prediction]:
        time.sleep(0.02)
        return [Prediction("x", {"x": 1.0}) for _ in queries]

    worker = Worker(slow, Limits(), lambda queries, seconds: told.append((queries, seconds)))
    worker.start()
    worker.submit(asked := job("a", "b"))
    asked.future.result(5)
    worker.close()
    worker.join(5)
    assert told[0][0] == 2
    assert told[0][1] >= 0.02
