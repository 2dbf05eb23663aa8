"""Progress in words: amount, rate, time left; nothing where it is not wanted."""

import logging

import pytest

from gsa import progress as module
from gsa.progress import Progress, configure_logging, count_of, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, as the module's clock tells them."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_rate_and_time_left(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gsa")
    with Progress("in.csv", 1000) as progress:
        clock[0] += 2
        progress.advance(100)
        assert not caplog.messages, "not before the interval is over"
        clock[0] += 8
        progress.advance(100)
        assert caplog.messages == ["in.csv: 200/1,000 rows, 20 rows/s, 40 s left"]
        clock[0] += 5
        progress.update(1000, "loss 0.5")
        assert caplog.messages[-1] == "in.csv: 1,000/1,000 rows, 67 rows/s, loss 0.5"


def test_resumed_work_is_not_speed(clock: list[float]) -> None:
    progress = Progress("in.csv", 2000)
    clock[0] += 50
    progress.resume(1000)
    clock[0] += 10
    progress.update(1100)
    assert progress.line() == "in.csv: 1,100/2,000 rows, 10 rows/s, 2 min left"


def test_without_a_total_there_is_a_rate_only(clock: list[float]) -> None:
    progress = Progress("standard input")
    clock[0] += 10
    progress.update(32)
    assert progress.line() == "standard input: 32 rows, 3.2 rows/s"
    progress.total = 64
    assert progress.line() == "standard input: 32/64 rows, 3.2 rows/s, 10 s left"


def test_disabled_progress_only_counts(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gsa")
    with Progress("x", 3, disable=True) as progress:
        clock[0] += 60
        progress.advance(3)
    assert not caplog.messages
    assert progress.line() == "x: 3/3 rows, 0.1 rows/s"


def test_messages_go_to_standard_error_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("gsa")
    for quiet, err in ((False, "hello [bold]\nwarning: careful\n"), (True, "warning: careful\n")):
        configure_logging(quiet)
        logger.info("hello [bold]")
        logger.warning("careful")
        assert capsys.readouterr() == ("", err)


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    console = module.Console(file=module.sys.stderr, force_terminal=True, width=100)
    monkeypatch.setattr(module, "_console", lambda: console)
    with Progress("in.csv") as progress:
        progress.resume(20)
        progress.total = 40
        progress.advance(20, "loss 0.5")
    err = capsys.readouterr().err
    assert "in.csv" in err
    assert "40/40" in err
    assert "loss 0.5" in err


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (600, "10 min"), (7200, "2 h"), (864000, "10 days")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_nouns_agree_with_their_numbers() -> None:
    assert [count_of(n, "row") for n in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
