"""Who is served when: turns between clients and requests, one call for many, and nobody harmed by another."""

import threading
from collections.abc import Sequence

import pytest

from gsa.data.task import EMOTION, EMOTIONS, SENTIMENT, Task
from gsa.data.types import Dialogue, Prediction, Utterance
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue, example
from gsa.serving.limits import Limits
from gsa.serving.scheduler import (
    DIALOGUE_BYTES,
    QueryGroup,
    QueueFullError,
    Request,
    RequestQueue,
    Scheduler,
    SchedulerClosedError,
)


def group_of(dialogue: Dialogue, task: Task = SENTIMENT) -> QueryGroup:
    return QueryGroup(task, [example(task, dialogue, turn) for turn in range(len(dialogue.turns))])


def request_of(*texts: str, client: str = "a") -> Request:
    return Request([group_of(dialogue(text)) for text in texts], client)


def texts_of(batch: Sequence[tuple[Request, QueryGroup]]) -> str:
    return " ".join(group.examples[0].utterance.text for _, group in batch)


class Model:
    """Answers with the text itself; may be held up, and fails on texts that say so."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go, self.busy = threading.Event(), threading.Event()

    def __call__(self, groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
        self.calls.append(sum(map(len, groups)))
        self.busy.set()
        assert self.go.wait(10)
        texts = [example.utterance.text for group in groups for example in group.examples]
        if "input" in texts:
            raise InputError("this input")
        if "fail" in texts:
            raise RuntimeError("broken")
        return [
            [Prediction(text, {text: 1.0}) for text in (example.utterance.text for example in group.examples)]
            for group in groups
        ]


@pytest.fixture
def model() -> Model:
    return Model()


def started(model: Model, **limits: int) -> Scheduler:
    scheduler = Scheduler(model, Limits(**limits))
    scheduler.start()
    return scheduler


def test_clients_take_turns_and_so_do_their_requests() -> None:
    queue = RequestQueue()
    for request in (
        request_of("a1", "a2", "a3"),
        request_of("A1"),
        request_of("b1", "b2", client="b"),
        request_of("c1", client="c"),
    ):
        queue.add(request)
    assert queue.load()[0] == 7
    assert texts_of(queue.take(5, 9999)) == "a1 b1 c1 A1 b2"
    assert texts_of(queue.take(5, 9999)) == "a2 a3"
    assert queue.load() == (0, 0)


def test_a_batch_is_bounded_but_never_empty() -> None:
    conversation = dialogue(["one", "two", "three"])
    long = Request([group_of(conversation, EMOTION)], "a")
    queue = RequestQueue()
    queue.add(long)
    queue.add(request_of("x", client="b"))
    assert [texts_of(queue.take(2, 9999)) for _ in range(3)] == ["one x", "two", ""]
    queue.add(request_of("x", client="b"))
    queue.add(long := request_of("y" * 50, "z"))
    assert texts_of(queue.take(99, 10)) == "x"
    assert texts_of(queue.take(99, 10)) == "y" * 50
    assert queue.load() == (1, 1 + sum(len(label) + 1 for label in SENTIMENT.labels))
    assert QueryGroup(SENTIMENT, []).size == 0


def test_a_long_conversation_is_split_by_turns_and_by_bytes() -> None:
    group = group_of(dialogue(["word " * 400] * 100), EMOTION)
    first, rest = group.split(32, 10**9)
    assert (len(first), len(rest or ())) == (32, 68)
    assert first.examples[0].dialogue is group.examples[0].dialogue, "each turn keeps its context"
    first, rest = group.split(1000, 40_000)
    assert first.size <= 40_000 < group.size
    assert [*first.examples, *(rest.examples if rest else ())] == list(group.examples)
    assert len(group.split(1, 1)[0]) == 1
    assert group_of(dialogue(["a", "b"]), EMOTION).split(2, 9999)[1] is None
    several = group_of(dialogue(["one"]), EMOTIONS)
    assert several.split(5, 9999) == (several, None), "the labels of a text are asked together"


@pytest.mark.parametrize("same_client", [False, True])
def test_a_text_beside_a_long_conversation_waits_for_one_batch_at_most(
    same_client: bool, model: Model
) -> None:
    turns = [f"turn {number}" for number in range(100)]
    scheduler = started(model, batch=16)
    scheduler.submit(long := Request([group_of(dialogue(turns), EMOTION)], "a"))
    assert model.busy.wait(5)
    scheduler.submit(text := request_of("text", client="a" if same_client else "b"))
    calls: list[int] = []
    text.future.add_done_callback(lambda _: calls.extend(model.calls))
    model.go.set()
    assert [prediction.label for prediction in long.future.result(5)[0]] == turns
    assert text.future.result(5)[0][0].label == "text"
    assert calls[0] == 16, "the batch in which it came"
    assert len(calls) == 2, "it is in the next one"
    assert max(model.calls) <= 16
    assert sum(model.calls) == 101


def test_every_label_of_a_multi_label_task_is_a_query() -> None:
    groups = [group_of(dialogue(text), EMOTIONS) for text in ("one", "two")]
    assert [len(group) for group in groups] == [28, 28]
    names = sum(len(label) + 1 for label in EMOTIONS.labels)
    assert groups[0].size == len("one") + names + 28 * len("yes no "), "each query has yes and no as its list"
    queue = RequestQueue()
    queue.add(Request(groups))
    assert queue.load()[0] == 56
    assert texts_of(queue.take(32, 9999)) == "one"


def test_who_has_gone_is_left_out() -> None:
    queue = RequestQueue()
    queue.add(gone := request_of("a1", "a2"))
    queue.add(request_of("b1", client="b"))
    gone.future.cancel()
    assert texts_of(queue.take(9, 9999)) == "b1"
    assert queue.load() == (0, 0)


def test_what_waits_is_answered_in_one_call(model: Model) -> None:
    scheduler = started(model)
    first = request_of("first")
    scheduler.submit(first)
    assert model.busy.wait(5)
    others = [request_of(f"text {i}", f"more {i}", client=str(i)) for i in range(20)]
    for request in others:
        scheduler.submit(request)
    assert scheduler.waiting == 40
    model.go.set()
    for i, request in enumerate(others):
        predictions = request.future.result(5)
        assert [group[0].label for group in predictions] == [f"text {i}", f"more {i}"]
    assert model.calls == [1, 40]
    assert scheduler.waiting == 0


def test_a_failure_harms_nobody_else(model: Model) -> None:
    scheduler = started(model)
    scheduler.submit(request_of("first"))
    assert model.busy.wait(5)
    good, bad, broken = (
        request_of("good", "fine"),
        request_of("input", client="b"),
        request_of("fail", "well", client="c"),
    )
    for request in (good, bad, broken):
        scheduler.submit(request)
    model.go.set()
    assert [group[0].label for group in good.future.result(5)] == ["good", "fine"]
    with pytest.raises(InputError, match="this input"):
        bad.future.result(5)
    with pytest.raises(RuntimeError, match="broken"):
        broken.future.result(5)
    scheduler.submit(after := request_of("after"))
    assert after.future.result(5)[0][0].label == "after"
    assert scheduler.alive


def test_a_request_that_failed_in_part_is_not_asked_again(model: Model) -> None:
    scheduler = started(model, batch=1)
    model.go.set()
    scheduler.submit(bad := request_of("fail", "never", "never"))
    with pytest.raises(RuntimeError):
        bad.future.result(5)
    scheduler.submit(after := request_of("after"))
    after.future.result(5)
    assert len(model.calls) == 2


def test_a_full_queue_says_when_to_come_again(model: Model) -> None:
    scheduler = started(model, waiting=4)
    scheduler.submit(request_of("first"))
    assert model.busy.wait(5)
    scheduler.submit(request_of("1", "2", "3", client="b"))
    scheduler.submit(request_of("4", client="c"))
    with pytest.raises(QueueFullError, match="another try in 1 s") as full:
        scheduler.submit(request_of("5", client="d"))
    assert full.value.retry_after == 1
    model.go.set()
    scheduler.close()
    assert scheduler.join(5)


def test_one_client_leaves_room_for_others(model: Model) -> None:
    for limits, text in (({"waiting": 8}, "y"), ({"waiting_bytes": 8 * 60}, "y" * 30)):
        scheduler = started(model, **limits)
        model.busy.clear()
        scheduler.submit(request_of("first"))
        assert model.busy.wait(5)
        scheduler.submit(request_of(*[text] * 4))
        with pytest.raises(QueueFullError):
            scheduler.submit(request_of(text))
        scheduler.submit(request_of(text, client="b"))
        model.go.set()
        scheduler.close()
        assert scheduler.join(5)
        model.go.clear()


def test_a_request_of_more_than_half_the_room_is_taken_where_its_client_has_none(model: Model) -> None:
    scheduler = started(model, waiting=8)
    scheduler.submit(request_of("first", client="b"))
    assert model.busy.wait(5)
    scheduler.submit(request_of("second", client="b"))
    scheduler.submit(large := request_of(*"123456"))
    model.go.set()
    assert len(large.future.result(5)) == 6


def test_the_load_of_a_client_goes_with_it() -> None:
    queue = RequestQueue()
    queue.add(request_of("a1", "a2"))
    queue.add(cancelled := request_of("b1", client="b"))
    assert (queue.load("a")[0], queue.load("b")) == (2, (1, cancelled.groups[0].size))
    cancelled.future.cancel()
    queue.take(9, 9999)
    assert queue.load("a") == queue.load("b") == (0, 0)
    assert queue._clients == {}


def test_sizes_are_bytes_that_the_model_may_read() -> None:
    labels = sum(len(label) + 1 for label in SENTIMENT.labels)
    for text, size in {"ab": 2, "字" * 10: 30, "\ud800": 3, "x" * 99_999: DIALOGUE_BYTES}.items():
        assert group_of(Dialogue("", (Utterance(text),))).size == size + labels


def test_closing_answers_what_waits(model: Model) -> None:
    scheduler = started(model)
    waiting = [request_of(f"{i}", client=str(i)) for i in range(5)]
    for request in waiting:
        scheduler.submit(request)
    assert model.busy.wait(5)
    scheduler.close()
    assert not scheduler.alive
    with pytest.raises(SchedulerClosedError):
        scheduler.submit(request_of("late"))
    assert not scheduler.join(0.01), "it still works"
    model.go.set()
    assert [request.future.result(5)[0][0].label for request in waiting] == ["0", "1", "2", "3", "4"]
    assert scheduler.join(5)


def test_a_client_that_leaves_blocks_nobody(model: Model) -> None:
    scheduler = started(model, batch=1)
    scheduler.submit(leaving := request_of(*"abcdefgh"))
    scheduler.submit(staying := request_of("stays", client="b"))
    assert model.busy.wait(5)
    leaving.future.cancel()
    model.go.set()
    assert staying.future.result(5)[0][0].label == "stays"
    scheduler.close()
    assert scheduler.join(5)
    assert len(model.calls) <= 2


def test_an_empty_request_is_done_at_once() -> None:
    scheduler = Scheduler(lambda groups: [], Limits())
    scheduler.submit(empty := Request([]))
    assert empty.future.result(0) == []
    assert scheduler.join(0.1), "it never started"


def test_batches_are_counted(model: Model) -> None:
    batches: list[tuple[int, float]] = []
    scheduler = Scheduler(model, Limits(), lambda queries, seconds: batches.append((queries, seconds)))
    model.go.set()
    scheduler.submit(request := request_of("a", "b"))
    scheduler.start()
    request.future.result(5)
    scheduler.close()
    assert scheduler.join(5)
    ((queries, seconds),) = batches
    assert queries == 2
    assert seconds >= 0
