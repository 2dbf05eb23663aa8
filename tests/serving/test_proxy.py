"""Two `gsa serve` behind nginx, with the configuration of docs/serving.md: one is killed, nothing is lost."""

import os
import shutil
import signal
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool
from pathlib import Path

import httpx2
import pytest

import serve_proxy

REQUESTS = 120


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_a_worker_is_killed_and_no_request_is_lost(tuned: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(serve_proxy.worker("--model", str(tuned))) for _ in range(2)]
        address = stack.enter_context(serve_proxy.proxy([place for _, place in workers], tmp_path))

        def post(number: int) -> httpx2.Response:
            if number == REQUESTS // 3:
                os.kill(workers[0][0].pid, signal.SIGKILL)
            body = {"text": f"The {number}th lamp is broken."}
            return httpx2.post(f"{address}/v1/sentiment", json=body, headers=host, timeout=60)

        host = {"host": serve_proxy.NAME}
        with ThreadPool(8) as pool:
            answers = pool.map(post, range(REQUESTS), chunksize=1)
        assert [answer.status_code for answer in answers] == [200] * REQUESTS
        assert workers[0][0].wait(20) == -signal.SIGKILL
        direct = httpx2.post(f"http://{workers[1][1]}/v1/sentiment", json={"text": "The 7th lamp is broken."})
        expected = direct.json()["probabilities"]
        assert answers[7].json()["probabilities"] == pytest.approx(expected, abs=1e-5)
        too_large = httpx2.post(f"{address}/v1/sentiment", content=b"x" * 300_000, headers=host)
        assert too_large.status_code == 413
        assert httpx2.get(f"{address}/ready", headers=host).status_code == 200
        assert httpx2.get(f"{address}/metrics", headers=host).status_code == 404
        assert httpx2.get(f"{address}/ready", headers={"host": "other.example"}).status_code == 400
        os.kill(workers[1][0].pid, signal.SIGKILL)
        workers[1][0].wait(20)
        assert httpx2.get(f"{address}/ready", headers=host).status_code == 502
