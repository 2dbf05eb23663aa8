"""How far a job is, in words."""

from gsa.prediction import meter as module
from gsa.prediction.meter import Meter


def test_rate_and_time_left(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    said: list[str] = []
    meter = Meter("in.csv", said.append)
    now += 2
    meter.done(100, 0.1)
    assert not said, "not before the pause is over"
    now += 8
    meter.done(100, 0.2)
    assert said == ["in.csv: 200 rows, 20 rows/s, 40 s left"]
    now += 5
    meter.within(100)
    assert said[-1] == "in.csv: 300 rows, 20 rows/s, 35 s left"


def test_rows_of_an_earlier_session_are_no_speed(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    meter = Meter("in.csv", lambda _: None)
    meter.skip(1000, 0.5)
    now += 10
    meter.done(100, 0.6)
    assert meter.line(meter.rows, now) == "in.csv: 1,100 rows, 10 rows/s, 40 s left"


def test_a_stream_has_a_rate_only(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    meter = Meter("standard input", lambda _: None)
    now += 10
    meter.done(32, 0.0)
    assert meter.line(32, now) == "standard input: 32 rows, 3.2 rows/s"


def test_lines_go_to_standard_error(capsys) -> None:
    meter = Meter("x")
    meter._say("hello")
    meter.end()
    assert capsys.readouterr().err == "hello\n"
