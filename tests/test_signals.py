"""Signals: Stopped at once, or noted while they are deferred; the second is never deferred."""

import signal
import threading

import pytest

from gsa.signals import SIGNALS, Stop, Stopped, handle_signals

pytestmark = pytest.mark.usefixtures("default_signals")


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_raises_stopped_and_handlers_come_back(signum: int) -> None:
    before = signal.getsignal(signum)
    with (
        pytest.raises(Stopped, match=f"stopped by {signal.Signals(signum).name}") as caught,
        handle_signals(),
    ):
        signal.raise_signal(signum)
    assert caught.value.signum == signum
    assert signal.getsignal(signum) is before


def test_deferred_work_finishes_its_step_once(capfd: pytest.CaptureFixture[str]) -> None:
    with handle_signals() as stop:
        stop.deferred = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
    assert "another signal stops at once" in capfd.readouterr().err


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_signals():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_hear_nothing_and_lose_nothing() -> None:
    heard: list[Stop] = []

    def work() -> None:
        with handle_signals() as stop:
            heard.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard[0].signum == 0


def test_stopped_says_what_was_kept() -> None:
    assert str(Stopped(signal.SIGINT, "all of it")) == "stopped by SIGINT: all of it"
