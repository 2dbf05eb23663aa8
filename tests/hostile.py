"""Ten thousand hostile requests to a server on a tiny random Llama: `make hostile`.

    python tests/hostile.py [--requests 10000] [--seed 0] [--out FILE] [--without-schemathesis]

Four fifths are this project's own (support/hostility.py), the rest are schemathesis's, made from the server's
OpenAPI. The server has a token, which nine of ten requests bring, and the web page where gradio is installed.
A fixed probe is asked before, during and after. Prints the statuses and exits with 1 on a 5xx.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent / "support")  # not tests/, whose folders are called as packages are
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import httpx2  # noqa: E402
import torch  # noqa: E402
from hostility import requests, send, with_token  # noqa: E402

from gsa.data.layout import Layout  # noqa: E402
from gsa.serving.app import make_service  # noqa: E402
from gsa.serving.limits import Limits  # noqa: E402
from gsa.serving.server import bind  # noqa: E402
from gsa.serving.shutdown import Server  # noqa: E402
from serving import tiny_random_predictor  # noqa: E402

PROBE = {"turns": ["They lost my luggage again.", {"speaker": "Desk", "text": "I am so sorry!"}]}
TOKEN = "s3cret"
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}
OPERATIONS = 9
"""Methods and paths of the OpenAPI, over which schemathesis spreads its requests."""


class Target:
    """A server in a thread of its own."""

    def __init__(self) -> None:
        predictor = tiny_random_predictor(Layout())
        self.listener = bind("127.0.0.1", 0)
        self.address = self.listener.getsockname()
        self.url = "http://{}:{}".format(*self.address)
        ready = threading.Event()
        self.folder = tempfile.TemporaryDirectory()
        page: Any = None
        if importlib.util.find_spec("gradio"):
            from gsa.web.web_page import WebPage

            page = WebPage(predictor, self.folder.name)
        self.service = make_service(predictor, Limits(timeout=5), TOKEN, page)
        self.server = Server(self.service, 10, ready.set)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        ready.wait(60)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.listener.close()
        self.folder.cleanup()

    def probe(self) -> object:
        return httpx2.post(f"{self.url}/v1/emotion", json=PROBE, headers=AUTHORIZATION, timeout=60).json()

    def counts(self) -> dict[str, int]:
        """Return the statuses that the server itself has counted."""
        counts: Counter[str] = Counter()
        text = httpx2.get(f"{self.url}/metrics", headers=AUTHORIZATION).text
        for status, count in re.findall(r'^gsa_requests_total{.*status="(\d+)"} (\S+)', text, re.M):
            counts[status] += int(float(count))
        return dict(sorted(counts.items()))


def send_own(target: Target, n: int, seed: int, expected: object) -> Counter[str]:
    seen: Counter[str] = Counter()
    for i, request in enumerate(requests(n, seed)):
        statuses = send(target.address, request if i % 10 == 9 else with_token(request, TOKEN))
        seen.update(map(str, statuses or ["silence"]))
        if any(status >= 500 for status in statuses):
            print(f"FAILED {statuses}: {request[:500]!r}", file=sys.stderr)
        if i % 100 == 0 and target.probe() != expected:
            raise SystemExit(f"the probe answers otherwise after {i} requests")
    return seen


def run_schemathesis(target: Target, n: int, seed: int, expected: object) -> int:
    """Run schemathesis for at least n requests, with the probe once a second; returns how many came."""
    checks = "not_a_server_error,content_type_conformance,response_schema_conformance"
    before = sum(target.counts().values())
    sent, rounds, probes = 0, 0, 0
    while sent < n and rounds < 50:
        command = [
            sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
            f"{target.url}/openapi.json", "--checks", checks, "--mode", "all", "--seed", str(seed + rounds),
            "--max-examples", str(max(10, n // OPERATIONS)), "--suppress-health-check", "all",
            "--header", f"Authorization: {AUTHORIZATION['authorization']}",
        ]  # fmt: skip
        with (
            tempfile.TemporaryFile("w+") as output,
            subprocess.Popen(command, stdout=output, stderr=output) as run,
        ):
            while run.poll() is None:
                if target.probe() != expected:
                    run.kill()
                    raise SystemExit("the probe answers otherwise while schemathesis asks")
                probes += 1
                time.sleep(1)
            if run.returncode:
                output.seek(0)
                raise SystemExit(f"schemathesis found something:\n{output.read()[-8000:]}")
        sent, rounds = sum(target.counts().values()) - before - rounds - probes - 1, rounds + 1
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--without-schemathesis", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    target, began = Target(), time.monotonic()
    try:
        expected = target.probe()
        share = 0 if options.without_schemathesis else options.requests // 5
        seen = send_own(target, options.requests - share, options.seed, expected)
        generated = run_schemathesis(target, share, options.seed, expected) if share else 0
        same, alive, counted = target.probe() == expected, target.service.scheduler.alive, target.counts()
    finally:
        target.stop()
    failed = [status for status in (*seen, *counted) if status.startswith("5")]
    row = {
        "own": options.requests - share, "schemathesis": generated,
        "own_statuses": dict(sorted(seen.items())),
        "counted": counted, "probe_same": same, "scheduler_alive": alive, "server_errors": len(failed),
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    print(json.dumps(row, indent=2))
    if options.out:
        options.out.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    sys.exit(bool(failed or not same or not alive))


if __name__ == "__main__":
    main()
