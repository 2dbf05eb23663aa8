"""Several `gsa serve` behind nginx: requests a second of one and of two, and a worker killed under load.

    python benchmarks/serve_proxy.py [--model RUN] [--clients 16] [--seconds 20] [--out results/proxy.json]

Runs nginx with the configuration that docs/serving.md shows, with the ports exchanged. Each client sends its
next request as soon as it is answered. In the last round one of two workers is killed with -9 in the middle;
`lost` counts requests without a 200, and all of a text's labels are compared with those of a worker asked
directly. Prints one JSON line a round.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from serve_load import random_body

DOCS = Path(__file__).parents[1] / "docs" / "serving.md"
NAME = "labels.example.org"
"""Host name in the documented configuration."""
FRAME = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    {servers}
}}
"""


def configuration(page: str, port: int, workers: Sequence[str], root: Path) -> str:
    """Return the configuration of a page with another port, and with the addresses of these workers."""
    (servers,) = re.findall(r"```nginx\n(.*?)```", page, re.S)
    servers = servers.replace("listen 80;", f"listen 127.0.0.1:{port};")
    lines = re.findall(r" *server 127\.0\.0\.1:\d+[^\n]*\n", servers)
    own = [re.sub(r"127\.0\.0\.1:\d+", worker, lines[0]) for worker in workers]
    return FRAME.format(root=root, servers=servers.replace("".join(lines), "".join(own)))


@contextmanager
def worker(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `gsa serve` without the page on a free port; yields the process and its host and port."""
    words = ["serve", "--no-page", "--quiet", "--port", "0", "--allowed-host", NAME, *options]
    environment = {name: value for name, value in os.environ.items() if name != "GSA_TOKEN"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gsa", *words], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, "the worker did not start"
        yield process, line.split(" at http://")[1].split()[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def proxy(workers: Sequence[str], root: Path) -> Iterator[str]:
    """Run nginx in front of workers; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = configuration(DOCS.read_text(encoding="utf-8"), port, workers, root)
    (root / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        ["nginx", "-p", str(root), "-e", f"{root}/error.log", "-c", f"{root}/nginx.conf"]
    )
    try:
        end = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit((root / "error.log").read_text())
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def load(address: str, clients: int, seconds: float, kill: int = 0) -> dict[str, Any]:
    """Return what clients saw; `kill` is the process that dies after a third of the time, 0 for none."""
    statuses: Counter[str] = Counter()
    answers: dict[str, str] = {}
    times: list[float] = []
    began = time.monotonic()

    async def client(http: httpx2.AsyncClient, number: int) -> None:
        dice = random.Random(number)
        while time.monotonic() < began + seconds:
            body, sent = random_body(dice, 1), time.monotonic()
            try:
                response = await http.post("/v1/sentiment", json=body, headers={"host": NAME})
                statuses[str(response.status_code)] += 1
                answers[body["text"]] = response.json().get("label", "")
            except httpx2.HTTPError as error:
                statuses[type(error).__name__] += 1
            times.append(time.monotonic() - sent)

    async def killer() -> None:
        await asyncio.sleep(seconds / 3)
        os.kill(kill, signal.SIGKILL)

    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(base_url=address, timeout=120, limits=limits) as http:
        tasks = [client(http, number) for number in range(clients)]
        await asyncio.gather(*tasks, *([killer()] if kill else []))
    took, times = time.monotonic() - began, sorted(times)
    return {
        "seconds": round(took, 1), "statuses": dict(statuses), "lost": len(times) - statuses["200"],
        "requests_per_s": round(statuses["200"] / took, 1), "p50_s": round(times[len(times) // 2], 3),
        "p95_s": round(times[int(len(times) * 0.95)], 3), "longest_s": round(times[-1], 3),
        "answers": answers,
    }  # fmt: skip


def same_labels(address: str, answers: dict[str, str]) -> int:
    """Return how many labels are those of a worker that is asked directly."""
    texts, same = sorted(answers), 0
    for start in range(0, len(texts), 64):
        chunk = texts[start : start + 64]
        response = httpx2.post(f"http://{address}/v1/sentiment", json={"texts": chunk}, timeout=120)
        labels = [prediction["label"] for prediction in response.json()["predictions"]]
        same += sum(answers[text] == label for text, label in zip(chunk, labels, strict=True))
    return same


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    model = ["--model", options.model] if options.model else []
    with ExitStack() as stack:
        first, second = (stack.enter_context(worker(*model)) for _ in range(2))
        for name, workers, kill in (
            ("one worker", [first[1]], 0),
            ("two workers", [first[1], second[1]], 0),
            ("two workers, one killed", [first[1], second[1]], first[0].pid),
        ):
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with proxy(workers, root) as address:
                report = asyncio.run(load(address, options.clients, options.seconds, kill))
            answers = report.pop("answers")
            agree = {"texts": len(answers), "same_label": same_labels(second[1], answers)}
            yield {"round": name, "clients": options.clients, **report, **agree}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="the shipped one if not given")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = []
    for report in measure(options):
        lines.append(json.dumps(report))
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
