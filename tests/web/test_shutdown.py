"""`gsa serve` with its page as a process: however it is ended, none of the page's files stay."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serving import until

pytest.importorskip("gradio", reason="needs the extra `web`")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("default_signals"),
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="has no SIGHUP"),
]


def test_the_folder_of_files_goes_with_the_process_after_two_signals(tuned: Path, tmp_path: Path) -> None:
    """After one signal, SIGTERM: test_server."""
    command = [sys.executable, "-c", "from gsa.cli.main import main; main()", "serve", "--model", str(tuned)]
    env = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, "--port", "0", "--limit", "drain=2"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
        ) as process,
    ):
        try:
            assert process.stdout
            port = int(process.stdout.readline().split("http://127.0.0.1:")[1].split()[0])
            assert [path for path in tmp_path.iterdir() if path.name.startswith("gsa-page-")]
            with socket.create_connection(("127.0.0.1", port)) as client:
                head = b"POST /v1/sentiment HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                client.sendall(head + b"content-length: 20\r\n\r\n")  # and no body: a stop waits for it
                process.send_signal(signal.SIGHUP)
                until(lambda: '"stopping"' in log.read_text())
                process.send_signal(signal.SIGHUP)
                assert process.wait(40) == 129
        finally:
            process.kill()
    assert "stopped by SIGHUP" in log.read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("gsa-page-")]
