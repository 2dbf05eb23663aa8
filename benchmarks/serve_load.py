"""A server under load: many clients at once, each sending its next request as soon as it is answered.

    python benchmarks/serve_load.py [--model RUN] [--clients 64] [--seconds 60] [--items 1]

Starts `gsa serve` on a free port, asks a fixed probe before, during and after, and prints one JSON line:
requests and labels a second, statuses, seconds of the median and the 95th of 100 answers, queries a call of
the model, the server's resident memory before, every tenth second, at its most and after (MB), and how far
the probe's probabilities moved at most.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

PROBE = {"text": "The zip broke on the second day."}
OPENINGS = [
    "The parcel came late",
    "The lamp gives warm light",
    "Nobody answered my call",
    "It works like a charm",
]
ENDINGS = [
    "and I would buy it again.",
    "but the box was torn.",
    "which is a pity.",
    "as always!",
    "for the third time.",
]


@dataclass
class Load:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    moved: float = 0.0
    memory: list[float] = field(default_factory=list)


def random_body(dice: random.Random, items: int) -> dict[str, Any]:
    """Return a body with texts that no other client sends."""
    texts = [
        f"{dice.choice(OPENINGS)} {dice.choice(ENDINGS)} ({dice.randrange(10**6)})" for _ in range(items)
    ]
    return {"texts": texts} if items > 1 else {"text": texts[0]}


async def client(http: httpx2.AsyncClient, load: Load, end: float, number: int, items: int) -> None:
    dice = random.Random(number)
    while time.monotonic() < end:
        began = time.monotonic()
        answer = await http.post("/v1/sentiment", json=random_body(dice, items))
        load.seconds.append(time.monotonic() - began)
        load.statuses[str(answer.status_code)] += 1
        if answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["retry-after"]))


async def watch(http: httpx2.AsyncClient, load: Load, end: float, expected: dict[str, float]) -> None:
    """Ask the probe and the memory once a second."""
    while time.monotonic() < end:
        load.memory.append(memory((await http.get("/metrics")).text))
        answer = (await http.post("/v1/sentiment", json=PROBE)).json()["probabilities"]
        load.moved = max(load.moved, *(abs(answer[label] - p) for label, p in expected.items()))
        await asyncio.sleep(1)


def memory(metrics: str) -> float:
    return sample(metrics, "process_resident_memory_bytes") / 2**20


def sample(metrics: str, name: str) -> float:
    return float(re.findall(rf"^{name} (\S+)", metrics, re.M)[0])


async def run(address: str, clients: int, seconds: float, items: int) -> dict[str, Any]:
    load = Load()
    limits = httpx2.Limits(max_connections=clients + 4)
    async with httpx2.AsyncClient(base_url=address, timeout=120, limits=limits) as http:
        await http.post("/v1/sentiment", json=PROBE)
        expected = (await http.post("/v1/sentiment", json=PROBE)).json()["probabilities"]
        before, began = memory((await http.get("/metrics")).text), time.monotonic()
        asking = [client(http, load, began + seconds, number, items) for number in range(clients)]
        await asyncio.gather(watch(http, load, began + seconds, expected), *asking)
        took = time.monotonic() - began
        after = (await http.post("/v1/sentiment", json=PROBE)).json()["probabilities"]
        metrics = (await http.get("/metrics")).text
    times = sorted(load.seconds)
    calls, queries = (sample(metrics, f"gsa_batch_queries_{name}") for name in ("count", "sum"))
    answered = load.statuses["200"]
    return {
        "clients": clients, "items": items, "seconds": round(took, 1), "statuses": dict(load.statuses),
        "requests_per_s": round(answered / took, 1), "labels_per_s": round(answered * items / took, 1),
        "p50_s": round(times[len(times) // 2], 3), "p95_s": round(times[int(len(times) * 0.95)], 3),
        "queries_per_call": round(queries / calls, 1), "memory_before_mb": round(before),
        "memory_mb": [round(megabytes) for megabytes in load.memory[::10]],
        "memory_most_mb": round(max(load.memory)), "memory_after_mb": round(memory(metrics)),
        "probe_moved": load.moved, "probe_same_after": after == expected,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="the shipped one if not given")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--items", type=int, default=1)
    options = parser.parse_args()
    words = ["serve", "--port", "0", *(["--model", options.model] if options.model else [])]
    command = [sys.executable, "-c", "from gsa.cli.main import main; main()", *words]
    environment = {name: value for name, value in os.environ.items() if name != "GSA_TOKEN"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the server did not start: run `gsa serve` to see why")
            address = line.split(" at ")[1].split()[0]
            print(json.dumps(asyncio.run(run(address, options.clients, options.seconds, options.items))))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
